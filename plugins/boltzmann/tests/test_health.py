"""Figures of a machine's health against their definitions, and who sees them."""

import copy
from dataclasses import replace

import pytest
import torch

import genzoo
from genzoo.plugin import Step
from genzoo_boltzmann import health
from genzoo_boltzmann.machine import Phase
from genzoo_boltzmann.objectives import (
    CDConfig,
    ContrastiveDivergence,
    PCDConfig,
    PersistentContrastiveDivergence,
)
from machines import machine, states

OF_ROWS = ["hidden_activity", "dead_hidden", "saturated_hidden", "free_energy"]
OF_WEIGHTS = ["largest_singular_value", "effective_rank"]


def step(index=0, *, logged=True):
    return Step(index, 10, 0, torch.Generator().manual_seed(index), logged)


def figures(objective, x, at):
    (loss,) = objective.losses({"x": x}, at)
    return loss


def test_dead_and_saturated_units_are_counted():
    p = torch.tensor([[0.0, 0.5, 1.0, 0.02], [0.01, 0.6, 0.99, 0.02]], dtype=torch.float64)
    found = health.of_rows(Phase(p, p), torch.tensor([1.0, 4.0]))
    wanted = {
        "hidden_activity": float(p.mean()),
        "dead_hidden": 0.25,
        "saturated_hidden": 0.25,
        "free_energy": 2.5,
    }
    assert {name: float(value) for name, value in found.items()} == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["rbm", "gaussian-rbm", "boltzmann-machine"])
def test_the_spectrum_is_that_of_the_weights(name):
    cls = genzoo.registry.load("models", name)
    torch.manual_seed(0)
    model = cls(cls.example()[0])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    W = model.W.detach()
    if name == "gaussian-rbm":
        W = W / model.var.detach().sqrt()[:, None]
    s = torch.linalg.svdvals(W)
    found = health.of_weights(model)
    assert float(found["largest_singular_value"]) == pytest.approx(float(s[0]), rel=2e-2)
    assert float(found["effective_rank"]) == pytest.approx(
        float((s**2).sum() / s[0] ** 2), rel=2e-2
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert set(map(float, health.of_weights(model).values())) == {0.0}


def test_the_time_of_chains_is_that_of_an_autoregressive_process():
    generator = torch.Generator().manual_seed(0)
    a, noise = torch.randn(2, 200_000, generator=generator, dtype=torch.float64)
    for rho, time in ((0.9, 19.0), (0.0, 1.0), (-0.5, 1 / 3)):
        b = rho * a + (1 - rho**2) ** 0.5 * noise
        assert float(health.chain_time(a + 7, 2 * b)) == pytest.approx(time, rel=0.02)


def test_an_update_that_is_looked_at_has_figures():
    rbm, x = machine(), states(6)[20:30]
    cd = ContrastiveDivergence(rbm, CDConfig())
    pcd = PersistentContrastiveDivergence(rbm, PCDConfig(num_steps=3, num_chains=40))
    assert list(figures(cd, x, step()).metrics) == OF_ROWS + OF_WEIGHTS
    assert list(figures(pcd, x, step()).metrics) == OF_ROWS + OF_WEIGHTS
    before = pcd.process_state()["chains_0"]
    unseen = figures(copy.deepcopy(pcd), x, step(1, logged=False))
    assert not unseen.metrics
    assert not unseen.value
    seen = figures(pcd, x, step(1))
    after = pcd.process_state()["chains_0"]
    both = torch.stack([rbm.free_energy(before), rbm.free_energy(after)]).detach()
    rho = both.corrcoef()[0, 1]
    assert list(seen.metrics) == [*OF_ROWS, *OF_WEIGHTS, "chain_time"]
    assert float(seen.metrics["chain_time"]) == pytest.approx(float((1 + rho) / (1 - rho)))
    energy = rbm.free_energy(x).mean().item()
    assert float(seen.metrics["free_energy"]) == pytest.approx(energy)
    assert float(seen.value) == pytest.approx(energy - both[1].mean().item())
    for parameter, gradient in unseen.gradients.items():
        name = next(n for n, p in rbm.named_parameters() if p.shape == parameter.shape)
        assert torch.equal(gradient, seen.gradients[rbm.get_parameter(name)])
    assert set(seen.metrics) <= set(pcd.meanings)


def test_held_out_rows_show_the_gap_to_the_last_batch():
    rbm, train, held_out = machine(), states(6)[:10], states(6)[40:52]
    objective = ContrastiveDivergence(rbm, CDConfig())
    for rows in (states(6)[30:35], train):
        figures(objective, rows, step())
    judged = copy.deepcopy(objective).eval()
    with torch.no_grad():
        judged.model.b.add_(0.3)  # Such as averaged weights: both sides have them.
    found = figures(judged, held_out, replace(step(), index=9)).metrics
    assert list(found) == [*OF_ROWS, "free_energy_gap"]
    energies = [judged.model.free_energy(rows).mean().item() for rows in (held_out, train)]
    assert float(found["free_energy_gap"]) == pytest.approx(energies[0] - energies[1])


def test_a_run_logs_them_and_weights_do_not_depend_on_it(tmp_path):
    data = genzoo.load_dataset("bars-and-stripes", side=2)
    weights = []
    for every in (2, 10**6):
        torch.manual_seed(0)
        model = genzoo.create_model("rbm", data=data, num_hidden=3)
        config = genzoo.TrainerConfig(
            max_steps=6, batch_size=4, logging_steps=every, eval_steps=3, progress=False
        )
        trainer = genzoo.Trainer(model, data, config=config, eval_data=data)
        trainer.fit()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)
    row = trainer.history[-2]
    assert row["model/chain_time"] > 0
    assert "eval/free_energy_gap" in trainer.history[-1]
    assert "eval/effective_rank" not in trainer.history[-1]
