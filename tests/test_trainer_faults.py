"""What stops a training: losses that go wrong, and players that are not as they should be."""

import copy
import math
import re

import pytest
import torch

import families
import genzoo
import genzoo.plugin
from fitting import DATA, difference, fit
from genzoo.errors import NotFiniteError, TrainingError
from genzoo.objective import Loss, Objective


class Broken(Objective):
    """A loss that goes wrong at a given step, in a given way."""

    Config = families.None_

    def __init__(self, model, how, at=2):
        super().__init__(model)
        self.how, self.at = how, at

    def losses(self, batch, step):
        value = self.model.net(batch["x"]).sum()
        if step.index < self.at:
            yield Loss(value)
        elif self.how == "loss":
            yield Loss(value * math.nan)
        elif self.how == "gradient":
            yield Loss((value - value.detach()).abs().sqrt() + value.detach())
        elif self.how == "player":
            yield Loss(value, player="modle")
        elif self.how == "tensor":
            yield value


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_what_is_not_finite_stops_before_the_update(how):
    model = families.linear()
    seen = copy.deepcopy(model)
    fit(seen, objective=Broken(seen, how, at=99), max_steps=2)
    with pytest.raises(NotFiniteError) as caught:
        fit(model, objective=Broken(model, how))
    assert f"The {how} of the player 'model' is not finite at step 3" in str(caught.value)
    assert "not updated" in str(caught.value)
    assert difference(model, seen) == 0


class BrokenMatrix(Objective):
    """A gradient of the matrix alone that goes wrong at a given step."""

    Config = families.None_

    def __init__(self, model, at):
        super().__init__(model)
        self.at = at

    def losses(self, batch, step):
        broken = math.nan if step.index == self.at else 1.0
        gradients = {
            p: torch.full_like(p, broken if p.ndim == 2 else 1) for p in self.parameters()
        }
        yield Loss(self.model.net(batch["x"]).sum().detach(), gradients=gradients)


@pytest.mark.parametrize(
    ("at", "due", "what"),
    [
        (3, {"save_steps": 4}, "gradient"),
        (3, {"logging_steps": 4}, "gradient"),
        (3, {"max_grad_norm": 1.0}, "gradient"),
        (2, {"save_steps": 4}, "loss"),
    ],
)
def test_no_weights_that_are_not_finite_are_kept(tmp_path, at, due, what):
    """At other updates a matrix's gradient is not looked at; the next loss shows it."""
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=9, batch_size=8, **due)
    trainer = genzoo.Trainer(model, DATA, BrokenMatrix(model, at), config, output_dir=tmp_path)
    with pytest.raises(NotFiniteError, match=f"The {what} of the player 'model' .* at step 4"):
        trainer.fit()
    assert not list(tmp_path.glob("checkpoints/step*"))


def test_the_norm_that_is_logged_is_that_of_all_gradients():
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=4, batch_size=8, logging_steps=2)
    trainer = genzoo.Trainer(model, DATA, BrokenMatrix(model, 99), config)
    trainer.fit()
    norms = [row["model/grad_norm"] for row in trainer.history]
    assert norms == [pytest.approx(sum(p.numel() for p in model.parameters()) ** 0.5)] * 2


def test_last_good_checkpoint_is_named(tmp_path):
    model = families.linear()
    objective = Broken(model, "loss", at=4)
    config = genzoo.TrainerConfig(max_steps=9, batch_size=8, save_steps=2)
    with pytest.raises(NotFiniteError, match=r"step 5 .*step-000000004"):
        genzoo.Trainer(model, DATA, objective, config, output_dir=tmp_path / "run").fit()


def test_a_tensor_in_place_of_a_loss_is_named():
    model = families.linear()
    says = "Broken yielded a Tensor instead of a Loss. Write: yield genzoo.plugin.Loss(value)."
    with pytest.raises(TrainingError, match=re.escape(says)):
        fit(model, objective=Broken(model, "tensor"))


class Returning(Broken):
    """Returns its loss."""

    def losses(self, batch, step):
        return self.model.net(batch["x"]).sum()


def test_a_loss_that_is_returned_is_named():
    model = families.linear()
    with pytest.raises(TrainingError, match="returned a Tensor instead of yielding a Loss"):
        fit(model, objective=Returning(model, ""))


def test_unknown_player_is_named():
    model = families.linear()
    with pytest.raises(TrainingError, match=r"'modle'\. Did you mean 'model'"):
        fit(model, objective=Broken(model, "player"))


def test_a_parameter_without_gradient_is_named():
    model = families.linear()
    model.idle = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(TrainingError, match=r"model\.idle.*Freeze"):
        fit(model)
    model.idle.requires_grad_(False)
    fit(model)


class Split(Objective):
    """Players as they are given."""

    Config = families.None_

    def __init__(self, model, players):
        super().__init__(model)
        self.given = players

    def players(self):
        return self.given

    def losses(self, batch, step):
        for player in self.given:
            yield Loss(self.model.net(batch["x"]).sum(), player=player)


def test_players_must_partition_the_parameters():
    model = families.linear()
    weight, bias = model.net.weight, model.net.bias
    for players, message in [
        ({"a": [weight, bias], "b": [bias]}, r"model\.net\.bias belongs to two players"),
        ({"a": [weight]}, r"model\.net\.bias belongs to no player"),
        ({"a": [weight, bias], "b": []}, "'b' has nothing to train"),
    ]:
        with pytest.raises(TrainingError, match=message):
            fit(model, objective=Split(model, players))
    with pytest.raises(genzoo.ConfigError, match="no player 'modle'"):
        fit(model, optimizers={"modle": {"config": {"lr": 1.0}}})


class Uneven(Objective):
    """Yields a loss for one micro-batch alone."""

    Config = families.None_

    def losses(self, batch, step):
        if step.slot == 0:
            yield Loss(self.model.net(batch["x"]).sum())


def test_micro_batches_must_make_the_same_moves():
    model = families.linear()
    with pytest.raises(TrainingError, match="1 of 2 micro-batches on move 0"):
        fit(model, objective=Uneven(model), num_micro_batches=2)


def test_a_value_that_the_optimiser_lacks_is_refused():
    with pytest.raises(genzoo.ConfigError, match="SGDConfig has no field 'betas'"):
        fit(optimizers={"model": {"name": "sgd", "config": {"betas": [0.9, 0.9]}}})
