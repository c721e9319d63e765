"""Gradients against autograd and against the exact gradient of the likelihood."""

import pytest
import torch
import torch.nn.functional as F

from genzoo import Trainer, TrainerConfig, registry
from genzoo.plugin import Step
from genzoo_boltzmann.objectives import (
    CDConfig,
    ContrastiveDivergence,
    PCDConfig,
    PersistentContrastiveDivergence,
)
from machines import check_gradient, machine, probabilities, states

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def _phases(rbm):
    generator = torch.Generator().manual_seed(3)
    data = torch.rand(5, 6, generator=generator).round().double()
    chain = torch.rand(7, 6, generator=generator).round().double()
    return data, chain


def _step(slot=0, seed=0):
    return Step(index=0, total=10, slot=slot, generator=torch.Generator().manual_seed(seed))


def test_plain_gradient_is_autograds():
    rbm = machine()
    data, chain = _phases(rbm)
    check_gradient(rbm, data, chain, **TIGHT)


def test_centred_gradient_is_that_of_the_centred_machine_turned_back():
    """A gradient step in (W, b', c') of the machine around μ and λ, seen in (W, b, c)."""
    rbm = machine()
    data, chain = _phases(rbm)
    mu = rbm.base_rates
    lam = torch.sigmoid(mu @ rbm.W + rbm.c).detach()
    W = rbm.W.detach().clone().requires_grad_()
    b_centred = (rbm.b + rbm.W @ lam).detach().requires_grad_()
    c_centred = (rbm.c + rbm.W.T @ mu).detach().requires_grad_()

    def free_energy(v):
        b, c = b_centred - W @ lam, c_centred - W.T @ mu
        return -(v @ b) - F.softplus(v @ W + c).sum(1)

    loss = free_energy(data).mean() - free_energy(chain).mean()
    g_W, g_b, g_c = torch.autograd.grad(loss, [W, b_centred, c_centred])
    rate = 0.1
    new_W = W - rate * g_W
    new_b = (b_centred - rate * g_b) - new_W @ lam
    new_c = (c_centred - rate * g_c) - new_W.T @ mu

    found = rbm.contrast(rbm.phase(data), rbm.phase(chain), centred=True)
    torch.testing.assert_close(rbm.W - rate * found[rbm.W], new_W, **TIGHT)
    torch.testing.assert_close(rbm.b - rate * found[rbm.b], new_b, **TIGHT)
    torch.testing.assert_close(rbm.c - rate * found[rbm.c], new_c, **TIGHT)


@pytest.mark.parametrize("centred", [False, True])
def test_with_chains_at_the_model_it_is_the_exact_likelihood_gradient(centred):
    """All states weighted by p(v) in place of a chain; centred, only the metric differs."""
    rbm = machine()
    data, _ = _phases(rbm)
    p = probabilities(rbm)
    repeated = states(6)[
        torch.multinomial(p, 400_000, replacement=True, generator=torch.Generator().manual_seed(0))
    ]
    joint = torch.einsum("ai,ij,bj->ab", states(6), rbm.W, states(4))
    log_z = (joint + (states(6) @ rbm.b)[:, None] + states(4) @ rbm.c).flatten().logsumexp(0)
    exact = torch.autograd.grad(rbm.free_energy(data).mean() + log_z, [rbm.W, rbm.b, rbm.c])
    difference = rbm.contrast(rbm.phase(data), rbm.phase(repeated), centred=centred)
    found = [difference[p] for p in (rbm.W, rbm.b, rbm.c)]
    if centred:
        inner = sum((a * b).sum() for a, b in zip(exact, found, strict=True))
        assert inner > 0  # A descent direction of the same loss.
        return
    for a, b in zip(exact, found, strict=True):
        # 400,000 draws of values in [0, 1]: a standard error of at most 8e-4; five of them.
        torch.testing.assert_close(a, b, atol=4e-3, rtol=0)


