"""Processes that may use some of the machine's cores only, so that every library finds as many threads."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any


def cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def run(module: str, arguments: list[str], count: int) -> Iterator[Any]:
    """The lines, of JSON, that ``python -m module`` prints on the first `count` cores."""
    pin = partial(os.sched_setaffinity, 0, cores()[:count]) if hasattr(os, "sched_setaffinity") else None
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(process.returncode)
