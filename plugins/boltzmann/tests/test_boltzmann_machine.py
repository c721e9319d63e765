"""The general machine against its definition, by enumeration in float64."""

import math

import pytest
import torch

import genzoo
from genzoo import Binary
from genzoo_boltzmann import boltzmann_machine, graph, partition
from genzoo_boltzmann.boltzmann_machine import BoltzmannMachine, BoltzmannMachineConfig
from genzoo_boltzmann.general_path import (
    GeneralPath,
    mean_field,
    split_free_energy,
    variational_bound,
)
from machines import (
    expected_variation,
    frequencies,
    machine as rbm_machine,
    states,
    total_variation,
)

TIGHT = {"rtol": 1e-10, "atol": 1e-10}
PATH = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7))
GRAPHS = ["complete", "semi-restricted", "restricted", PATH]


def machine(wiring="complete", num_visible=5, num_hidden=3, scale=0.5):
    generator = torch.Generator().manual_seed(0)
    event = Binary(shape=(num_visible,))
    named = {"graph": wiring} if isinstance(wiring, str) else {"graph": "edges", "edges": wiring}
    config = BoltzmannMachineConfig(event=event, num_hidden=num_hidden, **named)
    model = BoltzmannMachine(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * draw)
        rates = torch.rand(num_visible, generator=generator, dtype=torch.float64)
        model.base_rates.copy_(0.2 + 0.6 * rates)
    return model


def log_joint(model):
    """−E(v, h) of every pair of states, (2^V, 2^H), pair by pair from the definition."""
    num, joined = len(model.b), model._joined
    v, h = states(num), states(len(model.c))
    R, S = (0.5 * (p + p.T) for p in (model.R, model.S))
    weight = torch.cat([torch.cat([R, model.W], 1), torch.cat([model.W.T, S], 1)])
    found = (v @ model.b)[:, None] + h @ model.c
    for i in range(len(joined)):
        for j in range(i):
            if joined[i, j]:
                left = v[:, i, None] if i < num else h[None, :, i - num]
                right = v[:, j, None] if j < num else h[None, :, j - num]
                found = found + weight[i, j] * left * right
    return found.detach()


@pytest.mark.parametrize("wiring", GRAPHS)
@torch.no_grad()
def test_log_z_energies_and_likelihoods_are_sums_of_the_definition(wiring):
    model = machine(wiring)
    joint, v = log_joint(model), states(5)
    log_z = joint.flatten().logsumexp(0)
    torch.testing.assert_close(model.log_sum(), log_z, **TIGHT)
    torch.testing.assert_close(-model.row_energies(v), joint.logsumexp(1), **TIGHT)
    log_p = model.log_prob(v)
    torch.testing.assert_close(log_p.values, joint.logsumexp(1) - log_z, **TIGHT)
    assert log_p.kind == "exact"


@torch.no_grad()
def test_energy_is_the_formula_with_a_half():
    model = machine()
    v, h = states(5), states(3)[5:6].expand(32, -1)
    torch.testing.assert_close(-model.joint_energy(v, h), log_joint(model)[:, 5], **TIGHT)
    R, S = (0.5 * (p + p.T) for p in (model.R, model.S))
    R.fill_diagonal_(0)
    S.fill_diagonal_(0)
    within = 0.5 * ((v @ R) * v).sum(1) + 0.5 * ((h @ S) * h).sum(1)
    wanted = -within - ((v @ model.W) * h).sum(1) - v @ model.b - h @ model.c
    torch.testing.assert_close(model.joint_energy(v, h), wanted, **TIGHT)


@torch.no_grad()
def test_without_links_in_a_layer_it_is_an_rbm(generator):
    rbm = rbm_machine(5, 3)
    model = machine("restricted")
    for name in ("W", "b", "c", "base_rates"):
        getattr(model, name).copy_(getattr(rbm, name))
    v = states(5)
    torch.testing.assert_close(model.free_energies(v), rbm.free_energies(v), **TIGHT)
    assert model.path().log_z0 == pytest.approx(rbm.path().log_z0)
    ours, its = (m.path().change(v, 0.2, 0.7) for m in (model, rbm))
    torch.testing.assert_close(ours, its, **TIGHT)
    found, wanted = (
        m.contrast(m.phase(v[3:9]), m.phase(v[20:]), centred=False) for m in (model, rbm)
    )
    for name in ("W", "b", "c"):
        ours, its = found[getattr(model, name)], wanted[getattr(rbm, name)]
        torch.testing.assert_close(ours, its, **TIGHT)
    assert not found[model.R].any()
    # A chain draws all visible units together, after all hidden ones.
    assert [len(block) for block in model.path().blocks.colours] == [5]


