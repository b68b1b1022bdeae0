"""The error that ends a command with a plain sentence."""


class LabError(Exception):
    """Something a person can mend; `hint` says how. Ends the command with status 2."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint
