"""Repositories of diffusers: a pipeline of a U-Net and a scheduler as a model of the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genzoo.config import shown
from genzoo.errors import ConfigFileError
from genzoo.formats import Foreign, Format

MARKER = "model_index.json"
UNET, SCHEDULER = "unet/config.json", "scheduler/scheduler_config.json"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
_PARTS = {"unet": "UNet2DModel", "scheduler": "DDPMScheduler"}
_SCHEDULES = {"linear": "linear", "squaredcos_cap_v2": "cosine"}
_FIXED = {
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "thresholding": False,
    "trained_betas": None,
}
"""Values of a scheduler that hold here; others mean other samples."""
_KEPT = ("num_train_timesteps", "beta_start", "beta_end", "prediction_type", "variance_type")


class DiffusersFormat(Format):
    """A `DDPMPipeline` as diffusers saves it: a `UNet2DModel` with a `DDPMScheduler`."""

    def configs(self, marker: Mapping[str, Any]) -> Sequence[str]:
        """Return the configs of U-Net and scheduler."""
        kind = marker.get("_class_name")
        if kind != "DDPMPipeline":
            raise ConfigFileError(
                f"{MARKER}: a {shown(kind)} of diffusers is not supported. DDPMPipeline is."
            )
        for part, wanted in _PARTS.items():
            if marker.get(part) != ["diffusers", wanted]:
                raise ConfigFileError(
                    f"{MARKER}: {part} is {shown(marker.get(part))}, which is not supported. "
                    f"diffusers' {wanted} is."
                )
        return UNET, SCHEDULER

    def translate(self, found: Mapping[str, Mapping[str, Any]]) -> Foreign:
        """Return the pipeline as a `ddpm`."""
        unet = {k: v for k, v in found[UNET].items() if not k.startswith("_")}
        config = {
            "event_shape": _event_shape(unet),
            "data": "unit",
            "network": "image",
            "unet": unet,
            **_schedule(found[SCHEDULER]),
        }
        return Foreign(model="ddpm", config=config, weights={WEIGHTS: "network.unet."})


def _event_shape(unet: Mapping[str, Any]) -> list[Any]:
    """Return (C, H, W), which the config's own bounds check."""
    channels, size = unet.get("in_channels"), unet.get("sample_size")
    sides = size if isinstance(size, list) else [size, size]
    if channels != unet.get("out_channels") or size is None or len(sides) != 2:
        raise ConfigFileError(
            f"{UNET}: {shown(unet.get('out_channels'))} channels of {shown(channels)}, of the "
            f"size {shown(size)}. As many as go in must come out, and a size must be said."
        )
    return [channels, *sides]


def _schedule(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schedule's fields.

    Raises:
        ConfigFileError: It has values that no sampler of ours has.
    """
    for name, value in _FIXED.items():
        if scheduler.get(name, value) != value:
            _refuse(name, scheduler[name], [value])
    name = scheduler.get("beta_schedule", "linear")
    if name not in _SCHEDULES:
        _refuse("beta_schedule", name, list(_SCHEDULES))
    zero = scheduler.get("rescale_betas_zero_snr", False)
    if zero and name != "linear":
        _refuse("rescale_betas_zero_snr", zero, [False])
    kept = {key: scheduler[key] for key in _KEPT if key in scheduler}
    return {**kept, "schedule": "zero-terminal-snr" if zero else _SCHEDULES[name]}


def _refuse(name: str, value: Any, known: list[Any]) -> None:
    raise ConfigFileError(
        f"{SCHEDULER}: {name} {shown(value)} is not supported; {', '.join(map(str, known))} is."
    )
