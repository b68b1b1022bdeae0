"""What stands in for time and for death in the tests of every part."""


class ProcessKilled(BaseException):
    """What SIGKILL does, as far as a test can stand it: nothing after it is done."""


class FakeClock:
    """A clock that only sleeping moves; `kill` is the death of the process."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def sleep(self, seconds: float) -> None:
        """Sleep at once, and remember it."""
        self.slept.append(seconds)
        self.now += seconds

    def kill(self) -> None:
        """Raise ProcessKilled."""
        raise ProcessKilled
