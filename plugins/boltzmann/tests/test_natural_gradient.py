"""The natural-metric gradient against explicit Fisher information matrices, in float64."""

import math

import pytest
import torch

from genzoo.plugin import CapabilityError, Step
from genzoo_boltzmann import natural_gradient
from genzoo_boltzmann.boltzmann_machine import BoltzmannMachine
from genzoo_boltzmann.conv_rbm import ConvRBM
from genzoo_boltzmann.dbm import DBM
from genzoo_boltzmann.gaussian_rbm import GaussianRBM
from genzoo_boltzmann.natural_gradient import natural
from genzoo_boltzmann.objectives import CDConfig, ContrastiveDivergence
from genzoo_boltzmann.rbm import RBM

MACHINES = {
    "rbm": RBM,
    "gaussian-rbm": GaussianRBM,
    "boltzmann-machine": BoltzmannMachine,
    "dbm": DBM,
    "conv-rbm": ConvRBM,
}
NAMES = list(MACHINES)
TIGHT = {"rtol": 1e-8, "atol": 1e-10}


def _machine(name, seed=0):
    """A machine with normal weights, and phases of 9 rows of data and 12 chains."""
    cls = MACHINES[name]
    config, batch = cls.example()
    model, generator = cls(config).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.5 * draw)
        if name == "boltzmann-machine":
            for square in (model.R, model.S):
                square.copy_(torch.triu(square, 1) + torch.triu(square, 1).T)
        base = model.base_mean if name == "gaussian-rbm" else model.base_rates
        base.copy_(0.2 + 0.6 * torch.rand(base.shape, generator=generator, dtype=torch.float64))
    rows = batch["x"].double()
    data = model.data_phase(rows, generator)
    return model, data, model.phase(model.start(12, generator))


def _coordinates(model, statistics):
    """How all parameters change with the coordinates in which the machine learns, (P, Q)."""
    shapes = [
        (term.left.shape[1], *(() if term.right is None else term.right.shape[1:]))
        for term in statistics.chain
    ]
    sizes = [math.prod(shape) for shape in shapes]
    columns = []
    for unit in torch.eye(sum(sizes), dtype=torch.float64):
        parts = [part.view(shape) for part, shape in zip(unit.split(sizes), shapes, strict=True)]
        columns.append(_flat(model, statistics.step(parts)))
    return torch.stack(columns, 1)


def _scores(model, state):
    """−∂F of each row by all parameters, (B, P), by autograd."""
    parameters = list(model.parameters())
    found = []
    for energy in model.free_energies(state):
        grads = torch.autograd.grad(energy, parameters, retain_graph=True)
        found.append(torch.cat([-g.flatten() for g in grads]))
    return torch.stack(found)


def _flat(model, found):
    return torch.cat([found[p].flatten() for p in model.parameters()])


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_under_a_large_damping_it_is_the_machines_own_gradient(name, centred):
    model, data, chain = _machine(name)
    statistics = model.statistics(data, chain, centred=centred)
    found = natural(statistics, 1e9)
    for parameter, wanted in model.contrast(data, chain, centred=centred).items():
        torch.testing.assert_close(1e9 * found[parameter], wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_it_solves_the_system_of_the_explicit_fisher_information(name, centred):
    """T(TᵀGT + λ)⁻¹Tᵀg, with G and g of all parameters by autograd, and coordinates T."""
    model, data, chain = _machine(name)
    statistics = model.statistics(data, chain, centred=centred)
    T = _coordinates(model, statistics)
    of_data, of_chain = (_scores(model, phase.state) for phase in (data, chain))
    phi = of_chain - of_chain.mean(0)
    G = T.T @ (phi.T @ phi / len(phi)) @ T
    g = T.T @ (of_chain.mean(0) - of_data.mean(0))
    damping = 0.05 * torch.eye(len(G), dtype=torch.float64)
    wanted = T @ torch.linalg.solve(G + damping, g)
    torch.testing.assert_close(_flat(model, natural(statistics, 0.05)), wanted, **TIGHT)


def test_too_many_chains_are_refused(monkeypatch):
    model, data, chain = _machine("rbm")
    monkeypatch.setattr(natural_gradient, "MOST_CHAINS", 11)
    with pytest.raises(CapabilityError, match="equations as there are chains, here 12"):
        natural(model.statistics(data, chain, centred=True), 0.1)


def test_an_objective_takes_it_in_the_metric_that_is_asked_for():
    model, data, _ = _machine("rbm")

    def gradients(**values):
        objective = ContrastiveDivergence(model, CDConfig(**values))
        step = Step(index=0, total=1, slot=0, generator=torch.Generator().manual_seed(2))
        (loss,) = objective.losses({"x": data.state}, step)
        return loss.gradients

    path, generator = model.path(), torch.Generator().manual_seed(2)
    chain = model.phase(path.sweep_after(data.state, data.p, generator))
    wanted = natural(model.statistics(data, chain, centred=True), 0.2)
    found, plain = gradients(metric="natural", damping=0.2), gradients()
    for parameter in (model.W, model.b, model.c):
        torch.testing.assert_close(found[parameter], wanted[parameter], **TIGHT)
        assert not torch.allclose(plain[parameter], wanted[parameter], rtol=0.1)
