"""Gradients that an objective hands over next to its loss's value: as good as autograd's."""

import pytest
import torch
from accelerate import Accelerator

import families
import genzoo
from fitting import difference, fit
from genzoo.component import Component
from genzoo.errors import TrainingError
from genzoo.objective import Loss, Objective
from genzoo.training import accelerating


class Handing(Objective):
    """The mean of (f(x) − 1)², with a share of its gradient handed over."""

    Config = families.None_

    def __init__(self, model, share, foreign=False):
        super().__init__(model)
        self.share, self.foreign = share, foreign

    @classmethod
    def optimizers(cls, config):
        sgd = Component(name="sgd", config={"lr": 0.1})  # Which minds a gradient's length.
        return {"model": sgd}

    def losses(self, batch, step):
        value = ((self.model.net(batch["x"]) - 1) ** 2).sum(1).mean()
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        found = torch.autograd.grad(value, parameters, retain_graph=True)
        pairs = zip(parameters, found, strict=True)
        handed = {p: self.share * g for p, g in pairs if self.share}
        if self.foreign:
            handed[torch.nn.Parameter(torch.ones(2))] = torch.ones(2)
        left = value.detach()
        if self.share < 1:
            left = left + (1 - self.share) * (value - value.detach())
        yield Loss(left, gradients=handed)


def _trained(share, **config):
    model = families.linear()
    return fit(model, objective=Handing(model, share), **config)


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize("values", [{}, {"num_micro_batches": 4}, {"max_grad_norm": 0.1}])
def test_trains_as_autograd_does(share, values):
    whole = _trained(0.0, **values)
    assert difference(_trained(share, **values), whole) < 1e-6
    assert difference(_trained(0.5 * share, **values), whole) < 1e-6
    assert difference(whole, families.linear()) > 1e-3


def test_the_loss_is_logged_and_looked_at(tmp_path):
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=2, batch_size=8, logging_steps=1, progress=False)
    rows = families.rows(32, 3, seed=5)
    genzoo.Trainer(model, rows, Handing(model, 1.0), config, output_dir=tmp_path / "run").fit()
    assert '"model/loss": ' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_a_gradient_of_a_strangers_parameter_is_refused():
    model = families.linear()
    with pytest.raises(TrainingError, match="a parameter that is not its own"):
        fit(model, objective=Handing(model, 1.0, foreign=True))


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_it_takes_the_loss_scale_of_half_precision(share, monkeypatch):
    """A scale of 2⁸ goes into the gradients and out again, whichever code gives them."""
    plain = _trained(share)

    def scaled(config, folder):
        accelerator = Accelerator(cpu=True)
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
        return accelerator

    monkeypatch.setattr(accelerating, "_make", scaled)
    assert difference(_trained(share), plain) < 1e-6