def test_sparsity_adds_its_own_gradient():
    rbm = machine()
    batch = {"x": _phases(rbm)[0]}

    def loss(cost):
        objective = ContrastiveDivergence(rbm, CDConfig(sparsity_cost=cost, sparsity_target=0.2))
        (found,) = objective.losses(batch, _step())
        return found

    with_cost, without = loss(3.0), loss(0.0)
    activity = torch.sigmoid(rbm.hidden_logits(batch["x"])).mean(0)
    penalty = 3 * ((activity - 0.2) ** 2).sum()
    torch.testing.assert_close(with_cost.value - without.value, penalty, **TIGHT)
    for parameter, handed in without.gradients.items():
        assert torch.equal(with_cost.gradients[parameter], handed)
    wanted = torch.autograd.grad(penalty, [rbm.W, rbm.c])
    found = torch.autograd.grad(with_cost.value, [rbm.W, rbm.c])
    for given, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(given, expected, **TIGHT)


def test_a_frozen_parameter_is_left_alone():
    rbm = machine().float()
    before = {name: tensor.clone() for name, tensor in rbm.state_dict().items()}
    rbm.b.requires_grad_(requires_grad=False)
    config = TrainerConfig(max_steps=3, batch_size=4, progress=False)
    Trainer(rbm, torch.rand(8, 6).round(), "cd", config).fit()
    assert torch.equal(rbm.b, before["b"])
    assert not torch.equal(rbm.W, before["W"])


def test_cd_starts_at_the_data_and_pcd_goes_on_from_its_chains():
    rbm = machine()
    batch = {"x": _phases(rbm)[0]}
    cd = ContrastiveDivergence(rbm, CDConfig())
    list(cd.losses(batch, _step()))
    assert cd.process_state() == {}
    pcd = PersistentContrastiveDivergence(rbm, PCDConfig(num_chains=3))
    list(pcd.losses(batch, _step(seed=1)))
    first = pcd.process_state()["chains_0"].clone()
    list(pcd.losses(batch, _step(seed=2)))
    second = pcd.process_state()["chains_0"]
    assert first.shape == (3, 6)
    again = PersistentContrastiveDivergence(rbm, PCDConfig(num_chains=3))
    again.set_process_buffer("chains_0", first)
    list(again.losses(batch, _step(seed=2)))
    assert torch.equal(again.process_state()["chains_0"], second)
    fresh = PersistentContrastiveDivergence(rbm, PCDConfig(num_chains=3))
    list(fresh.losses(batch, _step(seed=2)))
    assert not torch.equal(fresh.process_state()["chains_0"], second)


def test_each_slot_has_chains_of_its_own():
    rbm = machine()
    pcd = PersistentContrastiveDivergence(rbm, PCDConfig())
    for slot in (0, 2):
        list(pcd.losses({"x": _phases(rbm)[0]}, _step(slot=slot)))
    assert sorted(pcd.process_state()) == ["chains_0", "chains_2"]


def test_cd_k_makes_k_sweeps():
    """On a machine that forgets its state in one sweep, CD-1 and CD-9 agree; else they do not."""
    rbm = machine(scale=1.5)
    batch = {"x": torch.ones(4000, 6, dtype=torch.float64)}

    def value(k):
        (loss,) = ContrastiveDivergence(rbm, CDConfig(num_steps=k)).losses(batch, _step())
        return loss.value.item()

    p = probabilities(rbm)
    far = rbm.free_energy(batch["x"]).mean() - (p * rbm.free_energy(states(6))).sum()
    assert abs(value(50) - far.item()) < 0.1 < abs(value(1) - far.item())


def test_optimiser_is_the_papers():
    rbm = machine()
    objective = ContrastiveDivergence(rbm, CDConfig(lr=0.2, momentum=0.9, weight_decay=1e-4))
    sgd = objective.optimizers(objective.config)["model"]
    values = {"lr": 0.2, "momentum": 0.9, "weight_decay": 1e-4}
    assert (sgd.name, sgd.config) == ("sgd", values)
    made = registry.make("optimizers", sgd).build([rbm.W, rbm.b, rbm.c])
    decays = {len(g["params"]): g["weight_decay"] for g in made.param_groups}
    assert decays == {1: 1e-4, 2: 0.0}  # W alone is decayed.
