"""The start of a stage: data-dependent initialisation, and the objective."""

from __future__ import annotations

import torch

from genzoo import seeds
from genzoo.capabilities import SupportsDataInit, SupportsNestedInit
from genzoo.data import draw_rows
from genzoo.objective import Objective
from genzoo.training.accelerating import same_everywhere
from genzoo.training.inputs import Inputs
from genzoo.training.plan import Plan
from genzoo.training.session import Session

INIT_ROWS = 4096


def init_from_data(plan: Plan, session: Session, number: int) -> None:
    """Initialise the model that a stage trains from data, if it needs that.

    So a model that holds another one is initialised with the outputs of the trained inner model.
    """
    model = plan.learning(number)
    if isinstance(model, SupportsDataInit) and model.needs_data_init():
        seed = plan.config.seed
        batch = plan.to_device(draw_rows(plan.rows, INIT_ROWS, seed=seed), session.device)
        inputs = Inputs(plan.stages[number], plan.model)
        seed = seeds.derive_seed(seed, "first inputs", number)
        first = inputs.first(batch, plan.rows.info, seed)
        name, whole = plan.stages[number].model, plan.model
        if name is not None and isinstance(whole, SupportsNestedInit):
            whole.init_nested(name, *first)
        else:
            model.init_from_data(*first)
    same_everywhere(plan.model, session.accelerator)


def ready_objective(plan: Plan, session: Session, number: int) -> Objective:
    """Return a stage's objective on the device, equal on every process."""
    objective, dtype = plan.make_objective(number), plan.model.dtype
    # Its own networks compute in the model's dtype.
    objective.to(session.device) if dtype == torch.float32 else objective.to(session.device, dtype)
    objective.train()
    same_everywhere(objective, session.accelerator)
    return objective
