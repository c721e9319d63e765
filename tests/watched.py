"""A load under watch: what it opens and imports, what layers it makes, what memory it takes.

Python's audit hooks cannot be taken away again, so this belongs into a process of its own.
"""

import os
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from torch.nn.modules.module import register_module_parameter_registration_hook

# What tells of nothing but a process's own memory. All else that is audited counts, such as
# imports, sockets, processes, pickles, native libraries, and files that are opened or changed.
_HARMLESS = ("object.__", "sys._getframe", "sys.unraisablehook", "sys.excepthook", "builtins.id")
_HARMLESS += ("gc.", "code.__new__", "cpython.")
_READING = ("open", "os.listdir", "os.scandir", "pathlib.Path.glob")
_WRITING = ("open", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "tempfile.mkdtemp")
_MEMORY = "/proc/meminfo"  # How much this machine has, which a large model is held against.


@dataclass
class Seen:
    """What happened while it was watched.

    Arguments:
        events: What is not allowed to happen, as text.
        parameters: How many parameters were registered.
        peak: By how many bytes memory rose at most, where the system tells.
        seconds: The processor's time.
    """

    events: list[str] = field(default_factory=list)
    parameters: int = 0
    peak: int = 0
    seconds: float = 0.0


class Watch:
    """A context in which a load is watched; files of one folder may be read in it, no others."""

    def __init__(self) -> None:
        self._folder = self._scratch = ""
        self._seen: Seen | None = None
        sys.addaudithook(self._audit)
        register_module_parameter_registration_hook(self._count)

    def of(self, folder: Path, scratch: Path | None = None) -> "Watch":
        """Set the folder whose files may be read, and one that may be written to."""
        self._folder = f"{os.path.realpath(folder)}{os.sep}"
        self._scratch = f"{os.path.realpath(scratch)}{os.sep}" if scratch else ""
        return self

    def __enter__(self) -> Seen:
        """Begin to watch."""
        seen = Seen()
        self._before = reset_peak()
        self._started = time.process_time()
        self._seen = seen
        return seen

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        seen, self._seen = self._seen, None
        if seen is not None:
            seen.seconds = time.process_time() - self._started
            seen.peak = peak() - self._before

    def _count(self, *_: object) -> None:
        if self._seen is not None:
            self._seen.parameters += 1

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._seen is None or event.startswith(_HARMLESS):
            return
        if event in _READING and self._may_read(*arguments[: 2 if event == "open" else 1]):
            return
        if self._scratch and event in (*_READING, *_WRITING) and self._in_scratch(*arguments):
            return
        seen, self._seen = self._seen, None  # What follows is this hook's own.
        seen.events.append(f"{event} {arguments!r}"[:200])
        self._seen = seen

    def _in_scratch(self, path: object, *of: object) -> bool:
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        opened = path if type(path) is int else next((n for n in of if type(n) is int), -1)
        if opened >= 0 and not os.path.isabs(name):  # Relative to a folder that is open.
            name = os.path.join(os.readlink(f"/proc/self/fd/{opened}"), name)
        return f"{os.path.realpath(name)}{os.sep}".startswith(self._scratch)

    def _may_read(self, path: object, mode: object = "r", *_: object) -> bool:
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        inside = f"{os.path.realpath(name)}{os.sep}".startswith(self._folder)
        return mode in ("r", "rb", None) and (inside or name == _MEMORY)


def reset_peak() -> int:
    """Return the memory that is in use, and have the peak begin from there where that can be."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return _of_status("VmRSS")


def peak() -> int:
    """Return the most memory that was in use, in bytes."""
    try:
        return _of_status("VmHWM")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _of_status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
