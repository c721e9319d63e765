"""The loss scale of fp16 leaves no trace in what is learnt; an overflow skips the update.

A GPU alone has fp16's autocast. The scale is torch's own on a CPU: a power of two, so that float32
gradients that are scaled and unscaled are the same numbers.
"""

import contextlib
import math

import pytest
import torch
from accelerate import Accelerator

import families
import genzoo
from fitting import DATA, difference, fit
from genzoo.errors import NotFiniteError
from genzoo.objective import Loss, Objective
from genzoo.training import accelerating, checkpoint

SCALE = 2.0**10


class Scaling(Accelerator):
    """Accelerate with fp16's loss scale, and without its autocast."""

    mixed_precision = "fp16"
    made = None

    def __init__(self, **options):
        super().__init__(**options)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=10**6)
        self.native_amp = True
        type(self).made = self

    def autocast(self):
        return contextlib.nullcontext()


@pytest.fixture
def scaling(monkeypatch):
    monkeypatch.setattr(accelerating, "Accelerator", Scaling)
    monkeypatch.setattr(Scaling, "made", None)


class Squares(Objective):
    """Least squares, with a share of the gradient handed over, that go wrong in an update."""

    Config = families.None_

    def __init__(self, model, share=0.0, wrong=None, at=None):
        super().__init__(model)
        self.share, self.wrong, self.at = share, wrong, at
        self.scales = []

    def losses(self, batch, step):
        value = ((self.model.net(batch["x"]) - 1) ** 2).sum(1).mean()
        if Scaling.made is not None:
            self.scales.append(Scaling.made.scaler.get_scale())
        if step.index == self.at:
            value = (
                value * math.nan if self.wrong == "loss" else value + 0 * (value - value).sqrt()
            )
        parameters = list(self.model.parameters())
        handed = {}
        if self.share:
            found = torch.autograd.grad(value, parameters, retain_graph=True)
            handed = {p: self.share * g for p, g in zip(parameters, found, strict=True)}
        kept = value.detach() + (1 - self.share) * (value - value.detach())
        yield Loss(kept if self.share < 1 else value.detach(), gradients=handed)


def trained(steps=5, clip=0.0, **options):
    """Return a model that is trained by gradient descent, which minds a gradient's length."""
    model = families.linear()
    objective = Squares(model, **options)
    rates = {"model": {"name": "sgd", "config": {"lr": 0.1}}}
    fit(model, DATA, objective, max_steps=steps, optimizers=rates, max_grad_norm=clip)
    return model, objective


@pytest.mark.parametrize("clip", [0.0, 0.1])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_scale_leaves_no_trace(share, clip, scaling):
    found, objective = trained(share=share, clip=clip)
    assert objective.scales == [SCALE] * 5
    assert len(Scaling.made._optimizers) == 1  # None that was made for a check is kept.
    with pytest.MonkeyPatch.context() as without:
        without.setattr(accelerating, "Accelerator", Accelerator)
        without.setattr(Scaling, "made", None)
        expected, _ = trained(share=share, clip=clip)
    assert difference(found, expected) == 0


def test_an_overflow_skips_the_update_and_halves_the_scale(scaling):
    """The gradient of one update of three is not a number; the others count as ever."""
    found, _ = trained(steps=3, wrong="gradient", at=2)
    assert Scaling.made.scaler.get_scale() == SCALE / 2
    expected, _ = trained(steps=2)
    assert difference(found, expected) == 0
    _, objective = trained(steps=4, wrong="gradient", at=1)
    assert objective.scales == [SCALE, SCALE, SCALE / 2, SCALE / 2]


def test_a_loss_that_is_not_finite_stops_with_a_scale_too(scaling):
    with pytest.raises(NotFiniteError, match=r"The loss of the player 'model' .* at step 2"):
        trained(wrong="loss", at=1)


def test_the_scale_is_kept_in_checkpoints(scaling, tmp_path):
    def trainer(steps, **options):
        model = families.linear()
        config = genzoo.TrainerConfig(max_steps=steps, batch_size=8, save_steps=2)
        objective = Squares(model, **options)
        return objective, genzoo.Trainer(model, DATA, objective, config, output_dir=tmp_path)

    _, run = trainer(4, wrong="gradient", at=0)
    run.fit()
    path, *newer = checkpoint.list_checkpoints(tmp_path / "checkpoints")
    assert dict(checkpoint.read(path).values["scaler"]["items"])["scale"] == SCALE / 2
    for one in newer:
        for file in one.iterdir():
            file.unlink()
        one.rmdir()
    objective, run = trainer(4)
    run.fit(resume=True)
    assert objective.scales == [SCALE / 2] * 2
