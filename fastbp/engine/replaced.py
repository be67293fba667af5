"""The methods and functions that a script may replace, and checks whether it has replaced them."""

from collections.abc import Sequence
from typing import Any

from ..data.parameters import check_sizes
from ..engine import numpy_engine
from ..engine.architecture import Parts, checked
from ..engine.packed import Engine

FORWARD = ("np", "sigmoid", "feedforward")
COMPILED = (*FORWARD, "sigmoid_prime", "update_mini_batch", "backprop", "cost_derivative")
_OF_MODULE = ("np", "sigmoid", "sigmoid_prime", "vectorized_result")
_OF_COST = ("fn", "delta")


class Hooks:
    """The original functions and methods that a script may replace.

    They belong to a module, to the class and to its cost, which may be one of `costs`.  FORWARD names those
    in whose place kernels compute outputs, `training` those in whose place they train, and `judging` those
    that measure a network after an epoch.  A class has its hooks in ``_fastbp_hooks``; subclasses inherit
    them.
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
        self._originals = {
            name: [getattr(owner, name, None) for owner in owners.get(name, [network])]
            for name in (*training, *judging)
        }

    def replaced(self, net: Any, *names: str) -> bool:
        """Tells whether a subclass or a patch of class, instance, cost or module has replaced any name."""
        of_class, of_instance, originals = type(net), vars(net), self._originals
        for name in names:
            if name in _OF_MODULE:
                current = getattr(self.module, name, None)
            elif name in _OF_COST:
                current = getattr(getattr(net, "cost", None), name, None)
            elif name in of_instance:
                return True
            else:
                current = getattr(of_class, name, None)
            for original in originals[name]:
                if current is original or _is_reloaded(current, original):
                    break
            else:
                return True
        return False


def _is_reloaded(current: Any, original: Any) -> bool:
    """Tells whether a function is what a reload of the original's module has made of it."""
    code = getattr(original, "__code__", None)
    return code is not None and getattr(current, "__code__", None) == code


def is_replaced(net: Any, *names: str) -> bool:
    """Tells whether a user's own code has replaced any of the functions or methods `names`."""
    hooks: Hooks = net._fastbp_hooks
    return hooks.replaced(net, *names)


def repack(net: Any, engine: Any) -> None:
    """Gives the weights, which a user's function may have changed, back to a training engine."""
    architecture, weights, biases = checked(net)
    check_sizes(architecture.sizes, engine.architecture.sizes)
    engine.pack(weights, biases)


def inference_engine(parts: Parts) -> Any:
    """Builds a kernel engine, or a NumPy engine when user code requires it, to compute outputs."""
    return (Engine if parts.architecture.is_compiled else numpy_engine.Engine)(*parts)
