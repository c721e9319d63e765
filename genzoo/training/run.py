"""One call of `Trainer.fit`: the loop itself."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator

from genzoo import __version__, seeds
from genzoo.capabilities import SupportsDataInit
from genzoo.errors import CheckpointError, NotFiniteError, TrainingInterrupted
from genzoo.model import GenerativeModel
from genzoo.objective import Objective
from genzoo.plotting import save_picture
from genzoo.training import checkpoint, threads
from genzoo.training.accelerating import same_everywhere
from genzoo.training.batches import Shares, batches, to_device
from genzoo.training.config import TrainerConfig
from genzoo.training.ema import make_average
from genzoo.training.folder import RunFolder
from genzoo.training.interrupts import Interrupts
from genzoo.training.logs import Log
from genzoo.training.parts import only_part
from genzoo.training.players import make_players
from genzoo.training.state import StageState
from genzoo.training.update import Updater

if TYPE_CHECKING:
    from genzoo.training.trainer import Trainer

INIT_ROWS = 4096
SAMPLES_IN_PICTURE = 64


class Run:
    """One call of ``fit``: where it stands, and what it has open."""

    def __init__(self, trainer: Trainer, accelerator: Accelerator, interrupts: Interrupts) -> None:
        self.trainer, self.accelerator, self.interrupts = trainer, accelerator, interrupts
        self.model, self.folder = trainer.model, trainer.folder
        self.stage = 0
        self.threads: int | None = None
        self.last_good: Path | None = None
        self._kept: checkpoint.Checkpoint | None = None

    def open(self, resume: bool) -> None:
        """Look at the folder, prepare the model, and choose the number of threads."""
        self.model.to(self.accelerator.device)
        if self.folder is not None:
            self._kept = self._open_folder(self.folder, resume)
        if self._kept is not None:
            self.stage = self._kept.stage
            self.threads = self._kept.values["threads"]
            return
        if isinstance(self.model, SupportsDataInit) and self.model.needs_data_init():
            batch = to_device(self.trainer.data.head(INIT_ROWS), self.accelerator.device)
            self.model.init_from_data(batch, self.trainer.data.spec)
        same_everywhere(self.model, self.accelerator)
        self.threads = threads.choose(self.trainer.configs[0], self._make_trial)
        self._write_recipe()

    def play(self, number: int) -> None:
        """Train one stage, from where it stands."""
        stage, config = self.trainer.stages[number], self.trainer.configs[number]
        with only_part(self.model, stage.part):
            objective = self.trainer.make_objective(number, self.model)
            objective.to(self.accelerator.device).train()
            same_everywhere(objective, self.accelerator)
            state = StageState(
                objective,
                make_players(objective, config, self.accelerator),
                make_average(self.model, config.ema_decay),
                self.accelerator,
            )
            first, offset = self._restore(state, number)
            _compile(objective, config)
            folder = self.folder.path if self.folder else None
            log = Log(
                config, stage.objective.name, folder, self.accelerator, first=first, offset=offset
            )
            with contextlib.closing(log):
                self._loop(number, state, config, log, first)
            if state.average is not None:
                state.average.apply_to(self.model)

    def finish(self) -> GenerativeModel:
        """Publish the model into the folder."""
        self.model.eval()
        if self.folder is not None and self.accelerator.is_main_process:
            self.model.save_pretrained(self.folder.path)
        self.accelerator.wait_for_everyone()
        return self.model

    def _loop(
        self, number: int, state: StageState, config: TrainerConfig, log: Log, first: int
    ) -> None:
        total, device = config.steps or 1, self.accelerator.device
        shares = self._shares(config)
        updater = Updater(
            state.objective,
            state.players,
            self.accelerator,
            shares.slots(),
            seeds.derive(config.seed, number),
        )
        feed = batches(
            self.trainer.data,
            shares,
            seed=seeds.derive(config.seed, number),
            first=first,
            last=total,
            num_workers=config.num_workers,
        )
        if self.accelerator.num_processes == 1:
            self._leave_if_asked(number, first, state, log, saved=False)
        for index, micro in zip(range(first, total), feed, strict=True):
            try:
                moves = updater.run(
                    [to_device(batch, device) for batch in micro],
                    index,
                    total,
                    leaving=self.interrupts.signum != 0,
                )
            except NotFiniteError as error:
                raise NotFiniteError(f"{error} {self._remedy()}") from error
            if state.average is not None:
                state.average.update(self.model)
            step = index + 1
            log.step(number, step, moves, state.players)
            due = config.checkpoint_every and step % config.checkpoint_every == 0
            saved = bool(due or step == total)
            if saved:
                self._save(number, step, state, log)
            if config.sample_every and step % config.sample_every == 0:
                self._draw(number, step, state)
            if updater.left or self.accelerator.num_processes == 1:
                self._leave_if_asked(
                    number,
                    step,
                    state,
                    log,
                    saved=saved,
                    asked=updater.left or self.interrupts.signum != 0,
                )

    def _leave_if_asked(
        self,
        number: int,
        step: int,
        state: StageState,
        log: Log,
        *,
        saved: bool,
        asked: bool | None = None,
    ) -> None:
        """Save and leave where a signal has come, at a step's end, on every process alike."""
        if not (self.interrupts.signum if asked is None else asked):
            return
        if not saved:
            self._save(number, step, state, log)
        where = f"; it is saved in {self.last_good}. Go on with --resume" if self.folder else ""
        raise TrainingInterrupted(
            f"Training was stopped by a signal after step {step}{where}.",
            self.interrupts.signum or 15,
        )

    def _save(self, number: int, step: int, state: StageState, log: Log) -> None:
        if self.folder is None:
            return
        tensors, values = state.tensors(), state.values()
        if self.accelerator.is_main_process:
            values |= {
                "metrics_offset": log.offset(),
                "threads": self.threads,
                "identity": self._identity(),
            }
            versions = {"genzoo": __version__, "torch": torch.__version__}
            self.last_good = checkpoint.save(
                checkpoint.Checkpoint(number, step, tensors, values, versions),
                self.folder.checkpoints,
                keep=self.trainer.config.keep,
            )
        self.accelerator.wait_for_everyone()

    def _restore(self, state: StageState, number: int) -> tuple[int, int]:
        """Return the updates made and the length of the log, after loading what was kept."""
        kept, self._kept = self._kept, None
        if kept is None:
            path = self.folder.path / "metrics.jsonl" if self.folder else None
            return 0, path.stat().st_size if number and path is not None and path.exists() else 0
        state.load(kept.tensors, kept.values)
        return kept.step, kept.values["metrics_offset"]

    def _open_folder(self, folder: RunFolder, resume: bool) -> checkpoint.Checkpoint | None:
        if not resume:
            if self.accelerator.is_main_process:
                folder.claim()
            self.accelerator.wait_for_everyone()
            return None
        found = folder.newest()
        if found is None:
            return None
        self.last_good, kept = found
        _compare(kept.values["identity"], self._identity())
        return kept

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a resumed run to be the identical one."""
        free = {
            "checkpoint_every",
            "keep",
            "sample_every",
            "log_every",
            "log_with",
            "progress",
            "num_workers",
            "threads",
            "compile",
        }
        trainer = self.trainer
        return {
            "model": trainer.model.config.to_dict(),
            "data": {"name": trainer.data.name, "rows": len(trainer.data)},
            "stages": [stage.to_dict() for stage in trainer.stages],
            "trainer": [
                {k: v for k, v in config.to_dict().items() if k not in free}
                for config in trainer.configs
            ],
        }

    def _write_recipe(self) -> None:
        if self.folder is not None and self.accelerator.is_main_process:
            recipe = self.trainer.recipe()
            chosen = dataclasses.replace(recipe.trainer, threads=self.threads)
            self.folder.write_recipe(dataclasses.replace(recipe, trainer=chosen))

    def _make_trial(self) -> Callable[[], None]:
        """Return a function that trains a copy of the first stage for one step."""
        config, trainer = self.trainer.configs[0], self.trainer
        model = copy.deepcopy(self.model)
        objective = trainer.make_objective(0, model).to(self.accelerator.device).train()
        players = make_players(objective, config, self.accelerator)
        shares = self._shares(config)
        updater = Updater(objective, players, self.accelerator, shares.slots(), config.seed)
        feed = batches(trainer.data, shares, seed=config.seed, first=0, last=10**6)

        def step() -> None:
            micro = [to_device(batch, self.accelerator.device) for batch in next(feed)]
            updater.run(micro, 0, config.steps or 1)

        return step

    def _shares(self, config: TrainerConfig) -> Shares:
        accelerator = self.accelerator
        return Shares(
            config.batch_size or 1,
            config.gradient_accumulation,
            accelerator.num_processes,
            accelerator.process_index,
        )

    def _draw(self, number: int, step: int, state: StageState) -> None:
        if self.folder is None or not self.accelerator.is_main_process:
            return
        model = state.average.model if state.average is not None else self.model
        if model.condition_kind != "none":
            return
        x = model.sample(SAMPLES_IN_PICTURE, seed=self.trainer.config.seed)
        name = f"stage-{number:03d}-step-{step:09d}.png"
        save_picture(x, self.folder.samples / name)

    def _remedy(self) -> str:
        good = f"The last good checkpoint is {self.last_good}. " if self.last_good else ""
        return (
            f"{good}Lower the learning rate (--trainer.optimizers.PLAYER.lr), clip gradients "
            "(--trainer.clip-norm 1), or warm up (--trainer.warmup-steps)."
        )


def _compile(objective: Objective, config: TrainerConfig) -> None:
    """Compile each child network in place; names in the state do not change."""
    if config.compile:
        for name, child in [*objective.model.named_children(), *objective.named_children()]:
            if name != "model":
                child.compile()


def _compare(then: Any, now: Any) -> None:
    """Raise CheckpointError where the run that is resumed was another one."""
    changed = list(_changes(then, now, ""))
    if changed:
        raise CheckpointError(
            f"The run in this folder was another one: {'; '.join(changed[:5])}. Resume with the "
            "values it was started with, or start anew in another folder."
        )


def _changes(then: Any, now: Any, path: str) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() | now.keys()):
            yield from _changes(then.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from _changes(a, b, f"{path}[{i}]")
    elif then != now:
        yield f"{path} was {then!r}, is {now!r}"
