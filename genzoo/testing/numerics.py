"""Checks of dtypes: float64 throughout, and autocast to bfloat16."""

from __future__ import annotations

import torch

from genzoo.testing.cases import SEED, Case, demand
from genzoo.testing.learning import few_steps
from genzoo.testing.training_harness import as_dtype, updated
from genzoo.training import Trainer


def check_float64(case: Case) -> None:
    """A float64 model trains and samples in float64."""
    for stage in case.stages():
        objective = updated(case, stage, prepare=lambda model: model.double())
        other = [n for n, p in objective.named_parameters() if p.dtype != torch.float64]
        demand(not other, f"Trained in float64, {', '.join(other[:3])} are not of float64.")
    model = case.model().double()
    condition = {n: as_dtype(v, torch.float64) for n, v in case.condition(model, 3).items()}
    x = model.sample(3, seed=SEED, condition=condition)
    demand(bool(torch.isfinite(x).all()), "A sample in float64 is not finite.")
    real = x.dtype == torch.float64 or not x.is_floating_point()
    demand(real, f"A model in float64 gives samples of {x.dtype}.")


def check_autocast(case: Case) -> None:
    """Under autocast to bfloat16, the model trains and samples with float32 parameters."""
    for stage in case.stages():
        config = few_steps(2, 4, mixed_precision="bf16")
        model = case.model()
        Trainer(model, case.data(), stage, config).fit()
        lost = [n for n, p in model.named_parameters() if not torch.isfinite(p).all()]
        demand(not lost, f"After training under autocast, {', '.join(lost[:3])} are not finite.")
        kept = all(p.dtype == torch.float32 for p in model.parameters())
        demand(kept, "Training under autocast leaves parameters of another type.")
    model = case.model()
    with torch.autocast("cpu", torch.bfloat16):
        x = model.sample(3, seed=SEED, condition=case.condition(model, 3))
    demand(bool(torch.isfinite(x).all()), "A sample under autocast is not finite.")