@pytest.mark.parametrize("wiring", ["complete", PATH])
@pytest.mark.parametrize("beta", [1.0, 0.4])
@torch.no_grad()
def test_a_sweep_leaves_its_temperature_as_it_is(wiring, beta, generator):
    """Draws from p_β stay draws from p_β, 60,000 of them; rows may have their own β."""
    model, num = machine(wiring), 60_000
    path = model.path()
    units = states(len(path.blocks.kept))
    p = path.log_unnormalized(units, path.field(units), beta).softmax(0)
    state = units[torch.multinomial(p, num, replacement=True, generator=generator)]
    moved = path.sweep(state, generator, torch.full((num,), beta, dtype=torch.float64))
    assert not torch.equal(moved, state)
    # Twice what exact draws have on average.
    assert total_variation(frequencies(moved), p) < 2 * expected_variation(p, num)


@pytest.mark.parametrize("wiring", GRAPHS)
@torch.no_grad()
def test_a_sweep_at_beta_is_that_of_the_machine_with_these_weights(wiring):
    """With βJ and βθ + (1 − β)a in place of J and θ the same numbers give the same units."""
    path, beta = machine(wiring, scale=2.0).path(), 0.3
    theta = beta * path.theta + (1 - beta) * path.a
    tempered = GeneralPath(beta * path.J, theta, path.a[:5].sigmoid(), path.blocks)
    state = states(len(path.blocks.kept)).repeat(50, 1)
    moved = [
        at.sweep(state, torch.Generator().manual_seed(0), b)
        for at, b in ((tempered, 1.0), (path, beta), (path, torch.full((len(state),), beta)))
    ]
    assert not torch.equal(moved[0], path.sweep(state, torch.Generator().manual_seed(0)))
    assert torch.equal(moved[1], moved[0])
    assert torch.equal(moved[2], moved[0])


@pytest.mark.parametrize("wiring", GRAPHS)
@torch.no_grad()
def test_a_hidden_sweep_is_a_clamped_one_with_the_visible_units_fixed(wiring):
    """It makes the same draws without a look at a mask."""
    path = machine(wiring).path()
    state = states(len(path.blocks.kept))
    free = (path.blocks.kept >= 5).expand(len(state), -1)
    clamped = path.clamped_sweep(state, free, torch.Generator().manual_seed(0))
    hidden = path.hidden_sweep(state, 5, torch.Generator().manual_seed(0))
    assert torch.equal(hidden, clamped)
    assert torch.equal(hidden, state) is not bool(free.any())


@torch.no_grad()
def test_hidden_units_are_drawn_given_the_visible_ones(generator):
    """By mean field and clamped sweeps; the visible units stay as they are."""
    model, num = machine(), 40_000
    v = states(5)[19].expand(num, -1)
    state = model.states(v, generator)
    assert torch.equal(state[:, :5], v)
    kept = model._blocks.kept[5:] - 5
    weight = log_joint(model)[19].softmax(0)
    index = (states(3)[:, kept].long() << torch.arange(len(kept))).sum(1)
    p = torch.zeros(2 ** len(kept), dtype=torch.float64).index_add_(0, index, weight)
    distance = total_variation(frequencies(state[:, 5:]), p)
    assert distance < 2 * expected_variation(p, num)
    assert torch.equal(model.states(state, generator), state)


