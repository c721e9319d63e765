"""The fields of a model in the config of a scheduler: its noise and prediction type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.plugin import ConfigFileError, shown

SCHEDULER = "scheduler/scheduler_config.json"
OF_NOISE = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
"""Schedulers whose configs have the same fields for the noise."""
_SCHEDULES = {
    "linear": "linear",
    "scaled_linear": "scaled-linear",
    "squaredcos_cap_v2": "cosine",
}
_PREDICTIONS = ("epsilon", "sample", "v_prediction")
_STATED = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
_CHAIN = {"clip_sample": True, "clip_sample_range": 1.0, "thresholding": False}
"""The supported values of a DDPMScheduler; others would mean other samples."""


def noise(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a model's noise from a scheduler of one of the classes `OF_NOISE`.

    Its steps are not part of the model; they belong to the sampler.

    Raises:
        ConfigFileError: A field is missing, or its noise is not supported.
    """
    for name in _STATED:  # Their defaults differ from class to class.
        if scheduler.get(name) is None:
            raise ConfigFileError(f"{SCHEDULER}: {name} is missing. Save the pipeline again.")
    return _noise(scheduler)


def chain(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the noise and of the steps of a DDPMScheduler.

    Raises:
        ConfigFileError: A value is not supported.
    """
    for name, value in _CHAIN.items():
        if scheduler.get(name, value) != value:
            _refuse(name, scheduler[name], [value])
    kept = {key: scheduler[key] for key in ("variance_type",) if key in scheduler}
    return {**kept, **_noise(scheduler)}


def _noise(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    if scheduler.get("trained_betas") is not None:
        _refuse("trained_betas", scheduler["trained_betas"], [None])
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS:
        _refuse("prediction_type", prediction, list(_PREDICTIONS))
    kept = ("num_train_timesteps", "beta_start", "beta_end")
    found = {name: scheduler[name] for name in kept if name in scheduler}
    return {**found, "prediction_type": prediction, "schedule": _schedule(scheduler)}


def _schedule(scheduler: Mapping[str, Any]) -> str:
    name = scheduler.get("beta_schedule", "linear")
    if not isinstance(name, str) or name not in _SCHEDULES:
        _refuse("beta_schedule", name, list(_SCHEDULES))
    zero = scheduler.get("rescale_betas_zero_snr", False)
    if zero and name != "linear":
        _refuse("rescale_betas_zero_snr", zero, [False])
    return "zero-terminal-snr" if zero else _SCHEDULES[name]


def _refuse(name: str, value: Any, known: list[Any]) -> None:
    raise ConfigFileError(
        f"{SCHEDULER}: {name} {shown(value)} is not supported; {', '.join(map(str, known))} is."
    )
