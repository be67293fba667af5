"""Failures that end the command, with its exit status."""

FAILED, REFUSED, PIPE_CLOSED = 1, 2, 141  # the last as a shell counts SIGPIPE


class Failure(Exception):
    """Ends the command with one line on stderr."""

    def __init__(self, message: object, status: int = REFUSED) -> None:
        super().__init__(" ".join(str(message).split()))
        self.status = status


def reason(error: BaseException) -> str:
    """Returns an error's message without numbers of the system."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"not enough memory: {error}" if isinstance(error, MemoryError) else str(error)


def check_variables() -> None:
    """Refuses invalid values of the package's environment variables."""
    from ..options import environment

    try:
        environment.check_variables()
    except ValueError as error:
        raise Failure(error) from error
