"""Denoisers that a sampler asks: a model with its condition, and one that is guided by it."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo import ConditionError, ConfigError, Text
from genzoo.values import untrusted
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
        self.model, self.scale, self.both = model, scale, null.beside(signal)

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
            f"Guidance of {scale:g} needs a model with a condition; this one has none. Leave "
            "guidance at 1."
        )
    signal = model.signal(condition, num)
    if scale == 1:
        return Conditioned(model, signal)
    null = unconditional(model, num, scale) if null is None else null
    return Conditioned(model, null) if scale == 0 else Guided(model, signal, null, scale)


def negative_signal(
    model: Diffusion, negative: int | str | None, num: int, scale: float
) -> Signal | None:
    """Return the signal of what guidance leads away from; None for no condition.

    Arguments:
        model: The model.
        negative: The model's condition: a text, or the name or the number of a class.
        num: How many states are denoised at once.
        scale: The scale of guidance.

    Raises:
        ConditionError: The model has no condition or several, or does not understand this one.
        ConfigError: Nothing guides, and so nothing leads away.
    """
    if negative is None:
        return None
    if len(model.conditions) != 1:
        raise ConditionError(
            f"A negative of {negative!r} needs a model with a condition, and one alone; this one "
            f"has {' and '.join(model.conditions) or 'none'}. Leave negative out."
        )
    if scale == 1:
        raise ConfigError(
            f"A negative of {negative!r} has no say at a guidance of 1. Give another guidance, "
            "such as 2, or leave negative out."
        )
    (space,) = model.conditions.values()
    # The command line makes a number of a text of digits.
    given = str(negative) if isinstance(space, Text) else negative
    with untrusted():  # A sampler runs where conditions are trusted; nobody has looked at this.
        return model.signal(given, num)


def unconditional(model: Diffusion, num: int, scale: float) -> Signal:
    """Return the signal of ``num`` rows without any condition.

    Raises:
        ConditionError: The model has not learned to do without.
    """
    if not model.takes_null:
        raise ConditionError(
            f"Guidance of {scale:g} leads away from no condition, and this model has learned with "
            "its conditions alone. Leave guidance at 1, or train it with condition_dropout above "
            "0, such as 0.1."
        )
    return model.embedder.null(num, model.device)


def _times(t: int, x_t: Tensor) -> Tensor:
    return torch.full((len(x_t),), t, device=x_t.device)
