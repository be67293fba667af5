"""Callbacks that show a training in progress: in a notebook, and in TensorBoard."""

import io
import os
import time
from typing import Any

import numpy as np

from ..options import checks
from . import curves, plot_checks
from .run import Callback, Run

_SUFFIX = ".fastbp"  # of the files that this callback writes into a folder of TensorBoard's


class LivePlot(Callback):
    """Draws learning curves in a notebook, again as epochs end.

    Parameters
    ----------
    names : str
        Names of the history, as for `History.plot`.
    pause : float
        Least number of seconds between two pictures.

    Raises
    ------
    ImportError
        When training begins, without matplotlib (``pip install '.[plot]'``) or IPython, which
        notebooks come with.
    RuntimeError
        When training begins outside a notebook; `History.plot` draws afterwards.

    Examples
    --------
    >>> callback = LivePlot("loss", "val_loss", pause=2.0)
    """

    def __init__(self, *names: str, pause: float = 1.0) -> None:
        self.names, self.pause = names, checks.nonnegative("pause", pause)
        self._handle: Any = None  # of the picture on display

    def on_train_begin(self, run: Run) -> None:
        self._handle = None
        plot_checks.in_notebook(_is_notebook())
        curves.pyplot("LivePlot")

    def on_epoch_end(self, run: Run) -> None:
        if self._handle is None or time.monotonic() - self._drawn >= self.pause:
            self._draw(run)

    def on_train_end(self, run: Run) -> None:
        if run.history.epochs:
            self._draw(run)

    def on_interrupt(self, run: Run, error: BaseException) -> None:
        if self._handle is not None and isinstance(error, KeyboardInterrupt):  # not if drawing itself raised
            self._draw(run)

    def _draw(self, run: Run) -> None:
        """Replaces the picture on display."""
        from IPython.display import Image, display

        figure = np.ravel(curves.history(run.history, *self.names))[0].figure
        picture = io.BytesIO()
        try:
            figure.savefig(picture, format="png")
        finally:
            curves.pyplot("LivePlot").close(figure)  # else it is shown again at the end of the cell
        image = Image(picture.getvalue())
        if self._handle is None:
            self._handle = display(image, display_id=True)
        else:
            self._handle.update(image)
        self._drawn = time.monotonic()


def _is_notebook() -> bool:
    """Tells whether an IPython kernel, which can show pictures, runs this."""
    try:
        from IPython import get_ipython
    except ImportError as error:
        raise ImportError(
            "LivePlot: expected IPython, which comes with notebooks; pip install ipython"
        ) from error
    return getattr(get_ipython(), "kernel", None) is not None


def _summary_writer() -> Any:
    """The class that writes TensorBoard's events: tensorboardX's, or the equal one of PyTorch."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ImportError(
                "TensorBoard: expected tensorboardX, or PyTorch with TensorBoard; "
                "pip install '.[tensorboard]' in fastbp's source folder"
            ) from None
    return SummaryWriter


class TensorBoard(Callback):
    """Writes the history as TensorBoard's events: runs ``train`` and ``validation`` with the same tags.

    The step of an event is the epoch, counted from 1.

    Parameters
    ----------
    log_dir : str or path-like
        A folder.  Earlier events of this callback there are replaced when training begins; a resumed training
        writes its earlier epochs again.

    Raises
    ------
    ImportError
        When training begins, without tensorboardX (``pip install '.[tensorboard]'``) and without the writer
        that PyTorch has where TensorBoard is installed.

    Examples
    --------
    >>> import tempfile
    >>> from fastbp import Network
    >>> folder, X, y = tempfile.mkdtemp(), [[0.0], [1.0], [2.0]], [0, 1, 1]
    >>> data = {"validation_data": (X, y), "callbacks": TensorBoard(folder)}
    >>> history = Network([1, 2], seed=0).fit(X, y, epochs=2, batch_size=1, **data)
    >>> sorted(os.listdir(folder))
    ['train', 'validation']
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self.log_dir = os.fspath(log_dir)
        self._writers: dict[str, Any] = {}

    def on_train_begin(self, run: Run) -> None:
        self._new = _summary_writer()
        for folder in map(self._folder, ("train", "validation")):
            for file in os.listdir(folder) if os.path.isdir(folder) else ():
                if file.endswith(_SUFFIX):
                    os.unlink(os.path.join(folder, file))
        for epoch in range(run.history.epochs):
            self._write(run, epoch)

    def on_epoch_end(self, run: Run) -> None:
        self._write(run, run.history.epochs - 1)

    def on_train_end(self, run: Run) -> None:
        self._close()

    def on_interrupt(self, run: Run, error: BaseException) -> None:
        self._close()

    def _folder(self, run: str) -> str:
        return os.path.join(self.log_dir, run)

    def _write(self, run: Run, epoch: int) -> None:
        for name, numbers in run.history.items():
            where = "validation" if name.startswith("val_") else "train"
            if where not in self._writers:
                self._writers[where] = self._new(self._folder(where), filename_suffix=_SUFFIX)
            self._writers[where].add_scalar(name.removeprefix("val_"), numbers[epoch], epoch + 1)
        for writer in self._writers.values():
            writer.flush()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
