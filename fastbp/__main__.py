"""``fastbp``, and ``python -m fastbp``: signals are handled before any slow import."""

from .cli import signals


def main() -> int:
    """Runs the command with the arguments of the process, and returns its exit status."""
    signals.take()
    from .cli.main import main

    return main()


if __name__ == "__main__":
    raise SystemExit(main())
