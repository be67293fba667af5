"""Learning curves by matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..options import checks
from .scores import grows

_ASIDE = ("seconds", "learning_rate", "threads")  # names of a history that are not drawn by default

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's


def pyplot(who: str) -> Any:
    """``matplotlib.pyplot``; raises an ImportError that names the function which needs it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{who}: expected matplotlib; pip install '.[plot]' in fastbp's source folder"
        ) from error
    return plt


def history(lists: Mapping[str, list[float]], *names: str, ax: Any = None) -> Any:
    """Learning curves: the lists of a history over epochs, which are counted from 1.

    Parameters
    ----------
    lists : History, or mapping of names to lists
    names : str
        Names of the history; without them everything but seconds, rates and threads: costs and errors in one
        panel, scores (accuracy, R^2) in another.
    ax : matplotlib axes, optional
        To draw all into one.

    Returns
    -------
    axes, or array of axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        For names that the history does not have.

    Examples
    --------
    >>> axes = history({"loss": [0.5, 0.25], "val_loss": [0.6, 0.4]})
    >>> [line.get_label() for line in axes.lines], axes.get_ylabel()
    (['loss', 'val_loss'], 'loss')
    """
    plt = pyplot("History.plot")
    shown = [checks.choice("names", name, tuple(lists)) for name in names]
    shown = shown or [name for name in lists if name not in _ASIDE]
    scores = [name for name in shown if grows(name)]
    panels = [part for part in ([name for name in shown if name not in scores], scores) if part]
    if ax is not None or names or len(panels) < 2:
        axes = plt.subplots(layout="constrained")[1] if ax is None else ax
        _curves(axes, lists, shown)
        return axes
    _, several = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axes, part in zip(several, panels, strict=True):
        _curves(axes, lists, part)
    return several


def _curves(axes: Any, lists: Mapping[str, list[float]], names: Sequence[str]) -> None:
    """Draws one color per quantity, and validation data dashed."""
    colors: dict[str, Any] = {}
    for name in names:
        quantity = name.removeprefix("val_")
        numbers = lists[name]
        axes.plot(
            range(1, len(numbers) + 1),
            numbers,
            "--" if name.startswith("val_") else "-",
            color=colors.setdefault(quantity, COLORS[len(colors) % len(COLORS)]),
            marker="o" if len(numbers) == 1 else None,
            label=name,
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(", ".join(colors))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
