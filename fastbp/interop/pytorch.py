"""Networks from and to PyTorch."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..network import Network
from ..options.activations import ELU, GELU, LeakyReLU
from .steps import Activation, Dense, Dropout, Step, network_from_steps, standardized, with_scaling_folded

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {  # module's class -> what `Network` calls it
    "Identity": lambda module: "linear",
    "Sigmoid": lambda module: "sigmoid",
    "Tanh": lambda module: "tanh",
    "ReLU": lambda module: "relu",
    "LeakyReLU": lambda module: LeakyReLU(module.negative_slope),
    "ELU": lambda module: ELU(module.alpha),
    "GELU": lambda module: GELU(module.approximate),
    "SiLU": lambda module: "silu",
    "Softplus": lambda module: "softplus",
    "Softmax": lambda module: "softmax",
}


def from_torch(model: Any, **options: Any) -> Network:
    """A network with the weights of a PyTorch model, and equal outputs.

    Parameters
    ----------
    model : nn.Sequential, nn.Linear or state dict
        Sequentials, nested as well, of ``Linear``, activations that `Network` has, ``Dropout`` and
        ``BatchNorm1d``, whose running means go into the weights or, where nothing is before them, into the
        scaling of inputs.  A state dict holds the weights of linear layers alone, in order; `activation` is
        then needed.
    **options
        Those of `Network.from_weights`, such as ``output_activation="softmax"`` for a model that was trained
        with ``CrossEntropyLoss``, and ``classes``.  The type is the model's, float32 or float64.

    Raises
    ------
    ValueError
        For a layer of another kind, a user's own class among them, and for one with forward hooks.

    Examples
    --------
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3))}
    >>> net = from_torch(state, activation="relu")
    >>> net.outputs([[1.0, 2.0]])
    array([[9.]])
    """
    if isinstance(model, Mapping):
        steps = list(_of_state(model))
        if "activation" not in options and len(steps) > 1:
            raise ValueError(
                "from_torch: expected activation=, that of the hidden layers, which a state dict does not "
                "hold; a model that is an nn.Sequential says it"
            )
    else:
        steps = list(_of_module(model))
    return network_from_steps(steps, "from_torch", options)


def _of_module(module: Any) -> Iterator[Step]:
    kind = type(module)
    name = kind.__name__ if kind.__module__.startswith("torch.nn.modules.") else repr(kind)
    if getattr(module, "_forward_hooks", None) or getattr(module, "_forward_pre_hooks", None):
        raise ValueError(
            f"from_torch: expected modules without forward hooks, got some on {name}; remove them, as "
            "torch.nn.utils.remove_weight_norm and prune.remove do"
        )
    if name == "Sequential":
        for child in module:
            yield from _of_module(child)
    elif name == "Linear":
        w = _numbers(module.weight)
        yield Dense(w, np.zeros(len(w), w.dtype) if module.bias is None else _numbers(module.bias))
    elif name == "BatchNorm1d" and module.running_mean is not None:
        deviation = np.sqrt(_numbers(module.running_var).astype(np.float64) + module.eps)
        factor, shift = (
            default if learnt is None else _numbers(learnt)
            for learnt, default in ((module.weight, 1.0), (module.bias, 0.0))
        )
        yield standardized(_numbers(module.running_mean), deviation, factor, shift)
    elif name == "Dropout":
        yield Dropout(module.p)
    elif (
        name == "BatchNorm1d"
        or (name == "Softplus" and (module.beta != 1 or module.threshold < 20))
        or (name == "Softmax" and module.dim not in (None, 1, -1))
    ):
        raise ValueError(
            "from_torch: expected Softplus of beta=1 and of a threshold of 20 or more, BatchNorm1d with "
            f"running statistics, and Softmax over columns, got {module!r}"
        )
    elif name in _ACTIVATIONS:
        yield Activation(_ACTIVATIONS[name](module))
    elif name != "Flatten":
        known = ", ".join(["Linear", "BatchNorm1d", "Dropout", *_ACTIVATIONS])
        raise ValueError(
            f"from_torch: expected nn.Sequential of {known}, got {name}; of another model, pass its "
            "state_dict() if its layers follow each other"
        )


def _of_state(state: Mapping[str, Any]) -> Iterator[Step]:
    """The layers of a state dict, whose biases are optional."""
    for name, values in state.items():
        w = _numbers(values)
        if name.endswith("weight") and w.ndim == 2:
            biases = state.get(name.removesuffix("weight") + "bias")
            yield Dense(w, np.zeros(len(w), w.dtype) if biases is None else _numbers(biases))
        elif not (name.endswith("bias") and name.removesuffix("bias") + "weight" in state):
            raise ValueError(
                f"from_torch: expected weights and biases of linear layers, got {name!r} {w.shape}"
            )


def _numbers(tensor: Any) -> np.ndarray:
    """A tensor as an array of float32 or float64."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = (tensor if str(tensor.dtype) == "torch.float64" else tensor.float()).numpy()
    return np.array(tensor)


def to_torch(net: Network) -> Any:
    """An ``nn.Sequential`` with the network's weights, and equal outputs; in the network's type.

    Scaling and `input_divisor` go into the weights of the first and the last layer.  Rates of dropout become
    ``Dropout``; the model is in evaluation mode.

    Raises
    ------
    ImportError
        Without PyTorch.
    ValueError
        For an activation that PyTorch has no module for, a user's own, scaled outputs that are not linear, or
        weights that overflow with the scaling in them.

    Examples
    --------
    >>> model = to_torch(Network([2, 3, 1], seed=0))  # doctest: +SKIP
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch: expected PyTorch; pip install torch") from error
    parts = with_scaling_folded(net, "to_torch")
    modules: list[Any] = []
    rates = (*parts.dropout, *[0.0] * len(parts.layers))  # as many, or more
    for layer, rate in zip(parts.layers, rates, strict=False):
        linear = torch.nn.Linear(*layer.weights.shape[::-1], dtype=getattr(torch, str(parts.dtype)))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weights.copy()))
            linear.bias.copy_(torch.from_numpy(layer.biases.copy()))
        modules += [linear, *_module(torch.nn, layer.activation, layer.number)]
        if rate:
            modules.append(torch.nn.Dropout(rate))
    return torch.nn.Sequential(*modules).eval()


def _module(nn: Any, activation: str, number: float) -> list[Any]:
    """The module of an activation, or none of a linear one."""
    modules: dict[str, Callable[[], list[Any]]] = {
        "linear": list,
        "sigmoid": lambda: [nn.Sigmoid()],
        "tanh": lambda: [nn.Tanh()],
        "relu": lambda: [nn.ReLU()],
        "leaky_relu": lambda: [nn.LeakyReLU(number)],
        "elu": lambda: [nn.ELU(number)],
        "gelu": lambda: [nn.GELU()],
        "gelu_tanh": lambda: [nn.GELU("tanh")],
        "silu": lambda: [nn.SiLU()],
        "softplus": lambda: [nn.Softplus()],
        "softmax": lambda: [nn.Softmax(1)],
    }
    if activation not in modules:
        raise ValueError(f"to_torch: expected activations that torch.nn has, got {activation!r}")
    return modules[activation]()
