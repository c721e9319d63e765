"""log p of the evaluated rows: a mass, a bound by dequantisation, and the floor of both."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.data import Dataset
from genzoo.errors import CapabilityError, GenzooError
from genzoo.estimate import Estimate, EstimateKind, Note, mean_of
from genzoo.evaluation import Case, open_case
from genzoo.evaluation.likelihood import log_prob
from genzoo.finite import weights_checked
from genzoo.log_prob import LogProb
from genzoo.model import Model
from genzoo.sampling import evaluating
from likelihood.rows import ROWS_SEED
from likelihood.subjects import Subject

NUM_NOISE = 8
"""The draws of the noise of each row."""
MOST_ERRORS = 3.0


class WrongLikelihoodError(GenzooError):
    """A mean −log p lies below the entropy of the noise that the rows were drawn with."""


def judged(model: Model, subject: Subject, test: Dataset, num_rows: int) -> LogProb:
    """Return log P of the evaluated rows, or a bound or estimate of it.

    Rows, draws and chains are those of ``genzoo.evaluate(..., max_examples=num_rows)``.

    Raises:
        CapabilityError: The model returns a density of zeros and ones.
    """
    case = open_case(model, subject.rows(test), seed=ROWS_SEED, max_examples=num_rows)
    with evaluating(model), weights_checked(model):
        case.generator.manual_seed(seeds.derive_seed(case.seed, "log-likelihood"))
        found = log_prob(case) if subject.measure == "mass" else dequantised(case)
    if found.measure != "mass":
        raise CapabilityError(
            f"{subject.name} models zeros and ones, but calls their log p that of a "
            f"{found.measure}. A probability of discrete values is a mass."
        )
    return found


def dequantised(case: Case, num: int = NUM_NOISE) -> LogProb:
    """Return the bound log P(x) ≥ E_u log p(x + u) of zeros and ones x, by a density.

    P(x) is the integral of the density over x + u, u in [0, 1)^D, so Jensen's inequality gives
    the bound. The model has a density of y = (x + u)/2, so log p(x + u) = log p(y) − D log 2. The
    expectation is a mean over ``num`` draws; all are given to the model at once, because it may
    estimate a normaliser for all rows.

    | A Note on the Evaluation of Generative Models (Theis, van den Oord, Bethge, 2016)

    Arguments:
        case: The model and dequantised rows.
        num: The number of draws of the noise of each row.
    """
    rows = case.judged
    noisy = [
        rows.head(len(rows), seed=seeds.derive_seed(case.seed, "uniform noise", i))["x"]
        for i in range(num)
    ]
    found = log_prob(dataclasses.replace(case, batch={"x": torch.cat(noisy)}))
    if found.measure != "density":
        raise CapabilityError(
            f"log p of {rows.name} is that of a {found.measure}. Dequantisation is for densities."
        )
    values = found.values.view(num, len(rows)).mean(0) - rows.info["x"].num_dims * math.log(2)
    kind: EstimateKind = "lower bound" if found.kind in _BELOW else "stochastic estimate"
    text = f"Of a density, through uniform noise with {num} draws for each row: a lower bound."
    notes = (Note("dequantised", text), *found.notes)
    return dataclasses.replace(
        found, values=values, std_errors=None, kind=kind, measure="mass", notes=notes
    )


_BELOW: tuple[EstimateKind, ...] = ("exact", "lower bound")


def above_noise(name: str, log_p: LogProb, entropy: Tensor) -> Estimate:
    """Return by how much the mean of −log P(x) exceeds the entropy of the noise, in nats.

    A row x was drawn from the grey levels g with the entropy Σ_i H(g_i), and no distribution has
    a mean −log P(x) below the entropy of x, which is at least that of x given g. The difference
    is paired: its error is that of −log P(x_r) − Σ_i H(g_ri) over the rows r, and that of a
    normaliser.

    Arguments:
        name: The model.
        log_p: log P of the rows.
        entropy: Σ_i H(g_i) of each row, (N,), in nats.

    Raises:
        WrongLikelihoodError: The mean is below the entropy by more than three standard errors.
    """
    gap = mean_of(-log_p.values.double() - entropy, log_p.kind, shared_error=log_p.shared_error)
    if gap.value < -MOST_ERRORS * gap.std_error:
        raise WrongLikelihoodError(
            f"{name}: the mean of −log p is {-gap.value:.2f} ± {gap.std_error:.2f} nats below "
            f"{entropy.mean().item():.2f}, the entropy of the noise of these {len(entropy)} rows. "
            "No distribution can be there: log_prob is not the logarithm of a probability."
        )
    return gap
