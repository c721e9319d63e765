"""Trainer: what is trained, on what, how."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from genzoo.data import Dataset, as_dataset
from genzoo.errors import TrainingError
from genzoo.model import Model
from genzoo.model_files import METRICS
from genzoo.objective import Objective
from genzoo.stage import Recipe, Stage
from genzoo.training.callbacks import Callback, Callbacks
from genzoo.training.config import TrainerConfig, check_ema
from genzoo.training.curves import plot_history
from genzoo.training.factories import Factories, LRSchedulerFactory, OptimizerFactory
from genzoo.training.folder import RunFolder
from genzoo.training.history import History
from genzoo.training.logs import KeepRows, MetricsFile, PictureFiles
from genzoo.training.loop import Start, train
from genzoo.training.plan import make_plan
from genzoo.training.progress import following
from genzoo.training.session import Session, open_session
from genzoo.training.start import start
from genzoo.training.trackers import Trackers


class Trainer:
    """Trains a model on data, stage by stage.

    It makes a plan of what is given, and runs the loop (`genzoo.training.loop`) on it.

    Arguments:
        model: The model that is trained in place.
        data: A dataset, or an array or tensor of rows.
        objective: An objective's registered name, an objective, a stage, or several stages; the
            model's own stages by default.
        config: What the user decides; values left out are the stage's.
        eval_data: Held-out rows, on which the objective's loss and ``config.eval_metrics`` are
            computed during training; see `TrainerConfig.eval_steps`.
        optimizer: A function from the parameters of a player to its optimiser, in place
            of a registered one, such as ``lambda parameters: torch.optim.NAdam(parameters)``;
            or such a function for each of some players by name.
        lr_scheduler: A function from an optimiser and the number of updates to its schedule, a
            `torch.optim.lr_scheduler.LRScheduler` that includes warm-up; likewise.
        callbacks: What else is called during training; see `Callback`.
        output_dir: Where checkpoints, metrics, pictures and at the end the model are written;
            None writes nothing.
        overwrite: Whether a run that is in ``output_dir`` may be replaced.

    Raises:
        DataError: The data do not fit the model, lack a condition, or have labels outside of its
            space.
        ConfigError: A stage's inputs do not encode, or do not fit; or a tracker is unknown; or
            values for evaluations contradict each other; or a function and the config both decide
            an optimiser or a schedule; or ``ema_sigma_rel`` is given without ``output_dir``.
        MissingDependencyError: A tracker is not installed.
        CapabilityError: The objective needs what the model lacks, or the model does not support a
            metric of the evaluations.

    Attributes:
        history: A row for each update that is logged and for each evaluation, as in metrics.jsonl;
            ``trainer.history.to_frame()`` is a table. A resumed run keeps the rows before.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset | Any,
        objective: str | Objective | Stage | Sequence[Stage] | None = None,
        config: TrainerConfig | None = None,
        *,
        eval_data: Dataset | Any = None,
        optimizer: OptimizerFactory | Mapping[str, OptimizerFactory] | None = None,
        lr_scheduler: LRSchedulerFactory | Mapping[str, LRSchedulerFactory] | None = None,
        callbacks: Sequence[Callback] = (),
        output_dir: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> None:
        held_out = None if eval_data is None else as_dataset(eval_data)
        factories = Factories(optimizer, lr_scheduler)
        check_ema(config or TrainerConfig(), has_folder=output_dir is not None)
        self.plan = make_plan(
            model, as_dataset(data), objective, config or TrainerConfig(), held_out, factories
        )
        self.callbacks = list(callbacks)
        self.history = History()
        self.folder = None if output_dir is None else RunFolder(Path(output_dir), overwrite)
        self._began = False

    @property
    def model(self) -> Model:
        """What learns."""
        return self.plan.model

    def fit(self, *, resume: bool = False) -> Model:
        """Train, and return the model, with its averaged weights where there are any.

        Arguments:
            resume: Resume from the newest good checkpoint of ``output_dir``, bit-exactly. With
                another ``max_steps``, a finished run goes on; schedules then follow the new total.

        Raises:
            DataError: A row has a condition that the model does not know.
            NotFiniteError: A loss or gradient is not finite; the update was not made.
            TrainingInterrupted: Ctrl-C or SIGTERM; the run was saved.
            OutputExistsError: ``output_dir`` holds another run.
            CheckpointError: The run cannot be resumed identically.
            RunningError: Another run is training in ``output_dir``.
            TrainingError: Another process of the run has ended; or gradients are disabled
                (``torch.no_grad``, ``torch.inference_mode``); or ``optimizer`` or ``lr_scheduler``
                return what cannot be used; or a second run would start from trained weights.
            LoadError: What would be written into, such as ``checkpoints``, is a link.
        """
        _demand_gradients()
        if self._began and not resume:
            raise TrainingError(
                "This Trainer has trained its model already, so its recipe would not say what a "
                "second run starts from. Make another Trainer to train the model further, or "
                "resume a run that has an output_dir with fit(resume=True)."
            )
        with open_session(self.plan.config, self.folder) as session:
            is_main = session.accelerator.is_main_process
            with following(self.plan.config, is_main) as shown:
                found = start(self.plan, session, resume=resume)
                self.history.clear()
                if is_main:
                    recorders = self._recorders(session, found)
                    session.callbacks = Callbacks([*recorders, *shown, *self.callbacks])
                self.plan, self._began = found.plan, True
                with session.recording():
                    return train(session, found)

    def _recorders(self, session: Session, found: Start) -> list[Callback]:
        """Return the callbacks that record the run, on the main process."""
        callbacks: list[Callback] = [KeepRows(self.history)]
        if self.folder is not None:
            offset = found.checkpoint.values["metrics_offset"] if found.checkpoint else 0
            file = MetricsFile(self.folder.path / METRICS.name, offset)
            self.history.extend(file.rows())
            callbacks += [file, PictureFiles(self.folder.samples)]
        if self.plan.config.report_to:
            recipe = found.plan.recipe().to_dict()
            callbacks.append(Trackers(session.accelerator, found.plan.configs, recipe))
        return callbacks

    def plot(self, *names: str) -> Any:
        """Return a matplotlib figure of curves of `history`.

        Arguments:
            names: The columns; by default the losses and what was evaluated. A loss and its
                evaluation share a panel.

        Raises:
            ConfigError: There is no such column.
        """
        return plot_history(self.history, names)

    def recipe(self) -> Recipe:
        """Return the recipe of this run."""
        return self.plan.recipe()


def _demand_gradients() -> None:
    if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        how = "inference_mode" if torch.is_inference_mode_enabled() else "no_grad"
        raise TrainingError(
            f"fit computes gradients, which torch.{how}() disables here. Call fit outside of it."
        )
