"""What a service uses and the simulation does not have: a run with such a hole shows nothing, so it ends at once."""

import logging

MISTAKES = (AttributeError, TypeError, NameError)


class Hole(BaseException):
    """A service's code ended with a mistake of programming: in itself, or in what stands for its libraries here."""


class Holes(logging.Handler):
    """Raises what the services catch and log. A loop goes on after any error, and a request is answered 500."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise Hole for the error of this line of the log, if it is such a mistake."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, MISTAKES):
            raise Hole(f"{record.getMessage()}: {type(error).__name__}: {error}") from error


def watch() -> None:
    """Let every error that the services log be looked at, and nothing else of their logs."""
    logging.disable(logging.WARNING)
    logging.getLogger().handlers = [Holes()]
