"""Measures the examples of docs/examples/tasks: ``python docs/tasks.py`` prints the seconds of each.

Each runs in this process, pictures included, and its seconds are the least of three runs after one that is
not timed.
"""

import contextlib
import io
import os
import runpy
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent / "examples" / "tasks"


def seconds_of(path):
    """The least seconds of three runs, after one that compiles."""
    import matplotlib.pyplot as plt

    times = []
    for _ in range(4):
        begin = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(path))
        times.append(time.perf_counter() - begin)
        plt.close("all")
    return min(times[1:])


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    for example in sorted(EXAMPLES.glob("plot_*.py")):
        print(f"{example.stem:24} {seconds_of(example):5.2f} s", flush=True)
