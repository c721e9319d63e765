"""One call of `Trainer.fit`: from the folder and the model to the last stage."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator

from genzoo import seeds
from genzoo.capabilities import SupportsDataInit
from genzoo.data import draw_rows
from genzoo.model import GenerativeModel
from genzoo.objective import Objective
from genzoo.training import checkpoint, environment, threads
from genzoo.training.accelerating import on_main, same_everywhere
from genzoo.training.batches import batches, to_device
from genzoo.training.config import TrainerConfig
from genzoo.training.ema import make_average
from genzoo.training.folder import RunFolder
from genzoo.training.inputs import Inputs
from genzoo.training.logs import Log
from genzoo.training.loop import StageLoop, shares_of
from genzoo.training.players import make_players
from genzoo.training.resume_check import demand_same, identity
from genzoo.training.signals import Interrupts
from genzoo.training.stage_scope import model_of, only_part
from genzoo.training.state import StageState
from genzoo.training.update import Updater

if TYPE_CHECKING:
    from genzoo.training.trainer import Trainer

logger = logging.getLogger("genzoo")

INIT_ROWS = 4096


class Run:
    """One call of ``fit``: where it stands, and what it has open."""

    def __init__(self, trainer: Trainer, accelerator: Accelerator, interrupts: Interrupts) -> None:
        self.trainer, self.accelerator, self.interrupts = trainer, accelerator, interrupts
        self.model, self.folder = trainer.model, trainer.folder
        self.stage = 0
        self.threads: int | None = None
        self.last_good: Path | None = None
        self._kept: checkpoint.Checkpoint | None = None
        self._owned = contextlib.ExitStack()

    def open(self, resume: bool) -> None:
        """Look at the folder, prepare the model, and choose the number of threads."""
        self.model.to(self.accelerator.device)
        self._check_stages()
        if self.folder is not None:
            self._kept = self._open_folder(self.folder, resume)
        if self._kept is not None:
            self.stage = self._kept.stage
            self.threads = self._kept.values["threads"]
            self._write_environment()
            return
        self._init_from_data(0)
        self.threads = threads.choose(self.trainer.configs[0], self._make_trial)
        self._write_recipe()
        self._write_environment()

    def close(self) -> None:
        """Leave the folder to others."""
        self._owned.close()

    def play(self, number: int) -> None:
        """Train one stage, from where it stands."""
        stage, config = self.trainer.stages[number], self.trainer.configs[number]
        if self._kept is None:
            self._init_from_data(number)
        with only_part(model_of(stage, self.model), stage.part):
            objective = self.trainer.make_objective(number, self.model)
            _to(objective, self.accelerator.device, self.model.dtype).train()
            same_everywhere(objective, self.accelerator)
            state = StageState(
                self.model,
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
                StageLoop(self, number, state, config, log).run(first)
            if state.average is not None:
                state.average.apply_to(self.model)

    def finish(self) -> GenerativeModel:
        """Publish the model into the folder."""
        self.model.eval()
        if self.folder is not None:
            path = self.folder.path
            on_main(self.accelerator, lambda: self.model.save_pretrained(path))
        return self.model

    def keep(self, made: checkpoint.Checkpoint) -> None:
        """Write a checkpoint on the main process; on all, remember it as the last good one."""
        if self.folder is not None:
            root, keep = self.folder.checkpoints, self.trainer.config.save_total_limit
            on_main(self.accelerator, lambda: checkpoint.save(made, root, keep=keep))
            self.last_good = checkpoint.path_of(made.stage, made.step, root)

    def moved(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch on the device, its conditions checked on the host before."""
        self.trainer.reading.check(batch)
        return to_device(batch, self.accelerator.device, self.model.dtype)

    def _init_from_data(self, number: int) -> None:
        """Show the data to the model that a stage is about, where it asks for them.

        So a model that holds another one starts from what that one makes of the data once it is
        trained.
        """
        stage = self.trainer.stages[number]
        model = model_of(stage, self.model)
        if isinstance(model, SupportsDataInit) and model.needs_data_init():
            data, seed = self.trainer.rows, self.trainer.config.seed
            batch = self.moved(draw_rows(data, INIT_ROWS, seed=seed))
            seed = seeds.derive(seed, "first inputs", number)
            model.init_from_data(*Inputs(stage, self.model).first(batch, data.info, seed))
        same_everywhere(self.model, self.accelerator)

    def _restore(self, state: StageState, number: int) -> tuple[int, int]:
        """Return the updates made and the length of the log, after loading what was kept."""
        kept, self._kept = self._kept, None
        if kept is None:
            return 0, self.folder.log_size() if self.folder and number else 0
        state.load(kept.tensors, kept.values)
        return kept.step, kept.values["metrics_offset"]

    def _check_stages(self) -> None:
        """Raise what is wrong with any stage's values before anything is written or replaced."""
        for number, (stage, config) in enumerate(
            zip(self.trainer.stages, self.trainer.configs, strict=True)
        ):
            shares_of(config, self)
            with only_part(model_of(stage, self.model), stage.part):
                objective = self.trainer.make_objective(number, self.model)
                make_players(objective, config, self.accelerator)
        if self.accelerator.scaler is not None:
            self.accelerator.free_memory()  # It keeps the optimisers that were prepared for it.

    def _open_folder(self, folder: RunFolder, resume: bool) -> checkpoint.Checkpoint | None:
        on_main(self.accelerator, lambda: self._own(folder, resume))
        if not resume:
            return None
        found = folder.newest()
        if found is None:
            return None
        self.last_good, kept = found
        demand_same(
            kept.values["identity"], identity(self.trainer, self.accelerator.num_processes)
        )
        logger.info("Going on from %s.", self.last_good)
        return kept

    def _own(self, folder: RunFolder, resume: bool) -> None:
        """Lock the folder until the run is closed, and look at what it holds."""
        look = folder.demand_run if resume else folder.demand_free
        look()  # A folder that is refused is left as it is, without a lock file.
        self._owned.enter_context(folder.locked())
        if not resume:
            folder.claim()

    def _write_recipe(self) -> None:
        if self.folder is not None and self.accelerator.is_main_process:
            recipe = self.trainer.recipe()
            chosen = dataclasses.replace(recipe.trainer, threads=self.threads)
            self.folder.write_recipe(dataclasses.replace(recipe, trainer=chosen))

    def _write_environment(self) -> None:
        if self.folder is not None and self.accelerator.is_main_process:
            self.folder.write_environment(environment.describe(self.accelerator, self.threads))

    def _make_trial(self) -> Callable[[], None]:
        """Return a function that trains a copy of the first stage for one step."""
        config, trainer = self.trainer.configs[0], self.trainer
        model = copy.deepcopy(self.model)
        objective = trainer.make_objective(0, model)
        _to(objective, self.accelerator.device, model.dtype).train()
        players = make_players(objective, config, self.accelerator)
        shares, inputs = shares_of(config, self), Inputs(trainer.stages[0], model)
        updater = Updater(objective, players, self.accelerator, shares.slots(), config.seed)
        feed = batches(trainer.rows, shares, seed=config.seed, first=0, last=10**6)

        def step() -> None:
            moved = [self.moved(batch) for batch in next(feed)]
            moved = inputs.feed(moved, shares.slots(), config.seed, 0)
            updater.run(moved, 0, config.max_steps or 1)

        return step


def _to(objective: Objective, device: torch.device, dtype: torch.dtype) -> Objective:
    """Move an objective; its own networks compute in the model's type, if it is another one."""
    return objective.to(device) if dtype == torch.float32 else objective.to(device, dtype)


def _compile(objective: Objective, config: TrainerConfig) -> None:
    """Compile each child network in place; names in the state do not change."""
    if config.compile:
        for name, child in [*objective.model.named_children(), *objective.named_children()]:
            if name != "model":
                child.compile()
