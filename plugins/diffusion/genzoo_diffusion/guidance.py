"""Denoisers for samplers: a model with its condition, with and without guidance."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import ConditionError, ConfigError, untrusted
from genzoo_diffusion.conditioning import Signal

if TYPE_CHECKING:
    from genzoo_diffusion.denoising_model import DenoisingModel


class Denoiser(abc.ABC):
    """Abstract base class of denoisers, which return what the model's network predicts."""

    @abc.abstractmethod
    def __call__(self, x_t: Tensor, t: float) -> Tensor:
        """Return a prediction (B, *event_shape) for states (B, *event_shape) at one time."""


class Conditioned(Denoiser):
    """The model with one signal.

    Arguments:
        model: The model.
        signal: The signal of its condition.
    """

    def __init__(self, model: DenoisingModel[Any], signal: Signal) -> None:
        self.model, self.signal = model, signal

    def __call__(self, x_t: Tensor, t: float) -> Tensor:
        """Return the network's prediction."""
        return self.model.predict(x_t, _times(t, x_t), self.signal)


class Guided(Denoiser):
    """ε_∅ + s (ε_c − ε_∅), in one batch. The same holds for x_0 and v, which are affine in ε.

    | Classifier-Free Diffusion Guidance (Ho, Salimans, 2022); its w is s − 1

    Arguments:
        model: The model.
        signal: The signal of c.
        null: The signal of ∅, or of a negative condition.
        scale: s.
    """

    def __init__(
        self, model: DenoisingModel[Any], signal: Signal, null: Signal, scale: float
    ) -> None:
        self.model, self.scale, self.both = model, scale, null.stacked_with(signal)

    def __call__(self, x_t: Tensor, t: float) -> Tensor:
        """Return the guided prediction."""
        twice = torch.cat([x_t, x_t])
        nothing, told = self.model.predict(twice, _times(t, twice), self.both).chunk(2)
        return nothing + self.scale * (told - nothing)


def make_denoiser(
    model: DenoisingModel[Any],
    condition: Any,
    num: int,
    scale: float = 1.0,
    null: Signal | None = None,
) -> Denoiser:
    """Return a denoiser; with a scale of 1 or 0 it computes only one branch.

    Arguments:
        model: The model.
        condition: The condition of the states, as for `Diffusion.checked_condition`.
        num: The number of states that are denoised together.
        scale: s.
        null: The negative condition; none by default.

    Raises:
        ConditionError: The model has no condition, a condition is invalid, or the model is not
            trained without conditions.
    """
    if scale != 1 and not model.conditions:
        raise ConditionError(
            f"A guidance_scale of {scale:g} needs a model with a condition; this model has none. "
            "Leave guidance_scale at 1."
        )
    signal = model.signal(condition, num)
    if scale == 1:
        return Conditioned(model, signal)
    null = unconditional(model, num, scale) if null is None else null
    return Conditioned(model, null) if scale == 0 else Guided(model, signal, null, scale)


def negative_signal(
    model: DenoisingModel[Any],
    prompt: str | None,
    condition: Mapping[str, int | str] | None,
    num: int,
    scale: float,
) -> Signal | None:
    """Return the signal of the negative condition; None if neither is given.

    Arguments:
        model: The model.
        prompt: The negative text, for the model's condition that is a text.
        condition: Negative values of conditions by name.
        num: The number of states that are denoised together.
        scale: The scale of guidance.

    Raises:
        ConditionError: The model does not have such a condition, or it is invalid.
        ConfigError: Both are given, or the scale is 1, at which they have no effect.
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
    with untrusted():  # Samplers trust conditions; this one has not been checked yet.
        return model.signal(given, num)


def _text_condition(model: DenoisingModel[Any], prompt: str) -> str:
    """Return the name of the model's text condition."""
    name = model.embedder.text
    if name is None:
        raise ConditionError(
            f"negative_prompt {prompt!r} needs a model that is conditioned on a text; this one is "
            f"conditioned on {' and '.join(model.conditions) or 'nothing'}. Give "
            "negative_condition, or leave it out."
        )
    return name


def unconditional(model: DenoisingModel[Any], num: int, scale: float) -> Signal:
    """Return the signal of ``num`` rows without any condition.

    Raises:
        ConditionError: The model is not trained without conditions.
    """
    if not model.takes_null:
        raise ConditionError(
            f"A guidance_scale of {scale:g} needs predictions without a condition; this model "
            "is trained only with its conditions. Leave guidance_scale at 1, or train the model "
            "with condition_dropout above 0, such as 0.1."
        )
    return model.embedder.null(num, model.device)


def _times(t: float, x_t: Tensor) -> Tensor:
    """Return the time of each row, (B,): int64 for an integer, else as precise as the states."""
    precise = isinstance(t, float) and x_t.is_floating_point()
    dtype = x_t.dtype if precise else None
    return torch.full((x_t.shape[0],), t, device=x_t.device, dtype=dtype)
