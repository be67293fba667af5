"""The methods and functions that a script may replace, and whether it has."""

from collections.abc import Sequence
from typing import Any

from ..data import parameters
from ..engine import numpy_engine
from ..engine.architecture import Parts, checked
from ..engine.packed import Engine

FORWARD = ("np", "sigmoid", "feedforward")


COMPILED = (*FORWARD, "sigmoid_prime", "update_mini_batch", "backprop", "cost_derivative")


_OF_MODULE = ("np", "sigmoid", "sigmoid_prime", "vectorized_result")


_OF_COST = ("fn", "delta")


class Hooks:
    """The functions and methods that a script may replace, as they were at first.

    They are a module's, the network's class's, and those of its cost, which may be one of `costs`.  FORWARD
    names those that kernels stand in for to compute outputs, `training` those for training, and `judging`
    those that say after an epoch how good the network is.
    """

    def __init__(
        self,
        module: Any,
        network: type,
        training: Sequence[str] = COMPILED,
        judging: Sequence[str] = ("evaluate",),
        costs: Sequence[type] = (),
    ) -> None:
        self.module, self.training, self.judging = module, training, judging
        owners: dict[str, Sequence[Any]] = {name: [module] for name in _OF_MODULE}
        owners |= dict.fromkeys(_OF_COST, costs)
        self._were = {
            name: [getattr(owner, name, None) for owner in owners.get(name, [network])]
            for name in (*training, *judging)
        }

    def replaced(self, net: Any, *names: str) -> bool:
        """Whether a subclass, or a patch of class, instance, cost or module, replaced any of `names`."""
        of_class, of_instance, were = type(net), vars(net), self._were
        for name in names:
            if name in _OF_MODULE:
                found = getattr(self.module, name, None)
            elif name in _OF_COST:
                found = getattr(getattr(net, "cost", None), name, None)
            elif name in of_instance:
                return True
            else:
                found = getattr(of_class, name, None)
            for was in were[name]:
                if found is was:
                    break
            else:
                return True
        return False


def repack(net: Any, engine: Any) -> None:
    """Gives the weights, which a user's function may have changed, back to a training engine."""
    architecture, weights, biases = checked(net)
    parameters.same_sizes(architecture.sizes, engine.architecture.sizes)
    engine.pack(weights, biases)


def inference_engine(parts: Parts) -> Any:
    """For outputs: of the kernels, or of NumPy where a user's own functions want that."""
    return (Engine if parts[0].is_compiled else numpy_engine.Engine)(*parts)
