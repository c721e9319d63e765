"""Denoisers that a sampler asks: a model with its condition, and one that is guided by it."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import ConditionError, ConfigError, untrusted
from genzoo_diffusion.conditioning import Signal

if TYPE_CHECKING:
    from genzoo_diffusion.diffusion import Diffusion


class Denoiser(abc.ABC):
    """Predicts what the model's network is trained to predict; abstract."""

    @abc.abstractmethod
    def __call__(self, x_t: Tensor, t: int) -> Tensor:
        """Return a prediction (B, *event_shape) for states (B, *event_shape) at one time."""


class Conditioned(Denoiser):
    """The model, told of one signal.

    Arguments:
        model: The model.
        signal: What its network is told.
    """

    def __init__(self, model: Diffusion, signal: Signal) -> None:
        self.model, self.signal = model, signal

    def __call__(self, x_t: Tensor, t: int) -> Tensor:
        """Return the network's prediction."""
        return self.model.predict(x_t, _times(t, x_t), self.signal)


class Guided(Denoiser):
    """ε_∅ + s (ε_c − ε_∅): both in one batch. The same holds of x_0 and v, which are affine in ε.

    | Classifier-Free Diffusion Guidance (Ho, Salimans, 2022); its w is s − 1

    Arguments:
        model: The model.
        signal: What its network is told: c.
        null: What it is guided away from: ∅, or another condition.
        scale: s.
    """

    def __init__(self, model: Diffusion, signal: Signal, null: Signal, scale: float) -> None:
        self.model, self.scale, self.both = model, scale, null.stacked_with(signal)

    def __call__(self, x_t: Tensor, t: int) -> Tensor:
        """Return the guided prediction."""
        twice = torch.cat([x_t, x_t])
        nothing, told = self.model.predict(twice, _times(t, twice), self.both).chunk(2)
        return nothing + self.scale * (told - nothing)


def make_denoiser(
    model: Diffusion, condition: Any, num: int, scale: float = 1.0, null: Signal | None = None
) -> Denoiser:
    """Return a denoiser; at a scale of 1 or 0 it runs one branch alone.

    Arguments:
        model: The model.
        condition: What the states are conditioned on, as `Diffusion.checked_condition` takes it.
        num: How many states are denoised at once.
        scale: s.
        null: What it is guided away from; all conditions null by default.

    Raises:
        ConditionError: There is no condition that could guide, or one that is not understood, or
            the model has not learned to do without.
    """
    if scale != 1 and not model.conditions:
        raise ConditionError(
            f"A guidance_scale of {scale:g} needs a model with a condition; this one has none. "
            "Leave guidance_scale at 1."
        )
    signal = model.signal(condition, num)
    if scale == 1:
        return Conditioned(model, signal)
    null = unconditional(model, num, scale) if null is None else null
    return Conditioned(model, null) if scale == 0 else Guided(model, signal, null, scale)


def negative_signal(
    model: Diffusion,
    prompt: str | None,
    condition: Mapping[str, int | str] | None,
    num: int,
    scale: float,
) -> Signal | None:
    """Return the signal of what guidance leads away from; None if neither is given.

    Arguments:
        model: The model.
        prompt: The value of the model's condition that is a text.
        condition: Values of conditions, by name.
        num: How many states are denoised at once.
        scale: The scale of guidance.

    Raises:
        ConditionError: The model does not take such a condition, or does not understand it.
        ConfigError: Both are given, or the scale is 1, which leads away from nothing.
    """
    if prompt is None and condition is None:
        return None
    if prompt is not None and condition is not None:
        raise ConfigError(
            f"negative_prompt {prompt!r} and negative_condition {dict(condition)!r} are both "
            "given. Put the text into negative_condition."
        )
    name = "negative_condition" if prompt is None else "negative_prompt"
    if scale == 1:
        raise ConfigError(
            f"{name} has no effect at a guidance_scale of 1. Give another scale, such as 2, or "
            f"leave {name} out."
        )
    given = condition if prompt is None else {_text_condition(model, prompt): prompt}
    with untrusted():  # A sampler runs where conditions are trusted; this one is not checked yet.
        return model.signal(given, num)


def _text_condition(model: Diffusion, prompt: str) -> str:
    """Return the name of the model's condition that is a text."""
    name = model.embedder.text
    if name is None:
        raise ConditionError(
            f"negative_prompt {prompt!r} needs a model that is conditioned on a text; this one is "
            f"conditioned on {' and '.join(model.conditions) or 'nothing'}. Give "
            "negative_condition, or leave it out."
        )
    return name


def unconditional(model: Diffusion, num: int, scale: float) -> Signal:
    """Return the signal of ``num`` rows without any condition.

    Raises:
        ConditionError: The model has not learned to do without.
    """
    if not model.takes_null:
        raise ConditionError(
            f"A guidance_scale of {scale:g} leads away from no condition, and this model has "
            "learned with its conditions alone. Leave guidance_scale at 1, or train the model "
            "with condition_dropout above 0, such as 0.1."
        )
    return model.embedder.null(num, model.device)


def _times(t: int, x_t: Tensor) -> Tensor:
    return torch.full((len(x_t),), t, device=x_t.device)
