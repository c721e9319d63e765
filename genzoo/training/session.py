"""The session: resources that a run holds while it trains."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator

from genzoo.files import replace_text
from genzoo.meaning import Meaning
from genzoo.model import Model
from genzoo.model_files import ENVIRONMENT, MEANINGS, RECIPE, STATUS
from genzoo.saving import save_model
from genzoo.training import checkpoint, environment, snapshots
from genzoo.training.accelerating import accelerating, on_main, others_named, own_randomness
from genzoo.training.batches import BatchPartition
from genzoo.training.callbacks import Callbacks, TrainerState
from genzoo.training.checkpoint import Checkpoint
from genzoo.training.config import TrainerConfig
from genzoo.training.folder import RunFolder
from genzoo.training.meanings import MeaningsFile
from genzoo.training.plan import Plan
from genzoo.training.power_averages import PowerAverages
from genzoo.training.sharding.gathering import Gathering
from genzoo.training.sharding.tensors import gathered, is_sharded
from genzoo.training.signals import Interrupts, listening
from genzoo.training.status import recorded


@dataclass
class Session:
    """The processes, devices, signals and folder of a run; `open_session` opens one.

    Arguments:
        accelerator: The accelerator, for gradients and communication between processes.
        interrupts: Whether a signal has asked the run to stop.
        folder: The output folder; None writes nothing.
        held: Resources that are held until the session ends, such as the folder's lock.
        threads: The number of CPU threads; None leaves it unchanged.
        last_good: The newest valid checkpoint.
        changed: A sentence on a number of updates that the resumed run did not start with, for its
            recipe; empty if there is none.
        callbacks: The callbacks; none on processes other than the main one.
        at: Where training is, for the callbacks.
    """

    accelerator: Accelerator
    interrupts: Interrupts
    folder: RunFolder | None
    held: contextlib.ExitStack
    threads: int | None = None
    last_good: Path | None = None
    changed: str = ""
    callbacks: Callbacks = field(default_factory=Callbacks)
    at: TrainerState = field(default_factory=TrainerState)

    @property
    def device(self) -> torch.device:
        """The device that this process computes on."""
        return torch.device(self.accelerator.device)

    def partition(self, config: TrainerConfig) -> BatchPartition:
        """Return the partition of an update's batch among the processes.

        Raises:
            ConfigError: It cannot be divided equally.
        """
        return BatchPartition(
            config.batch_size or 1,
            config.num_micro_batches,
            self.accelerator.num_processes,
            self.accelerator.process_index,
        )

    def demand_free(self) -> None:
        """Raise where the folder holds what may not be replaced."""
        if self.folder is not None:
            on_main(self.accelerator, self.folder.demand_free)

    def claim(self) -> None:
        """Lock the folder for a new run, and remove the run that it replaces."""
        if self.folder is not None:
            on_main(self.accelerator, partial(self._own, self.folder, resume=False))

    def newest(self, *, lazily: bool = False) -> Checkpoint | None:
        """Lock the folder of the resumed run, and return its newest valid checkpoint.

        It is None if there is no folder, or the run was stopped before its first checkpoint.
        """
        if self.folder is None:
            return None
        on_main(self.accelerator, partial(self._own, self.folder, resume=True))
        found = self.folder.newest(lazily=lazily)
        if found is None:
            return None
        self.last_good, newest = found
        return newest

    def save(self, folder: RunFolder, made: Checkpoint, limit: int) -> Path:
        """Write a checkpoint on the main process; all remember it as the last good one."""
        root = folder.checkpoints
        if any(is_sharded(t) for tensors in made.tensors.values() for t in tensors.values()):
            self._save_gathered(made, root, limit)
        else:
            on_main(self.accelerator, partial(checkpoint.save, made, root, keep=limit))
        self.last_good = checkpoint.path_of(made.stage, made.step, root)
        return self.last_good

    def _save_gathered(self, made: Checkpoint, root: Path, limit: int) -> None:
        """Write a checkpoint of sharded tensors, which all processes gather in the same order."""
        gathering = Gathering(made.tensors)

        def write() -> Path:
            try:
                return checkpoint.save(made, root, keep=limit, whole=gathering.take)
            finally:
                gathering.finish()  # After an error too, or the others would wait.

        if not self.accelerator.is_main_process:
            gathering.finish()
        on_main(self.accelerator, write)

    def write_snapshots(self, averages: PowerAverages | None, stage: int, step: int) -> None:
        """Write the snapshots of averages after an update, on the main process."""
        if self.folder is not None and averages is not None:
            folder = self.folder.path
            for sigma_rel, tensors in averages.snapshots():
                made = [(sigma_rel, {name: gathered(t) for name, t in tensors.items()})]
                on_main(self.accelerator, partial(snapshots.write, folder, stage, step, made))

    def forget_snapshots(self, stage: int, step: int) -> None:
        """Remove snapshots that are later than the update from which training goes on."""
        if self.folder is not None:
            folder = self.folder.path
            on_main(self.accelerator, partial(snapshots.forget_after, folder, stage, step))

    def publish(self, model: Model, name: str = "") -> None:
        """Write the model into the folder, or with the recipe into its subfolder of a name."""
        if self.folder is not None:
            on_main(self.accelerator, partial(_publish, model, self.folder.path, name))

    def write_recipe(self, plan: Plan) -> None:
        """Write recipe.toml, with the number of threads that was chosen."""
        if self.folder is not None and self.accelerator.is_main_process:
            recipe = plan.recipe()
            chosen = dataclasses.replace(recipe.trainer, threads=self.threads)
            recipe = dataclasses.replace(recipe, trainer=chosen)
            path = self.folder.path / RECIPE.name
            replace_text(path, self._comments(path) + recipe.to_toml())

    def _comments(self, path: Path) -> str:
        """Return the comments of the recipe: earlier ones, and on a changed number of updates."""
        if not self.changed:
            return ""
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if line.startswith("# ")]
        return "\n".join(dict.fromkeys([*kept, f"# {self.changed}"])) + "\n"

    def describe(self, stage: int, meanings: Mapping[str, Meaning]) -> None:
        """Keep what the figures of a stage mean, for the report."""
        if self.folder is not None and self.accelerator.is_main_process:
            MeaningsFile(self.folder.path / MEANINGS.name).add(stage, meanings)

    def recording(self) -> contextlib.AbstractContextManager[None]:
        """Record in the folder that the run is running, and how it ends."""
        own = self.folder is not None and self.accelerator.is_main_process
        return recorded(self.folder.path / STATUS.name if self.folder and own else None)

    def write_environment(self) -> None:
        """Write environment.json; resuming elsewhere replaces it."""
        if self.folder is not None and self.accelerator.is_main_process:
            found = environment.describe(self.accelerator, self.threads)
            text = json.dumps(found, indent=2)
            replace_text(self.folder.path / ENVIRONMENT.name, f"{text}\n")

    def _own(self, folder: RunFolder, *, resume: bool) -> None:
        """Lock the folder until the session ends, and check its content."""
        look = folder.demand_run if resume else folder.demand_free
        look()  # A folder that is refused is left unchanged, without a lock file.
        # Two runs in one folder would overwrite each other's checkpoints, so only the owner of the
        # lock may train there. The system releases the lock of a killed run.
        self.held.enter_context(folder.locked())
        if not resume:
            folder.claim()


def _publish(model: Model, folder: Path, name: str) -> None:
    save_model(model, folder / name)
    if name:
        # So that a subfolder is whole: it can be evaluated, published and made again.
        recipe = (folder / RECIPE.name).read_text("utf-8")
        replace_text(folder / name / RECIPE.name, f"# The {name} weights of the run.\n{recipe}")


@contextlib.contextmanager
def open_session(config: TrainerConfig, folder: RunFolder | None) -> Iterator[Session]:
    """Open a session; afterwards restore signals, seeds and Accelerate's state.

    Raises:
        TrainingError: Another process of the run has ended, or Accelerate's set-up is refused.
    """
    with (
        listening() as interrupts,
        accelerating(config, folder.path if folder else None) as accelerator,
        own_randomness(accelerator.device),
        others_named(accelerator),
        contextlib.ExitStack() as held,
    ):
        yield Session(accelerator, interrupts, folder, held)
