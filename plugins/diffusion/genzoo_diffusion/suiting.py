"""Defaults that follow from the data: the network for a shape, the noise, and training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from genzoo.plugin import Component, Stage

_LARGE_SIDE, _SMALLEST_SIDE = 16, 7
_CHANNELS, _MOST_CHANNELS = 16, 64
_WIDTH, _TRANSFORMER_WIDTH, _FEW = 256, 64, 8
_UNET = frozenset({"channels", "layers_per_block", "attention_levels", "dropout", "unet"})


def suited(shape: Sequence[int], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a diffusion model for data of a shape, without those that are given.

    - Images with sides of at least 16 get a U-Net whose step a CPU can afford: its levels halve
      the image while its sides are even and above 7, with 16 channels at the finest level and
      twice as many at each further one, up to 64. It predicts v, which determines x₀ at every time
      (Salimans, Ho, 2022).
    - Smaller images, unless a field of the U-Net is given, and other data get fully connected
      layers of 256 units, whose step is several times faster. They predict x₀, because data lie
      near a surface of few dimensions and noise does not (Li, He, 2025).
    - A transformer, for those who ask for it, has vectors of 64, so that a CPU can afford its
      step. It predicts v, as a U-Net does.
    - All get the cosine schedule, because the linear one destroys small images too early (Nichol,
      Dhariwal, 2021), of 250 times: a sample needs as many runs of the network.
    - Points of up to 8 numbers keep the values of the paper.
    - Those that predict EDM's F get the schedule of its paper, of 1,000 times. Its first σ is many
      times its first step, so the small variance of a reverse step would be too small for the
      last one.

    | Improved Denoising Diffusion Probabilistic Models (Nichol, Dhariwal, 2021)
    | Progressive Distillation for Fast Sampling of Diffusion Models (Salimans, Ho, 2022)
    | Back to Basics: Let Denoising Generative Models Denoise (Li, He, 2025)

    Arguments:
        shape: The shape of one example.
        given: Fields of the config that the user sets.
    """
    network = suited_network(shape, given)
    chosen = bool({"schedule", "beta_start", "beta_end"} & set(given))
    noise: dict[str, Any] = {}
    if given.get("prediction_type") == "edm":
        if not chosen:
            noise = {"schedule": "karras", "variance_type": "fixed_large"}
    elif network:
        noise = {"num_train_timesteps": 250} | ({} if chosen else {"schedule": "cosine"})
        flat = (given.get("network") or network.get("network")) == "flat"
        noise["prediction_type"] = "sample" if flat else "v_prediction"
    return {**network, **{name: value for name, value in noise.items() if name not in given}}


def suited_network(shape: Sequence[int], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `suited` that choose the network; none for points of up to 8 numbers.

    Arguments:
        shape: The shape of one example.
        given: Fields of the config that the user sets.
    """
    if math.prod(shape) <= _FEW:
        return {}
    unet = len(shape) == 3 and (min(shape[1:]) >= _LARGE_SIDE or bool(_UNET & set(given)))
    network = given.get("network") or ("image" if unet else "flat")
    fields: dict[str, Any] = {"network": network}
    if network == "image" and len(shape) == 3:
        fields["channels"] = channels(shape)
    else:
        fields["hidden_dim"] = _TRANSFORMER_WIDTH if network == "transformer" else _WIDTH
    return {name: value for name, value in fields.items() if name not in given}


def channels(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the channels of each level of a U-Net for images (C, H, W), from the finest.

    >>> channels((1, 28, 28)), channels((3, 32, 32)), channels((1, 15, 15))
    ((16, 32, 64), (16, 32, 64, 64), (16,))
    """
    height, width = shape[1:]
    found = [_CHANNELS]
    while height % 2 == width % 2 == 0 and min(height, width) > _SMALLEST_SIDE:
        height, width = height // 2, width // 2
        found.append(min(2 * found[-1], _MOST_CHANNELS))
    return tuple(found)


def denoising(config: Any) -> Stage:
    """Return a stage of denoising for small networks.

    Adam at 1e-3 for a U-Net, 2e-3 for other networks, is several times the rate of the paper's
    network, which is a hundred times as large. It falls to 0 along a cosine, and weights are
    averaged over the last few hundred updates. If x₀ is predicted, its errors are weighted by
    min-SNR, without which clean states would count as much as noise (Hang et al., 2023). Times are
    uniform, except for EDM's F, which learns most at medium noise (Karras et al., 2022).

    | Efficient Diffusion Training via Min-SNR Weighting Strategy (Hang et al., 2023)
    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022)

    Arguments:
        config: The config of the diffusion model.
    """
    values: dict[str, Any] = {"lr": _rate(config)}
    if config.prediction_type == "sample":
        values["weighting"] = "min-snr"
    if config.prediction_type == "edm":
        values["times"] = "log-normal"
    return _stage("denoising", values)


def matching(config: Any) -> Stage:
    """Return a stage of flow matching for small networks, with the values of `denoising`.

    Flat networks get 10,000 updates, about a minute and a half of one core. Points of few numbers
    have batches of 256: modes that are narrow compared with their distances need them. Networks
    that return x̂_0 have logit-normal times, because the error of their velocity grows as t → 0.
    They prefer noise, and are wide: with mean 0 and width 1, networks with labels do not know the
    noise at t = 1, from which samples begin, and samples are not finite.

    Arguments:
        config: The config of the flow.
    """
    more: dict[str, Any] = {"max_steps": 10_000} if config.network == "flat" else {}
    if more and config.state_features:
        more |= {"batch_size": 256, "ema_decay": 0.999}
    values: dict[str, Any] = {"lr": _rate(config)}
    if config.prediction_type == "sample":
        values |= {"times": "logit-normal", "logit_mean": 0.8, "logit_std": 1.5}
    return _stage("flow-matching", values, **more)


def _rate(config: Any) -> float:
    return 1e-3 if config.network == "image" else 2e-3


def _stage(objective: str, values: dict[str, Any], **trainer: Any) -> Stage:
    return Stage(
        objective=Component(name=objective, config=values),
        trainer={
            "max_steps": 5_000,
            "batch_size": 64,
            "warmup_steps": 100,
            "lr_scheduler": "cosine",
            "max_grad_norm": 1.0,
            "ema_decay": 0.995,
            **trainer,
        },
    )
