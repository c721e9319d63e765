"""The times that a sampler visits."""

from __future__ import annotations

from typing import Literal

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


def from_strength(grid: list[int], strength: float, T: int) -> list[int]:
    """Return the times of a grid that a variation visits: those below a share of T.

    Raises:
        ConfigError: No times are left.
    """
    kept = [t for t in grid if t < strength * T]
    if not kept:
        raise ConfigError(
            f"A strength of {strength:g} leaves none of the {len(grid)} steps. Raise strength "
            "or num_inference_steps."
        )
    return kept
