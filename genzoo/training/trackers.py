"""Trackers of experiments, by the names that Accelerate gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from accelerate import Accelerator, tracking
from PIL import Image

from genzoo.errors import ConfigError, MissingDependencyError, suggest
from genzoo.training.callbacks import Callback, TrainerState
from genzoo.training.config import TrainerConfig
from genzoo.training.logs import evaluation_row

EXTRA = ("trackio", "tensorboard", "wandb")
"""The trackers whose packages are in the extra ``trackers``."""
_MOST_TEXT = 500


class Trackers(Callback):
    """Sends numbers, pictures and the config to Accelerate's trackers.

    Steps are counted over all stages, because a tracker wants them in order.

    Arguments:
        accelerator: The accelerator with the trackers.
        configs: The training values of each stage.
        recipe: The recipe of the run as plain values, which trackers show as its config.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        configs: Sequence[TrainerConfig],
        recipe: Mapping[str, Any],
    ) -> None:
        self.accelerator, self.configs = accelerator, configs
        for tracker in accelerator.trackers:
            tracker.store_init_configuration(_flat(recipe))

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Send the row of an update."""
        if row is not None:
            self._send(row, state)

    def on_evaluate(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Send the figures of an evaluation."""
        self._send(evaluation_row(state, figures), state)

    def on_sample(self, state: TrainerState, pictures: Mapping[str, Image.Image]) -> None:
        """Send pictures to the trackers that take some."""
        step = self._step(state)
        for tracker in self.accelerator.trackers:
            if isinstance(tracker, tracking.TrackioTracker):
                # Accelerate has no method for its pictures.
                import trackio

                tracker.log({k: trackio.Image(v) for k, v in pictures.items()}, step=step)
            elif isinstance(tracker, tracking.TensorBoardTracker):
                for name, picture in pictures.items():
                    rows = np.asarray(picture.convert("RGB"))[None]
                    tracker.log_images({name: rows}, step=step, dataformats="NHWC")
            elif hasattr(tracker, "log_images"):  # Only some of Accelerate's trackers have it.
                tracker.log_images({k: [v] for k, v in pictures.items()}, step=step)

    def _send(self, row: Mapping[str, Any], state: TrainerState) -> None:
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        self.accelerator.log(numbers, step=self._step(state))

    def _step(self, state: TrainerState) -> int:
        """Return the number of updates of all stages."""
        return state.step + sum(config.max_steps or 0 for config in self.configs[: state.stage])


def check_trackers(names: Sequence[str]) -> None:
    """Raise unless every tracker is known and installed.

    Accelerate leaves out a tracker that is not installed with a warning, so its run is not
    recorded.

    Raises:
        ConfigError: Accelerate has no tracker of this name.
        MissingDependencyError: Its package is not installed.
    """
    known = sorted(tracking.LOGGER_TYPE_TO_CLASS)
    # Accelerate's names are members of an enumeration, which do not equal texts.
    installed = [str(name) for name in tracking.get_available_trackers()]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"report_to: {name!r} is not a tracker of Accelerate. {suggest(name, known)}"
            )
        if name not in installed:
            wanted = "'genzoo[trackers]'" if name in EXTRA else name.replace("_", "-")
            raise MissingDependencyError(
                f"The tracker {name!r} is not installed, so it would record nothing. Install it "
                f"(pip install {wanted}), or leave it out of report_to."
            )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under dotted keys, as numbers and texts: trackers take no others.

    >>> _flat({"model": {"name": "vae", "config": {"hidden_dims": [400, 200]}}})
    {'model.name': 'vae', 'model.config.hidden_dims': '[400, 200]'}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        elif value is not None:
            plain = isinstance(value, (bool, int, float))
            found[name] = value if plain else str(value)[:_MOST_TEXT]
    return found
