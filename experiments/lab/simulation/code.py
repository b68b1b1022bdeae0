"""Which code runs: the services as they are, or with what a file as those of `experiments/broken` replaces."""

import copy
import functools
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from campus.database import DatabaseDown

from lab.errors import LabError
from lab.simulation import cheap_apps
from lab.simulation.disk import Disks
from lab.simulation.part import SimulatedPart
from lab.simulation.process import Crash

TRANSACTION = "campus.database.Database.transaction"


class Code:
    """The code of a part's services. With `file`, some functions of one service are those of that file.

    All services share one interpreter. So what the file puts in place of a function is put back, and a function that
    chooses by the service that runs is put there instead.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.module: ModuleType | None = None
        self.service = ""
        self.caught_by: tuple[str, ...] = ()
        self.without_transactions: set[str] = set()  # services whose own code says when something is committed
        self._memory: dict[str, Any] = {}

    def load(self, part: SimulatedPart, disks: Disks, *, current: Callable[[], str]) -> None:
        """Import the services of a part, and the file."""
        logs = import_module("campus.logs")
        logs.__dict__["set_up"] = lambda _name: None
        faults: Any = import_module("campus.faults").Faults
        faults.__init__.__kwdefaults__["kill"] = _crash  # at a configured crash point
        cheap_apps.use(current)
        for process, name in part.apps.items():
            import_module(name).__dict__["Database"] = disks.opener(process.partition("-")[0])
        if self.file is not None:
            self._load_file(self.file, part, disks, current)

    def create_app(self, module: str, env: dict[str, str]) -> Any:
        """Make the app of a service. Without its database a service ends, and its supervisor starts it again."""
        try:
            return sys.modules[module].create_app(env)
        except DatabaseDown as error:
            raise Crash(f"cannot start: {error}") from None

    def forget(self, service: str | None = None) -> None:
        """Empty what the file's module holds in memory: its process is gone, or a run begins."""
        if self.module is not None and service in (None, self.service):
            for name, value in self._memory.items():
                held = getattr(self.module, name)
                held.clear()
                held.extend(value) if isinstance(held, list) else held.update(value)

    def _load_file(self, file: Path, part: SimulatedPart, disks: Disks, current: Callable[[], str]) -> None:
        spec = spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise LabError(f"there is no file {file}")
        module = module_from_spec(spec)
        self._said(file, part)
        right = {dotted: _find(dotted) for dotted in self.replaces}
        spec.loader.exec_module(module)
        self.module = module
        for dotted, (owner, name, function) in right.items():
            wrong = owner.__dict__[name]
            setattr(owner, name, _either(function, wrong, lambda: current() == self.service))
            if dotted == TRANSACTION:
                self.without_transactions.add(self.service)
                disks.broken.add(self.service)
        for name, value in vars(module).items():
            if not name.startswith("__") and type(value) in (dict, set, list):
                self._memory[name] = copy.deepcopy(value)

    def _said(self, file: Path, part: SimulatedPart) -> None:
        from lab.runtime.broken import read

        version = read(file)
        if version.part != part.name:
            raise LabError(f"{file.name} is a service of {version.part}", f"./lab explore {version.part} …")
        self.service, self.replaces, self.caught_by = version.service, version.replaces, version.caught_by


def _crash() -> None:
    raise Crash("killed at its crash point")


def _find(dotted: str) -> tuple[Any, str, Any]:
    """Return the module or class, the name in it, and the function: of "broker.worker.Worker.step"."""
    words = dotted.split(".")
    for n in range(len(words) - 1, 0, -1):
        try:
            owner: Any = import_module(".".join(words[:n]))
        except ModuleNotFoundError:
            continue
        for word in words[n:-1]:
            owner = getattr(owner, word)
        return owner, words[-1], owner.__dict__[words[-1]]
    raise LabError(f"there is no {dotted}")


def _either(right: Any, wrong: Any, is_wrong: Callable[[], bool]) -> Any:
    @functools.wraps(right)
    def function(*args: Any, **options: Any) -> Any:
        return (wrong if is_wrong() else right)(*args, **options)

    return function
