"""The times that a sampler visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from genzoo.plugin import ConfigError

Spacing = Literal["trailing", "linspace", "leading"]


def times(spacing: Spacing, T: int, num_steps: int, offset: int = 0) -> list[int]:
    """Return ``num_steps`` decreasing times out of T − 1, …, 0, with diffusers' spacings.

    "trailing" begins at T − 1 and ends at T/S − 1; "linspace" begins at T − 1 and ends at 0;
    "leading" begins at T − T/S and ends at 0, so that it does not visit the noisiest state. An
    offset moves the times of "leading" towards it.

    | Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin, Liu, Li, Yang, 2024),
    | table 2

    >>> times("trailing", 10, 3), times("linspace", 10, 3), times("leading", 10, 3)
    ([9, 6, 2], [9, 4, 0], [6, 3, 0])

    Raises:
        ConfigError: There are fewer times than steps, "linspace" has one step, or the offset is
            too large.
    """
    S = num_steps
    if S > T:
        raise ConfigError(f"{S} steps are more than the model's {T} times. Give at most {T}.")
    if offset and (spacing != "leading" or (S - 1) * (T // S) + offset >= T):
        raise ConfigError(
            f"A steps_offset of {offset} is for timestep_spacing 'leading', with that much room "
            f"before T = {T}. Leave it out, or use 'leading' and fewer steps."
        )
    if spacing == "trailing":  # Integers are exact: diffusers' sum of floats can end at −1.
        return [round(T * i / S) - 1 for i in range(S, 0, -1)]
    if spacing == "leading":
        return [i * (T // S) + offset for i in reversed(range(S))]
    if S == 1:
        raise ConfigError(
            "timestep_spacing 'linspace' needs at least two steps, one for each end of the chain. "
            "Use 'trailing'."
        )
    return [round((T - 1) * i / (S - 1)) for i in reversed(range(S))]


def shifted(times: Sequence[float], shift: float, T: int | None) -> list[float]:
    """Return times s t / (1 + (s − 1) t) of continuous times t.

    | Scaling Rectified Flow Transformers for High-Resolution Image Synthesis
    | (Esser et al., 2024), equation 23

    Raises:
        ConfigError: The model has T times.
    """
    if T is not None:
        raise ConfigError(
            f"A timestep_shift of {shift:g} is for models of continuous time; this one has {T} "
            "times. Leave it out."
        )
    return [shift * t / (1 + (shift - 1) * t) for t in times]


def from_strength(times: Sequence[Any], strength: float, T: int | None) -> list[Any]:
    """Return the times that a variation visits: those below a share of T, or up to it in (0, 1].

    Raises:
        ConfigError: No times are left.
    """
    kept = [t for t in times if (t <= strength if T is None else t < strength * T)]
    if not kept:
        raise ConfigError(
            f"A strength of {strength:g} leaves none of the {len(times)} steps. Raise strength "
            "or num_inference_steps."
        )
    return kept