@pytest.mark.parametrize("wiring", GRAPHS)
def test_gradient_is_autograds_of_each_pair(wiring, generator):
    """A pair is in R twice, so its derivative is that of both entries together."""
    model = machine(wiring)
    num = len(model._blocks.kept)
    data, chain = states(num)[:7], states(num)[9:14]
    found = model.contrast(model.phase(data), model.phase(chain), centred=False)
    loss = model.free_energies(data).mean() - model.free_energies(chain).mean()
    value = model.difference(model.phase(data), model.phase(chain))
    torch.testing.assert_close(value, loss.detach(), **TIGHT)
    for name, factor in {"R": 2, "W": 1, "S": 2, "b": 1, "c": 1}.items():
        parameter = getattr(model, name)
        (wanted,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
        torch.testing.assert_close(found[parameter], factor * wanted, **TIGHT)


def test_centred_gradient_is_that_of_the_centred_machine_turned_back():
    model = machine()
    data, chain = model.phase(states(7)[:9]), model.phase(states(7)[40:45])
    mu = model._units(data).mean(0)
    mu[:5] = model.base_rates
    J, theta = (t.detach() for t in model.weights())
    J, own = J.clone().requires_grad_(), (theta + J @ mu).requires_grad_()

    def energy(state):
        blocks = model._blocks
        return split_free_energy(J, own - J @ mu, blocks.kept, blocks.out, state).mean()

    g_J, g_own = torch.autograd.grad(energy(data.state) - energy(chain.state), [J, own])
    new_J = J - 0.1 * (g_J + g_J.T) * model._joined
    new_theta = own - 0.1 * g_own - new_J @ mu
    found = model.contrast(data, chain, centred=True)
    torch.testing.assert_close(new_J[:5, :5], J[:5, :5] - 0.1 * found[model.R], **TIGHT)
    torch.testing.assert_close(new_J[:5, 5:], J[:5, 5:] - 0.1 * found[model.W], **TIGHT)
    torch.testing.assert_close(new_theta[:5], theta[:5] - 0.1 * found[model.b], **TIGHT)
    torch.testing.assert_close(new_theta[5:], theta[5:] - 0.1 * found[model.c], **TIGHT)


@torch.no_grad()
def test_annealing_is_unbiased(generator):
    model, num = machine(), 20_000
    betas = torch.linspace(0, 1, 4, dtype=torch.float64)
    found = partition.ais(model, generator=generator, num_chains=num, betas=betas)
    w = (found.log_weights - model.log_sum().item()).exp()
    assert w.std() > 0.2
    assert abs(w.mean().item() - 1) < 4 * w.std().item() / num**0.5


@torch.no_grad()
def test_mean_field_bounds_log_p_and_never_falls(monkeypatch):
    model, v = machine(), states(5)
    J, theta = model.weights()
    exact = log_joint(model).logsumexp(1)
    before = torch.full_like(exact, -math.inf)
    for steps in (1, 2, 5):
        q = mean_field(J, theta, v, list(model._wiring.hidden_colours), steps)
        bound = variational_bound(J, theta, v, q)
        assert (bound <= exact + 1e-12).all()
        assert (bound >= before - 1e-12).all()
        before = bound
    assert (exact - bound).max() < 0.2
    monkeypatch.setattr(boltzmann_machine, "_MAX_ENUMERATED_HIDDEN", 1)
    found = model.log_prob(v)
    assert found.kind == "lower bound"
    assert found.notes[0].code == "mean-field"
    assert found.values.exp().sum() < 1
    assert (found.values <= exact - model.log_sum() + 1e-9).all()


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([[0, 1], [2, 2]], r"edges\[1\] joins unit 2 with itself; use a bias instead"),
        ([[0, 6]], r"edges\[0\] is \[0, 6\]; the units are 0 to 5"),
        ([[0, 1], [1, 2], [1, 0]], r"edges\[2\] is \[1, 0\], the same pair as edges\[0\]"),
    ],
)
def test_a_graph_that_is_none_is_refused(edges, said):
    with pytest.raises(genzoo.ConfigError, match=said):
        BoltzmannMachineConfig(event=Binary(shape=(4,)), num_hidden=2, graph="edges", edges=edges)


def test_edges_are_given_with_their_graph():
    with pytest.raises(genzoo.ConfigError, match="graph is 'complete': set graph='edges'"):
        BoltzmannMachineConfig(event=Binary(shape=(4,)), num_hidden=2, edges=[[0, 1]])


def test_a_machine_of_too_many_units_is_refused():
    with pytest.raises(genzoo.ConfigError, match="up to 4096 units, not 4097; use an rbm"):
        BoltzmannMachineConfig(event=Binary(shape=(4090,)), num_hidden=7)


def test_units_of_a_colour_are_not_connected():
    joined = torch.rand(20, 20, generator=torch.Generator().manual_seed(0)) < 0.2
    joined = (joined | joined.T) & ~torch.eye(20, dtype=torch.bool)
    blocks = graph.colours(joined, range(20))
    assert sorted(unit for block in blocks for unit in block) == list(range(20))
    assert len(blocks) < 10
    for block in (*blocks, graph.independent(joined, range(20))):
        assert not joined[block][:, block].any()
    assert len(graph.colours(~torch.eye(6, dtype=torch.bool), range(6))) == 6


def test_two_by_two_bars_and_stripes_are_learned():
    """KL(data ‖ model) = −1.732868 − E log p, exact; independent units are at 1.04 nats."""
    data = genzoo.load_dataset("bars-and-stripes", side=2)
    torch.manual_seed(0)
    model = genzoo.create_model("boltzmann-machine", data=data, num_hidden=2)
    stage = genzoo.Stage.from_dict({"objective": {"name": "pcd", "config": {"lr": 0.3}}})
    values = {"max_steps": 800, "batch_size": 32, "lr_scheduler": "linear", "threads": 1}
    genzoo.Trainer(model, data, stage, genzoo.TrainerConfig(**values, progress=False)).fit()
    with torch.no_grad():
        found = model.log_prob(data.head(100)["x"]).mean().value
    assert -1.732868 - found < 0.3
