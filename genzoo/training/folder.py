"""The folder of a run: its content, and who may write into it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from genzoo.description import written_places
from genzoo.errors import CheckpointError, OutputExistsError, RunningError
from genzoo.files import check_no_link, disk_full_named, remove
from genzoo.model_files import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    EMA,
    EMA_SNAPSHOTS,
    INDEX,
    LAST,
    LEFTOVERS,
    LOCK,
    METRICS,
    PROGRESS,
    RECIPE,
    SHARDS,
    TRACKERS,
    WEIGHTS,
    file_of,
)
from genzoo.training import checkpoint

logger = logging.getLogger("genzoo")

# Workers of a killed run hold its lock until they notice its end, within five seconds.
LOCK_SECONDS = 6.0
_RUN = (RECIPE, METRICS, CONFIG, CHECKPOINTS, WEIGHTS, SHARDS, INDEX, LEFTOVERS)
"""The files of a folder that holds a run or a model."""
_INTO = (CHECKPOINTS, PROGRESS, BEST, LAST, EMA_SNAPSHOTS, EMA, TRACKERS, METRICS)
"""Files and folders that are written into rather than replaced."""


def is_locked(folder: Path) -> bool:
    """Whether a run trains in a folder now, on this machine; nothing is created."""
    path = folder / LOCK.name
    if not path.is_file() or path.is_symlink():
        return False
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:  # It is an OSError too.
        return True
    except (OSError, NotImplementedError):  # The folder is not ours, or has no locks.
        return False
    lock.release()
    return False


@dataclass(frozen=True)
class RunFolder:
    """The output folder of a run: a model folder with the run's own files.

    Arguments:
        path: The folder.
        overwrite: Whether another run in it may be replaced.
    """

    path: Path
    overwrite: bool = False

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / CHECKPOINTS.name

    @property
    def samples(self) -> Path:
        """The folder of pictures."""
        return self.path / PROGRESS.name

    def log_size(self) -> int:
        """Return the length of metrics.jsonl."""
        path = self.path / METRICS.name
        return path.stat().st_size if path.exists() else 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder while a run trains in it; create it if it does not exist.

        The system releases the lock when the process ends, however it ends.

        Raises:
            RunningError: Another run trains in it.
            OutputExistsError: The path is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputExistsError(f"{str(self.path)!r} is a file. Choose a folder.")
        lock = filelock.FileLock(self.path / LOCK.name)
        with disk_full_named(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        check_no_link(self.path / LOCK.name)
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except filelock.Timeout as error:  # It is an OSError too.
            raise RunningError(
                f"Another run is training in {str(self.path)!r}. Wait until it ends, stop it, or "
                "choose another folder."
            ) from error
        except NotImplementedError:  # Some network file systems have no locks.
            logger.info("The file system of %s has no locks: start one run at a time.", self.path)
        try:
            yield
        finally:
            lock.release()

    def claim(self) -> None:
        """Prepare the folder for a new run.

        Raises:
            OutputExistsError: It holds another run, and ``overwrite`` is False.
            LoadError: A path that would be written into is a link.
        """
        self.demand_free()
        if self._occupied():
            self._clear()
            self._check_links()

    def demand_free(self) -> None:
        """Check the folder for a new run, without writing.

        Raises:
            OutputExistsError: It holds another run, and ``overwrite`` is False.
            LoadError: A path that would be written into is a link.
        """
        occupied = self._occupied()
        if occupied and not self.overwrite:
            raise OutputExistsError(
                f"{str(self.path)!r} holds another run or model. Resume it (--resume), "
                "replace it (--overwrite), or choose another folder. In Python: fit(resume=True) "
                "or Trainer(..., overwrite=True)."
            )
        if not occupied:
            self._check_links()

    def demand_run(self) -> None:
        """Raise CheckpointError if the folder has no run to resume."""
        if not (self.path / RECIPE.name).exists():
            raise CheckpointError(
                f"{str(self.path)!r} has no run to resume. Leave --resume out to start one."
            )

    def newest(self, *, lazily: bool = False) -> tuple[Path, checkpoint.Checkpoint] | None:
        """Return the newest valid checkpoint, or None if the run was stopped before its first.

        Raises:
            CheckpointError: There is no run in the folder, or none of its checkpoints is valid.
            LoadError: A path that would be written into is a link.
        """
        self._check_links()
        self.demand_run()
        found = checkpoint.load_newest(self.checkpoints, lazily=lazily)
        if found is None:
            broken = [path.name for path in checkpoint.list_checkpoints(self.checkpoints)]
            if broken:
                raise CheckpointError(f"No checkpoint of {self.path} is valid: {broken}.")
            logger.info("No checkpoint had been written; starting at step 0.")
            return None
        path, newest, passed = found
        for name in passed:
            logger.info("Skipped the checkpoint %s.", name)
        return path, newest

    def _occupied(self) -> bool:
        return any(file.matches(name) for name in self._names() for file in _RUN)

    def _names(self) -> list[str]:
        """Return the names in the folder, including broken links."""
        return os.listdir(self.path) if self.path.is_dir() else []

    def _check_links(self) -> None:
        for file in _INTO:
            check_no_link(self.path / file.name)

    def _clear(self) -> None:
        """Remove another run: links themselves, not their targets."""
        with disk_full_named(self.path):
            for file in _INTO:
                if file.cleared or (self.path / file.name).is_symlink():
                    remove(self.path / file.name)
            for name in written_places(self.path).paths:
                if "/" in name:
                    check_no_link((self.path / name).parent)
                (self.path / name).unlink(missing_ok=True)
            for name in self._names():
                row = file_of(name)
                if row is not None and row.cleared:
                    (self.path / name).unlink(missing_ok=True)
