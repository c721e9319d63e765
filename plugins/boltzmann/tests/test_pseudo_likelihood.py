"""The pseudo-likelihood against its definition, by enumeration."""

import copy

import pytest
import torch

import genzoo
from genzoo import evaluate
from genzoo.plugin import Step
from genzoo_boltzmann.pseudo_likelihood import PseudoLikelihood, PseudoLikelihoodConfig
from machines import machine, probabilities, states


def exact(log_p, num):
    """Σ_i log p(v_i | v_−i) of every state, from the log-probabilities of all states."""
    total = torch.zeros_like(log_p)
    for i in range(num):
        flipped = log_p[torch.arange(2**num) ^ 2**i]
        total += log_p - torch.logaddexp(log_p, flipped)
    return total


def step(seed):
    return Step(0, 1, 0, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_units", [1, 4, 6, 9])
def test_the_loss_is_unbiased_and_exact_with_all_units(num_units):
    rbm = machine()
    wanted = -exact(probabilities(rbm).log(), 6).detach()
    objective = PseudoLikelihood(rbm, PseudoLikelihoodConfig(num_units=num_units))
    v = states(6)[[5, 22, 63]].repeat_interleave(1 if num_units >= 6 else 4000, 0)
    (loss,) = objective.losses({"x": v}, step(0))
    error = 1e-9 if num_units >= 6 else 0.2
    assert loss.value.item() == pytest.approx(float(wanted[[5, 22, 63]].mean()), abs=error)


def test_units_are_drawn_without_replacement_for_each_row():
    rbm, v = machine(), states(6)
    with torch.no_grad():
        rbm.W.zero_()
    # Independent units: each log-conditional tells which unit was drawn.
    objective = PseudoLikelihood(rbm, PseudoLikelihoodConfig(num_units=6))
    one = PseudoLikelihood(rbm, PseudoLikelihoodConfig(num_units=1))
    values = {next(one.losses({"x": v[:1]}, step(seed))).value.item() for seed in range(40)}
    assert len(values) == 6
    total = next(objective.losses({"x": v[:1]}, step(0))).value.item()
    assert total == pytest.approx(sum(values) / 6)


def test_a_general_machine_learns_without_chains():
    """The optimum of the pseudo-likelihood is the data's own law, if the machine can have it."""
    data = genzoo.load_dataset("bars-and-stripes", side=2)
    torch.manual_seed(0)
    model = genzoo.create_model("boltzmann-machine", data=data, num_hidden=2)
    before = copy.deepcopy(model)
    config = genzoo.TrainerConfig(max_steps=60, batch_size=len(data), progress=False)
    stage = genzoo.Stage.from_dict(
        {"objective": {"name": "pseudo-likelihood", "config": {"lr": 0.1, "num_units": 4}}}
    )
    genzoo.Trainer(model, data, stage, config).fit()
    rows = data.head(len(data))["x"]
    with torch.no_grad():
        gain = model.log_prob(rows).values.mean() - before.log_prob(rows).values.mean()
        log_p = model.log_prob(states(4).view(-1, 1, 2, 2)).values
    assert gain > 0.2
    found = evaluate(model, data, ["pseudo-log-likelihood"]).figures["pseudo-log-likelihood"]
    index = (rows.flatten(1).long() << torch.arange(4)).sum(1)
    wanted = exact(log_p.double(), 4)[index]
    assert found.value == pytest.approx(float(wanted.mean()), abs=1e-4)
    assert found.kind == "exact"
    assert found.std_error == pytest.approx(float(wanted.std() / len(wanted) ** 0.5), abs=1e-4)


def test_machines_that_have_none_are_refused():
    real = genzoo.create_model("gaussian-rbm", event=genzoo.Real(shape=(2,)), num_hidden=2)
    many = genzoo.create_model("boltzmann-machine", event=genzoo.Binary(shape=(2,)), num_hidden=14)
    deep = genzoo.create_model("dbm", event=genzoo.Binary(shape=(4,)), hidden_dims=(20, 20))
    for model, words in ((real, "is a BinaryMachine"), (many, "summed out"), (deep, "summed out")):
        with pytest.raises(genzoo.CapabilityError, match=words):
            PseudoLikelihood(model)
