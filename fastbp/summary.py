"""A network in words: its arguments as they would be written, and a table of its layers."""

from typing import Any

from .activations import Activation, row_of
from .architecture import State
from .costs import Cost


def _written(value: Any) -> str:
    """A name for what a name stands for, else the object as it prints."""
    from .activations import OUTPUT_ACTIVATIONS
    from .costs import COSTS

    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    for known in (OUTPUT_ACTIVATIONS, COSTS):
        for name, kind in known.items():
            if value == kind and type(value) is type(kind):
                return repr(name)
    return repr(value)


def arguments(net: Any) -> str:
    """What is not the default; the dtype always."""
    state: State = net._fastbp
    shown = [str(list(net.sizes))]
    for name in (
        "activation",
        "output_activation",
        "cost",
        "dropout",
        "frozen",
        "uint8_divisor",
        "seed",
        "scale_inputs",
        "scale_outputs",
    ):
        value = getattr(state, name)
        if value != getattr(State, name):
            shown.append(f"{name}={_written(value)}")
    return ", ".join([*shown, f"dtype={str(state.dtype)!r}"])


def _name(kind: Any) -> str:
    if isinstance(kind, (Activation, Cost)):
        return getattr(kind.function, "__name__", "custom")
    return kind if isinstance(kind, str) else row_of(kind)[0]


def table(net: Any) -> str:
    """A line per layer, and one for the whole network."""
    from . import costs
    from .architecture import checked

    architecture, weights, _ = checked(net)
    rows = [("layer", "units", "activation", "parameters", "dropout")]
    for number, (kind, w) in enumerate(zip(architecture.activations, weights, strict=True)):
        rate = architecture.dropout[number] if number < len(architecture.dropout) else 0.0
        frozen = " frozen" if number in architecture.frozen else ""
        rows.append(
            (
                f"{number}",
                f"{len(w):,}",
                _name(kind),
                f"{w.size + len(w):,}{frozen}",
                f"{rate:g}" if rate else "",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        "  ".join(
            text.ljust(width) if i == 2 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    total = sum(w.size + len(w) for w in weights)
    cost = costs.row_of(architecture.cost)[0]
    return "\n".join(lines) + (
        f"\n{architecture.sizes[0]:,} inputs, {total:,} parameters in {architecture.dtype}; cost {cost}; "
        f"{architecture.flops():,} flops to train on a sample"
    )
