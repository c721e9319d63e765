"""Which of the T times a sampler visits."""

from __future__ import annotations

from typing import Literal

from genzoo.plugin import ConfigError

Spacing = Literal["trailing", "linspace", "leading"]


def times(spacing: Spacing, T: int, num_steps: int, offset: int = 0) -> list[int]:
    """Return ``num_steps`` falling times out of T − 1, …, 0, spaced as diffusers names it.

    "trailing" ends at T/S − 1 and begins at T − 1, "linspace" has both ends, "leading" ends at 0
    and begins at T − T/S, so that it never sees the state of the least signal. An offset moves
    its times towards that one.

    | Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin, Liu, Li, Yang, 2024),
    | table 2

    >>> times("trailing", 10, 3), times("linspace", 10, 3), times("leading", 10, 3)
    ([9, 6, 2], [9, 4, 0], [6, 3, 0])

    Raises:
        ConfigError: There are fewer times than steps, one step spaced to two ends, or an offset
            where there is no room for it.
    """
    S = num_steps
    if S > T:
        raise ConfigError(
            f"{S} steps are more than the {T} times that the model knows. Give at most {T}."
        )
    if offset and (spacing != "leading" or (S - 1) * (T // S) + offset >= T):
        raise ConfigError(
            f"A steps_offset of {offset} is for timestep_spacing 'leading', with as much room "
            f"before T = {T}. Leave it out, or take 'leading' and fewer steps."
        )
    if spacing == "trailing":  # In whole numbers: diffusers' sum of floats can end at −1.
        return [round(T * i / S) - 1 for i in range(S, 0, -1)]
    if spacing == "leading":
        return [i * (T // S) + offset for i in reversed(range(S))]
    if S == 1:
        raise ConfigError(
            "One step cannot be at both ends of the chain, as timestep_spacing 'linspace' asks. "
            "Take 'trailing'."
        )
    return [round((T - 1) * i / (S - 1)) for i in reversed(range(S))]


def from_strength(grid: list[int], strength: float, T: int) -> list[int]:
    """Return the times of a grid that are below a share of T: those that a variation visits.

    Raises:
        ConfigError: There are none.
    """
    kept = [t for t in grid if t < strength * T]
    if not kept:
        raise ConfigError(
            f"A strength of {strength:g} leaves none of the {len(grid)} steps. Raise strength "
            "or num_inference_steps."
        )
    return kept
