"""The package's own environment variables; those of others, such as OMP_NUM_THREADS, are not refused here."""

import os

_LEAST_CACHE, _MOST_CACHE = 1 << 12, 1 << 40  # bytes
_UNITS = {"K": 1 << 10, "M": 1 << 20}
_SHOWN = 40  # characters of a value in a message


def threads_variable() -> int:
    """The number of threads in FASTBP_NUM_THREADS, 0 where it is not set."""
    text = os.environ.get("FASTBP_NUM_THREADS", "")
    number = _whole(text)
    if text and number < 1:
        _refuse("FASTBP_NUM_THREADS", "a whole number of at least 1", text, "use all CPUs")
    return number


def cache_variable() -> int:
    """The bytes of a second-level cache in FASTBP_L2, 0 where it is not set."""
    text = os.environ.get("FASTBP_L2", "")
    unit = text[-1:].upper()
    size = _whole(text[:-1] if unit in _UNITS else text) * _UNITS.get(unit, 1)
    if text and not _LEAST_CACHE <= size <= _MOST_CACHE:
        _refuse("FASTBP_L2", "a size of at least 4K, such as 512K, 2M or 524288", text, "ask the system")
    return size


def amx_variable() -> bool:
    """Tells whether FASTBP_AMX permits the matrix unit of the CPU; it does where it is not set."""
    text = os.environ.get("FASTBP_AMX", "")
    if text not in ("", "0", "1"):
        _refuse("FASTBP_AMX", "0 or 1", text, "use the matrix unit where there is one")
    return text != "0"


def check_variables() -> None:
    """Refuses a variable that is set to an invalid value."""
    threads_variable()
    cache_variable()
    amx_variable()


def _whole(text: str) -> int:
    """The whole number in a text, 0 where there is none."""
    try:
        return int(text)
    except ValueError:
        return 0


def _refuse(name: str, expected: str, text: str, without: str) -> None:
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    raise ValueError(f"{name}: expected {expected}, got {shown!r}; unset it to {without}")
