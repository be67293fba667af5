"""Descriptions of a network: its arguments as a call has them, and a table of its layers."""

from collections.abc import Iterable
from html import escape
from typing import Any

from ..options import costs
from ..options.activations import OUTPUT_ACTIVATIONS, Activation, name_and_parameter
from ..options.costs import COSTS, Cost
from ..options.network import OPTIONS, Options
from .architecture import checked


def _written(value: Any) -> str:
    """The name of a built-in activation or cost, else the object as it prints."""

    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    for known in (OUTPUT_ACTIVATIONS, COSTS):
        for name, kind in known.items():
            if value == kind and type(value) is type(kind):
                return repr(name)
    return repr(value)


def arguments(sizes: Any, options: Options) -> str:
    """The arguments that differ from their defaults, and always the dtype."""
    shown = [str(list(sizes))]
    for name in OPTIONS:
        value = getattr(options, name)
        if name != "dtype" and value != getattr(Options, name):
            shown.append(f"{name}={_written(value)}")
    return ", ".join([*shown, f"dtype={str(options.dtype)!r}"])


def _name(kind: Any) -> str:
    if isinstance(kind, (Activation, Cost)):
        return getattr(kind.function, "__name__", "custom")
    return kind if isinstance(kind, str) else name_and_parameter(kind)[0]


_HEADER = ("layer", "units", "activation", "parameters", "dropout")


class Table(str):
    """A text whose ``repr`` is the text itself, so that prompts show its lines; notebooks show its HTML."""

    html = ""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.html


def table(net: Any) -> Table:
    """The table of layers, with a last line on the whole network."""
    rows = [_HEADER, *_rows(net)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if i == 2 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    text = Table("\n".join([*lines, _whole(net)]))
    text.html = html(net)
    return text


def html(net: Any) -> str:
    """The table of layers as HTML for notebooks."""

    def row(cell: str, texts: Iterable[str]) -> str:
        cells = (
            f'<{cell} style="text-align: {"left" if i == 2 else "right"}">{escape(text)}</{cell}>'
            for i, text in enumerate(texts)
        )
        return f"<tr>{''.join(cells)}</tr>"

    body = "".join(row("td", texts) for texts in _rows(net))
    written = escape(arguments(net.sizes, net._fastbp.options))
    return (
        f"<table><caption>{escape(type(net).__name__)}({written})</caption>"
        f"<thead>{row('th', _HEADER)}</thead><tbody>{body}</tbody>"
        f'<tfoot><tr><td colspan="{len(_HEADER)}" style="text-align: left">{escape(_whole(net))}</td></tr>'
        "</tfoot></table>"
    )


def _rows(net: Any) -> list[tuple[str, ...]]:
    """The cells of a table, a row per layer."""
    architecture, weights, _ = checked(net)
    rows: list[tuple[str, ...]] = []
    for number, (kind, w) in enumerate(zip(architecture.activations, weights, strict=True)):
        rate = architecture.dropout[number] if number < len(architecture.dropout) else 0.0
        frozen = " frozen" if number in architecture.frozen else ""
        parameters = f"{w.size + len(w):,}{frozen}"
        rows.append((f"{number}", f"{len(w):,}", _name(kind), parameters, f"{rate:g}" if rate else ""))
    return rows


def _whole(net: Any) -> str:
    """The line on the whole network."""
    architecture, weights, _ = checked(net)
    total = sum(w.size + len(w) for w in weights)
    cost, _ = costs.name_and_parameter(architecture.cost)
    products = f", products in {architecture.compute_dtype}" if architecture.compute_dtype else ""
    return (
        f"{architecture.sizes[0]:,} inputs, {total:,} parameters in {architecture.dtype}{products}; "
        f"cost {cost}; {architecture.flops():,} flops to train on a sample"
    )
