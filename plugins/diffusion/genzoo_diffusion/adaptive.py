"""A solver of a flow's differential equation that chooses its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from genzoo.plugin import Bounds, ConfigError
from genzoo_diffusion.coordinates import check_continuous, coordinates
from genzoo_diffusion.denoise import Denoise, GuidedConfig
from genzoo_diffusion.dormand_prince import DormandPrince
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.levels import DATA, Level, Predictor, levels_at

_Tolerance = Annotated[float, Bounds(1e-14, 1.0)]


@dataclass(frozen=True, kw_only=True)
class AdaptiveConfig(GuidedConfig):
    """A solver that chooses its steps."""

    rtol: _Tolerance = 1e-4
    """The relative tolerance of a step's error."""
    atol: _Tolerance = 1e-4
    """The absolute tolerance of a step's error."""
    max_num_steps: Annotated[int, Bounds(1, 10**6)] = 1000
    """The maximum number of steps, each of which runs the network six times."""


class Adaptive(Denoise[AdaptiveConfig]):
    """Dormand and Prince's method of order 5, with steps as large as the tolerance allows.

    It is for flows, whose network can be asked at any time. A trajectory has one state for each
    step that is kept; their number depends on the flow. The network runs once, and then six times
    for each step, kept or not.

    All samples of a block have the same steps, those that the hardest of them needs. So a sample
    depends on the others of its block, but only within the tolerance; the same seed and block size
    give the same samples. See `DormandPrince` for the choice of steps.

    | A Family of Embedded Runge-Kutta Formulae (Dormand, Prince, 1980)
    """

    Config = AdaptiveConfig

    def levels(self, model: GaussianPath) -> list[Level]:
        """Return the first level, at t = 1 or at the strength, and that of the data.

        Raises:
            CapabilityError: The model has T times.
            ConfigError: The strength is 0.
        """
        check_continuous(model, type(self).__name__)
        strength = self.config.strength
        if strength == 0:
            raise ConfigError(
                "A strength of 0 leaves no time to solve the equation for. Raise strength."
            )
        return [*levels_at(model, [1.0 if strength is None else strength]), DATA]

    def steps(self, predictor: Predictor, x: Tensor, levels: list[Level]) -> Iterator[Tensor]:
        """Yield the states after each step that is kept.

        Raises:
            ConfigError: There are more steps than the maximum.
        """
        ode, config = coordinates(predictor), self.config
        start, end = levels

        def slope(tau: float, y: Tensor) -> Tensor:
            return ode.slope(y, ode.level(tau))

        solver = DormandPrince(slope, config.rtol, config.atol, config.max_num_steps)
        for y in solver.run(ode.enter(x, start), ode.tau(start), ode.tau(end)):
            yield ode.leave(y, end)
