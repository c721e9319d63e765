"""The rates at which replicas of parallel tempering exchange their states, as a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch

from genzoo.plugin import Bounds, Case, Config, Estimate, Goal, Metric, Note
from genzoo_boltzmann.machine import Machine
from genzoo_boltzmann.samplers import Swaps, TemperedGibbs, TemperedGibbsConfig

_LEAST, _MOST = 0.1, 0.6


@dataclass(frozen=True, kw_only=True)
class SwapRatesConfig(Config):
    """The rates of parallel tempering."""

    num_chains: Annotated[int, Bounds(1, 10**5)] = 16
    """The number of chains, each with a replica at every temperature."""
    num_steps: Annotated[int, Bounds(2, 10**7)] = 200
    """The number of sweeps."""
    num_temperatures: Annotated[int, Bounds(2, 10**4)] = 20
    """The number of temperatures, if the sampler is not tempered-gibbs."""


class SwapRates(Metric[SwapRatesConfig]):
    """Rates at which parallel tempering's neighbouring temperatures exchange states.

    The lowest one decides how fast a state passes from the base rates to the machine: rates of .2
    to .4 are efficient, and below .1 the sampler needs more temperatures. Errors are binomial, as
    if proposals were independent.

    | Parallel Tempering for Training of Restricted Boltzmann Machines (Desjardins et al., 2010)
    """

    Config = SwapRatesConfig
    requires = (Machine,)
    is_default = False
    uses_conditions = False
    effort_fields = ("num_chains", "num_steps")
    goals: ClassVar = {"swap-rate-lowest": Goal("higher"), "swap-rate-mean": Goal("none")}

    @torch.no_grad()
    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the lowest rate of a pair of neighbours, and the mean over pairs."""
        c, machine, sampler = self.config, case.model, case.sampler
        known = sampler if isinstance(sampler, TemperedGibbs) else None
        levels = known.config.num_temperatures if known else c.num_temperatures
        tempered = TemperedGibbs(
            TemperedGibbsConfig(num_steps=c.num_steps, num_temperatures=levels)
        )
        swaps, model = Swaps(levels), _checked(machine)
        for _ in tempered.counted(model, c.num_chains, None, case.generator, swaps):
            pass
        rates = swaps.rates[~swaps.rates.isnan()]
        num = c.num_chains * c.num_steps // 2
        facts = {"num_temperatures": levels, "lowest_at": swaps.beta[int(rates.argmin())]}
        lowest = float(rates.min())
        return {
            "swap-rate-lowest": _rate(lowest, num, facts, (_advice(lowest),)),
            "swap-rate-mean": _rate(float(rates.mean()), num * len(rates), facts),
        }


def _checked(model: Any) -> Machine[Any]:
    machine: Machine[Any] = model
    machine.check_sums()
    return machine


def _advice(lowest: float) -> Note:
    """Return what the lowest rate means, and what to do."""
    meaning = "The pair of temperatures that exchanges states least decides how fast chains mix: "
    if lowest < _LEAST:
        return Note("swaps-rare", meaning + "below 10 %, take more temperatures.")
    if lowest > _MOST:
        return Note("swaps-frequent", meaning + "above 60 %, fewer temperatures cost less.")
    return Note("swaps-enough", meaning + "10 to 60 % are enough.")


def _rate(value: float, num: int, facts: dict[str, Any], notes: tuple[Note, ...] = ()) -> Estimate:
    return Estimate(
        value=value,
        std_error=math.sqrt(value * (1 - value) / num),
        kind="stochastic estimate",
        unit="share",
        num_samples=num,
        notes=notes,
        provenance=facts,
    )
