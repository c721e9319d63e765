"""Games that go wrong are seen, and said in plain words; games that go well are not disturbed."""

import logging

import pytest
import torch

from games import example, game, gan, rows, step
from genzoo import (
    Component,
    Real,
    Stage,
    Trainer,
    TrainerConfig,
    create_model,
    load_dataset,
)
from genzoo_gan.monitoring import Look, Watch, neighbourhood, variety

RING = load_dataset("ring", num=2000).head(1024)


def said(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def look(real, fake, critic_loss=1.0, pull=0.5):
    return Look(real, fake, torch.tensor(critic_loss), torch.tensor(pull))


def watched(caplog, seen, settled=1e-2):
    watch = Watch(settled)
    watch.look(seen, step(399))
    assert said(caplog) == []  # Once is not a fault.
    watch.look(seen, step(499))
    return said(caplog)


# What is seen in a look


def test_rows_of_the_data_themselves_are_no_fault(caplog):
    assert watched(caplog, look(RING["x"][:256], RING["x"][256:512])) == []


def test_one_point_for_all_codes_is_a_collapse(caplog):
    (text,) = watched(caplog, look(RING["x"][:256], RING["x"][:1].repeat(256, 1)))
    assert text.startswith("Mode collapse: after step 500 of 1000 nearly all samples are eq")
    assert "--objective.packing 4" in text


@pytest.mark.parametrize("modes", [2, 3])
def test_a_few_modes_out_of_eight_are_a_collapse(modes, caplog):
    fake = RING["x"][RING["label"] < modes][:256]
    (text,) = watched(caplog, look(RING["x"][:256], fake))
    assert text.startswith("Mode collapse: after step 500 of 1000 the samples look like data but")
    assert "modes are missing" in text
    assert "--objective unrolled" in text


@pytest.mark.parametrize("first", [0, 64, 128])
def test_all_modes_are_no_collapse_though_most_of_them_are_not_precise_yet(first, caplog):
    """As in a run that ends with 8 of 8: 44 of 64 fakes at three modes, 20 roughly at all of them.

    They come within the fifth neighbour's distance of about half of the rows, or less.
    """
    few = RING["x"][512:][RING["label"][512:] < 3][:44]
    rough = RING["x"][512:532] + 0.15 * rows(20, 2).float()
    real = RING["x"][first : first + 64]
    fidelity, has_fakes = neighbourhood(real, torch.cat([few, rough]))
    assert fidelity > 0.5
    assert has_fakes > 0.7
    assert watched(caplog, look(real, torch.cat([few, rough]))) == []


def test_what_is_missing_is_told_from_what_is_blurred():
    """256 digits: two classes of ten stand for few of the rows, all of them blurred for most."""
    digits = load_dataset("digits").head(1500)
    x, label = digits["x"], digits["label"]
    two = x[512:][label[512:] < 2][:256]
    blurred = torch.nn.functional.avg_pool2d(x[512:768], 3, 1, 1)
    assert neighbourhood(x[:256], two[torch.arange(256) % len(two)])[1] < 0.5
    assert neighbourhood(x[:256], blurred)[1] > 0.6
    assert neighbourhood(x[:256], x[512:768])[1] > 0.9


def test_rows_that_stand_many_times_have_fakes():
    """Ten times four rows: each fake is nearest to one of ten equal ones."""
    x = rows(4, 2).repeat_interleave(10, 0)
    assert neighbourhood(x, x[::10]) == (1.0, 1.0)
    assert neighbourhood(x, x[:10]) == (1.0, 0.25)


def test_samples_that_look_like_nothing_yet_are_no_collapse(caplog):
    assert watched(caplog, look(RING["x"][:256], rows(256, 2).float())) == []


def test_a_critic_at_zero_loss_is_said_where_its_loss_has_a_zero(caplog):
    seen = look(RING["x"][:256], RING["x"][256:512], critic_loss=1e-4)
    assert watched(caplog, seen, settled=None) == []
    caplog.clear()
    (text,) = watched(caplog, seen)
    assert text.startswith("The critic's loss is zero: after step 500 of 1000 it is 0.0001")
    assert "--objective.r1 1" in text


def test_a_loss_that_no_longer_depends_on_the_scores_is_a_vanishing_gradient(caplog):
    (text,) = watched(caplog, look(RING["x"][:256], RING["x"][256:512], pull=1e-5))
    assert text.startswith("Vanishing gradients: after step 500 of 1000")
    assert "--objective non-saturating" in text


def test_each_fault_is_said_once(caplog):
    watch = Watch(1e-2)
    bad = look(RING["x"][:256], RING["x"][:1].repeat(256, 1), 1e-4, 1e-5)
    for _ in range(4):
        watch.look(bad, step(499))
    assert len(said(caplog)) == 3


def test_a_fault_that_goes_away_and_comes_back_has_not_lasted(caplog):
    watch = Watch(1e-2)
    good = look(RING["x"][:256], RING["x"][256:512])
    bad = look(RING["x"][:256], RING["x"][:1].repeat(256, 1), 1e-4, 1e-5)
    for seen in (bad, good, bad, good):
        watch.look(seen, step(499))
    assert said(caplog) == []


def test_variety_is_the_ratio_of_deviations():
    x = rows(100, 4)
    assert variety(x, 0.3 * x + 7) == pytest.approx(0.3)
    assert variety(torch.ones(5, 2), x[:5]) == 1.0


def test_neighbourhoods_say_what_is_near_to_what():
    """Fakes at one of two far clusters: all of them near data, half of the data near them."""
    real = torch.cat([rows(50, 2), rows(50, 2, seed=1) + 1000])
    fidelity, coverage = neighbourhood(real, rows(2000, 2, seed=2) * 0.5)
    assert fidelity > 0.95
    assert coverage == pytest.approx(0.5, abs=0.02)
    assert neighbourhood(real[:5], real[:5]) == (0.0, 1.0)


# When it is looked


def test_a_game_is_looked_at_ten_times_once_it_has_begun_in_one_slot():
    due = [i + 1 for i in range(6000) if Watch(None).is_due(step(i, total=6000))]
    assert due == list(range(600, 6001, 600))
    assert next(i + 1 for i in range(900) if Watch(None).is_due(step(i, total=900))) == 540
    assert not Watch(None).is_due(step(1999, total=2000, slot=1))
    assert not any(Watch(None).is_due(step(i, total=50)) for i in range(50))


# In training


def far(seed=0):
    """A generator that stands at one point, far from the data."""
    model = gan(event=Real(shape=(2,)))
    with torch.no_grad():
        model.generator.layers[-1].weight.zero_()
        model.generator.layers[-1].bias.fill_(3.0)
    return model.float()


def train(name, model, data, steps, **config):
    stage = Stage(objective=Component(name=name, config=config))
    settings = TrainerConfig(max_steps=steps, batch_size=64, progress=False, threads=1)
    Trainer(model, data, stage, settings).fit()


def test_a_generator_that_stands_still_far_away_is_told_from_data_and_says_all_three(caplog):
    """The critic learns, the generator may not: D's loss goes to 0 and minimax's gradient too."""
    train("minimax", far(), RING["x"], 1000, lr=0.0, critic_lr=1e-2)
    texts = said(caplog)
    assert sum(t.startswith("Mode collapse") for t in texts) == 1
    assert sum(t.startswith("The critic's loss is zero") for t in texts) == 1
    assert sum(t.startswith("Vanishing gradients") for t in texts) == 1


def test_the_same_game_with_another_loss_has_no_vanishing_gradient(caplog):
    train("non-saturating", far(), RING["x"], 1000, lr=0.0, critic_lr=1e-2)
    texts = said(caplog)
    assert any(t.startswith("The critic's loss is zero") for t in texts)
    assert not any(t.startswith("Vanishing gradients") for t in texts)


def test_a_game_that_goes_well_is_not_disturbed(caplog):
    """A Gaussian in the plane, by a linear generator."""
    torch.manual_seed(0)
    data = rows(2000, 2).float() * torch.tensor([0.5, 1.0])
    model = create_model("gan", event=Real(shape=(2,)), latent_dim=2, hidden_dims=(16,))
    train("non-saturating", model, data, 700, lr=2e-3, r1=0.1, critic_hidden_dims=(32, 32))
    assert said(caplog) == []


def test_the_pull_is_that_of_the_loss_on_the_scores(monkeypatch):
    """1 for a critic whose scores are passed on, 1 − σ on average for the non-saturating loss."""
    model, batch = example("gan")
    for name in ("hinge", "non-saturating"):
        made, seen = game(name, model), []
        monkeypatch.setattr(made._watch, "look", lambda look, step, seen=seen: seen.append(look))
        list(made.losses(batch, step(499, total=500)))
        generator = step().generator
        _, z = (model.latent(12, generator) for _ in range(2))
        scores = made.critic(model.fake(z, batch, generator, 1.0)).detach()
        expected = 1.0 if name == "hinge" else (1 - scores.sigmoid()).mean().item()
        assert seen[0].pull.item() == pytest.approx(expected)
