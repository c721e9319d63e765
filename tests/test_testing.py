"""The suite itself: models broken on purpose, each caught by the check that names its fault."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import families
import genzoo
from genzoo import registry
from genzoo.errors import GenzooError, UnknownNameError
from genzoo.testing import CHECKS, Case, CheckFailed, check_model
from genzoo.testing import checks as suite


@pytest.fixture
def broken(monkeypatch):
    """Register a class for one test alone."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))

    def add(group, name):
        return registry.register(group, name)

    return add


def failing(name):
    """Return the checks that a registered model fails, with what they say."""
    found = {}
    for check in CHECKS:
        try:
            check(Case(name, registry.load("models", name)))
        except (CheckFailed, GenzooError, RuntimeError) as error:
            found[check.__name__] = str(error)
    return found


def linear_with(**methods):
    """A copy of the toy with other methods."""
    return type("Broken", (families.Linear,), methods)


def test_a_sound_model_passes():
    check_model("toy-linear")
    assert failing("toy-linear") == {}


def test_config_that_is_not_bounded(broken):
    @dataclass(frozen=True, kw_only=True)
    class Open(genzoo.Config):
        event_shape: tuple[int, ...]
        depth: int = 3

    def example(cls):
        return Open(event_shape=(3,)), {"x": families.rows(8, 3)}

    broken("models", "open")(linear_with(Config=Open, example=classmethod(example)))
    assert failing("open").keys() == {"check_config_closed"}
    assert "event_shape, depth" in failing("open")["check_config_closed"]


def test_sampler_that_ignores_its_generator(broken):
    class Global(families.Fixed):
        def trajectory(self, model, num, *, start=None, condition=None, generator):
            yield model.net(torch.randn(num, *model.event_shape))

    broken("models", "global")(linear_with(sampler=lambda self: Global()))
    assert "check_seed_and_blocks" in failing("global")


def test_sampler_that_ignores_the_seed(broken):
    class Constant(families.Fixed):
        def trajectory(self, model, num, *, start=None, condition=None, generator):
            yield torch.zeros(num, *model.event_shape)

    broken("models", "constant")(linear_with(sampler=lambda self: Constant()))
    assert failing("constant").keys() == {"check_seed_and_blocks"}


def test_samples_of_another_shape(broken):
    broken("models", "flat")(linear_with(present=lambda self, state: state.flatten()))
    assert "check_samples" in failing("flat")


def test_state_that_is_not_saved(broken):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.hidden = torch.zeros(1)

    def forward_count(self, *arguments):
        self.model.hidden = self.model.hidden + 1
        yield genzoo.Loss(self.model.hidden.item() * self.model.net(arguments[0]["x"]).sum())

    objective = type("Counting", (families.LeastSquares,), {"losses": forward_count})
    broken("objectives", "counting")(objective)
    stages = classmethod(lambda cls: families.stage("counting"))
    broken("models", "forgetful")(linear_with(__init__=init, default_stages=stages))
    assert failing("forgetful").keys() == {"check_resume_is_exact"}


def test_loss_that_touches_another_player(broken):
    class Meddling(families.Game):
        def losses(self, batch, step):
            for loss in super().losses(batch, step):
                if loss.player == "critic":
                    with torch.no_grad():
                        next(self.model.parameters()).add_(0.01)
                yield loss

    broken("objectives", "meddling")(Meddling)
    stages = classmethod(lambda cls: families.stage("meddling"))
    broken("models", "meddled")(type("Meddled", (families.GAN,), {"default_stages": stages}))
    found = failing("meddled")
    assert "the move of 'critic' changes" in found["check_losses_move_their_player"]


def test_loss_that_is_a_sum_of_rows(broken):
    class PerRow(families.LeastSquares):
        def losses(self, batch, step):
            yield genzoo.Loss(self.model.net(batch["x"]).sum(1))

    broken("objectives", "per-row")(PerRow)
    stages = classmethod(lambda cls: families.stage("per-row"))
    broken("models", "per-row")(linear_with(default_stages=stages))
    assert "has shape (8,)" in failing("per-row")["check_loss_is_a_mean"]


def test_parameter_without_gradient(broken):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.idle = nn.Parameter(torch.zeros(2))

    broken("models", "idle")(linear_with(__init__=init))
    assert "model.idle" in failing("idle")["check_losses_move_their_player"]


def test_global_flag(broken):
    def init(self, config):
        families.Linear.__init__(self, config)
        torch.use_deterministic_algorithms(True)

    broken("models", "flagging")(linear_with(__init__=init))
    case = Case("flagging", registry.load("models", "flagging"))
    try:
        with pytest.raises(CheckFailed, match="deterministic"):
            suite.check_no_side_effects(case)
    finally:
        torch.use_deterministic_algorithms(False)


def test_global_seed(broken):
    class Seeding(families.Fixed):
        def trajectory(self, model, num, *, start=None, condition=None, generator):
            torch.manual_seed(0)
            yield model.net(torch.randn(num, *model.event_shape, generator=generator))

    broken("models", "seeding")(linear_with(sampler=lambda self: Seeding()))
    assert "torch generator" in failing("seeding")["check_no_side_effects"]


def test_model_that_cannot_be_built_without_memory(broken):
    def init(self, config):
        families.Linear.__init__(self, config)
        if self.net.weight.is_meta:
            self.extra = nn.Linear(2, 2)

    broken("models", "two-faced")(linear_with(__init__=init))
    assert "check_builds_empty" in failing("two-faced")


def test_excuses_need_a_reason_that_still_holds():
    with pytest.raises(CheckFailed, match="check_samples passes; take it off"):
        check_model("toy-linear", expected_failures={"check_samples": "no reason"})
    with pytest.raises(UnknownNameError, match="check_samples"):
        check_model("toy-linear", expected_failures={"check_sample": "misspelt"})
