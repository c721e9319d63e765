"""The deep machine against its definition, by enumeration in float64."""

import itertools
import math

import pytest
import torch

import genzoo
from genzoo import Binary
from genzoo_boltzmann import dbm, layer_gradient, partition
from genzoo_boltzmann.dbm import DBM, DBMConfig
from genzoo_boltzmann.deep_mean_field import entropy, mean_field
from genzoo_boltzmann.layers import Layers
from machines import (
    deep_machine as machine,
    expected_variation,
    frequencies,
    machine as rbm_machine,
    states,
    total_variation,
)

TIGHT = {"rtol": 1e-10, "atol": 1e-10}
SHAPES = [(4, 3, 2), (3, 2, 3, 2), (2, 3, 2, 2, 2)]


def every(model):
    """All states of all units, by layer, and −E of each from the definition, unit by unit."""
    sizes = [len(model.b), *model.config.hidden_dims]
    x = states(sum(sizes)).split(sizes, dim=1)
    found = sum(units @ bias for units, bias in zip(x, (model.b, *model.c), strict=True))
    for below, above, W in zip(x, x[1:], model.W, strict=False):
        for i, j in itertools.product(*map(range, W.shape)):
            found = found + W[i, j] * below[:, i] * above[:, j]
    return x, found.detach()


def by_visible(model, values):
    """Return values of all states as a table of visible by hidden states."""
    return values.view(-1, 2 ** len(model.b)).T


@pytest.mark.parametrize("sizes", SHAPES)
@torch.no_grad()
def test_log_z_energies_and_likelihoods_are_sums_of_the_definition(sizes):
    model = machine(sizes)
    x, joint = every(model)
    torch.testing.assert_close(-model.joint_energy(x[0], x[1:]), joint, **TIGHT)
    log_z = joint.logsumexp(0)
    torch.testing.assert_close(model.log_sum(), log_z, **TIGHT)
    log_p = by_visible(model, joint).logsumexp(1) - log_z
    found = model.log_prob(states(sizes[0]))
    torch.testing.assert_close(found.values, log_p, **TIGHT)
    assert found.kind == model.log_prob_kind == "exact"
    assert model.num_bits == min(sum(sizes[0::2]), sum(sizes[1::2]))


@pytest.mark.parametrize("sizes", SHAPES)
@torch.no_grad()
def test_fields_are_log_odds_of_each_unit(sizes):
    """log p(x_j = 1 | rest) − log p(x_j = 0 | rest), for every unit and every state."""
    model = machine(sizes)
    x, joint = every(model)
    for parity in (0, 1):
        found = model.layers().fields(torch.cat(x[1 - parity :: 2], 1), parity)
        found = model.layers().split(found, parity)
        offset = 0
        for layer, units in enumerate(x):
            for unit in range(units.shape[1]):
                flipped = torch.arange(len(joint)) ^ (1 << (offset + unit))
                odds = (joint - joint[flipped]) * (2 * units[:, unit] - 1)
                if layer in found:
                    torch.testing.assert_close(found[layer][:, unit], odds, **TIGHT)
            offset += units.shape[1]
    even = torch.cat(x[0::2], 1)
    torch.testing.assert_close(model.path().field(even), model.layers().fields(even, 1), **TIGHT)


@torch.no_grad()
def test_the_two_block_chain_has_the_stationary_law_of_units_one_by_one(generator):
    """χ² of visible states after both chains from 20,000 draws of the machine."""
    model, num = machine((3, 2, 3)), 20_000
    x, joint = every(model)
    drawn = torch.multinomial(joint.softmax(0), num, replacement=True, generator=generator)
    units = [layer[drawn] for layer in x]
    state = torch.cat(units[0::2], 1)
    moved = model.path().sweep(state, generator)
    assert not torch.equal(moved, state)
    for layer, unit in [(n, j) for n, size in enumerate((3, 2, 3)) for j in range(size)]:
        given = dict(enumerate(units))
        field = model.layers().field(layer, given, model.layers().biases[layer])[:, unit]
        u = torch.rand(num, generator=generator, dtype=torch.float64)
        units[layer][:, unit] = (u < field.sigmoid()).double()
    p = torch.zeros(64, dtype=torch.float64)
    index = (torch.cat(x[0::2], 1).long() << torch.arange(6)).sum(1)
    p.index_add_(0, index, joint.softmax(0))
    for after in (moved, torch.cat(units[0::2], 1)):
        chi = float((num * (frequencies(after) - p) ** 2 / p).sum())
        assert chi < 63 + 4 * math.sqrt(2 * 63)


@torch.no_grad()
def test_a_sweep_leaves_its_temperature_as_it_is(generator):
    """Draws from p_β stay draws from p_β, with four layers."""
    model, num, beta = machine((3, 2, 3, 2)), 40_000, 0.4
    path, units = model.path(), states(6)
    p = path.log_unnormalized(units, path.field(units), beta).softmax(0)
    state = units[torch.multinomial(p, num, replacement=True, generator=generator)]
    moved = path.sweep(state, generator, torch.full((num,), beta, dtype=torch.float64))
    assert total_variation(frequencies(moved), p) < 2 * expected_variation(p, num)
    assert path.log_z0 == pytest.approx(
        path.log_unnormalized(units, path.field(units), 0.0).logsumexp(0).item()
    )


@torch.no_grad()
def test_annealing_is_unbiased(generator):
    model, num = machine(), 20_000
    betas = torch.linspace(0, 1, 4, dtype=torch.float64)
    found = partition.ais(model, generator=generator, num_chains=num, betas=betas)
    w = (found.log_weights - model.log_sum().item()).exp()
    assert w.std() > 0.2
    assert abs(w.mean().item() - 1) < 4 * w.std().item() / num**0.5


@pytest.mark.parametrize("sizes", SHAPES)
def test_gradient_is_autograds(sizes):
    """Of states, and of data with mean-field probabilities, whose bound it then differentiates."""
    model, num = machine(sizes), sum(sizes[0::2])
    some, chain = states(num)[:7], states(num)[9:14]
    even, _ = mean_field(model.layers(), states(sizes[0])[1:], 3, 0.0)
    for data in (some, even):
        found = model.contrast(model.phase(data), model.phase(chain), centred=False)
        loss = model.free_energies(data).mean() - model.free_energies(chain).mean()
        parameters = list(found)
        assert {*map(id, parameters)} == {*map(id, model.parameters())}
        for parameter, wanted in zip(
            parameters, torch.autograd.grad(loss, parameters), strict=True
        ):
            torch.testing.assert_close(found[parameter], wanted, **TIGHT)


@torch.no_grad()
def test_its_value_compares_bounds_of_visible_rows(generator):
    """It is 0 for chains at the data, and else the difference of the bounds at each v."""
    model, v = machine(), states(4)
    data, chain = model.data_phase(v[:6], generator), model.data_phase(v[9:], generator)
    drawn = torch.cat([v[9:], torch.ones(7, 2)], 1)
    free = [model.free_energies(p.state) - entropy(p.state[:, 4:]) for p in (data, chain)]
    value = model.difference(data, model.phase(drawn))
    torch.testing.assert_close(value, free[0].mean() - free[1].mean(), **TIGHT)
    at_data = torch.cat([v[:6], torch.ones(6, 2)], 1)
    assert model.difference(data, model.phase(at_data)).abs() < 1e-12


@pytest.mark.parametrize("sizes", SHAPES)
def test_centred_gradient_is_that_of_the_centred_machine_turned_back(sizes):
    """A step of the machine with (x_{l−1} − μ_{l−1})ᵀW_l(x_l − μ_l), written without offsets."""
    model, num = machine(sizes), sum(sizes[0::2])
    data, chain = model.phase(states(num)[:9]), model.phase(states(num)[10:15])
    layers = model.layers()
    mu = layer_gradient._by_layer(
        layers, torch.cat([model.base_rates, data.state[:, sizes[0] :].mean(0)]), data.p.mean(0)
    )

    def biases(W, own, mu):
        found = list(own)
        for n, weight in enumerate(W):
            found[n] = found[n] - weight @ mu[n + 1]
            found[n + 1] = found[n + 1] - weight.T @ mu[n]
        return found

    W = [weight.detach().clone().requires_grad_() for weight in layers.W]
    own = biases([-weight.detach() for weight in W], [c.detach() for c in layers.biases], mu)
    own = [c.requires_grad_() for c in own]
    centred = Layers(W, biases(W, own, mu))
    loss = (centred.log_sum_out(chain.state, 1)).mean()
    loss = loss - (centred.log_sum_out(data.state, 1)).mean()
    found = torch.autograd.grad(loss, [*W, *own])
    new_W = [weight - 0.1 * d for weight, d in zip(W, found, strict=False)]
    new_own = [c - 0.1 * d for c, d in zip(own, found[len(W) :], strict=True)]
    new_biases = biases(new_W, new_own, mu)
    step = model.contrast(data, chain, centred=True)
    for parameter, wanted in zip(
        (*model.W, model.b, *model.c), (*new_W, *new_biases), strict=True
    ):
        torch.testing.assert_close(parameter - 0.1 * step[parameter], wanted, **TIGHT)


@pytest.mark.parametrize("sizes", SHAPES)
@torch.no_grad()
def test_mean_field_is_a_fixed_point_that_bounds_log_p(sizes, monkeypatch):
    model, v = machine(sizes), states(sizes[0])
    exact = by_visible(model, every(model)[1]).logsumexp(1)
    before = torch.full_like(exact, -math.inf)
    for steps in (1, 2, 200):
        even, field = mean_field(model.layers(), v, steps, 1e-13)
        bound = -model.free_energies(even) + entropy(even[:, sizes[0] :])
        assert (bound <= exact + 1e-12).all()
        assert (bound >= before - 1e-12).all()
        before = bound
    again = model.layers().fields(field.sigmoid(), 0).sigmoid()[:, sizes[0] :]
    torch.testing.assert_close(even[:, sizes[0] :], again, rtol=0, atol=1e-9)
    torch.testing.assert_close(field, model.layers().fields(even, 1), **TIGHT)
    monkeypatch.setattr(dbm, "_MAX_ENUMERATED_HIDDEN", 0)
    found = model.log_prob(v)
    assert found.kind == model.log_prob_kind == "lower bound"
    assert found.notes[0].code == "mean-field"
    torch.testing.assert_close(found.values, bound - model.log_sum(), rtol=0, atol=1e-6)
    weak = machine(sizes, scale=0.03)
    exact = by_visible(weak, every(weak)[1]).logsumexp(1)
    assert (exact + weak.row_energies(v)).abs().max() < 1e-3


@pytest.mark.parametrize("sizes", SHAPES)
@torch.no_grad()
def test_mean_field_begins_with_a_pass_upwards_with_doubled_weights(sizes):
    """Up to the last odd layer; the weights of the top layer are single. Then comes one step."""
    model, v = machine(sizes), states(sizes[0])
    top, q = len(sizes) - 1, [v]
    for layer, (W, c) in enumerate(zip(model.W, model.c, strict=True), start=1):
        q.append((c + (1 if layer == top else 2) * (q[-1] @ W)).sigmoid())
    biases, fields = (model.b, *model.c), []
    for layer in (*range(2, len(sizes), 2), *range(1, len(sizes), 2)):
        field = biases[layer] + q[layer - 1] @ model.W[layer - 1]
        if layer < top:
            field = field + q[layer + 1] @ model.W[layer].T
        q[layer] = field.sigmoid()
        fields += [field] * (layer % 2)
    even, odd = mean_field(model.layers(), v, 1, 0.0)
    torch.testing.assert_close(even, torch.cat(q[0::2], 1), **TIGHT)
    torch.testing.assert_close(odd, torch.cat(fields, 1), **TIGHT)


def test_the_gradient_of_the_bound_is_that_at_its_probabilities(monkeypatch):
    model, v = machine(), states(4)
    monkeypatch.setattr(dbm, "_MAX_ENUMERATED_HIDDEN", 0)
    model.log_prob(v).values.mean().backward()
    even, field = mean_field(model.layers(), v, 1000, 1e-12)
    x, joint = every(model)
    chain = torch.cat(x[0::2], 1)
    d_W = even[:, :4].T @ field.sigmoid() / len(v)
    d_W -= x[0].T @ (joint.softmax(0)[:, None] * model.layers().fields(chain, 1).sigmoid())
    torch.testing.assert_close(model.W[0].grad, d_W.detach(), rtol=0, atol=1e-5)


def test_with_all_states_as_data_and_chains_it_is_the_exact_gradient(monkeypatch):
    """Phases at p(h | v) of the data and at the machine: the gradient of the mean of log p."""
    model, v = machine(), states(4)[[1, 6, 7]]
    model.log_prob(v).values.mean().backward()
    x, joint = every(model)
    state = torch.cat(x[0::2], 1)
    rows = [(x[0] == row).all(1) for row in v]
    weight = sum(torch.where(r, joint, -math.inf).softmax(0) for r in rows) / len(v)
    phase = model.phase(state)
    p = [state[:, :4], phase.p, state[:, 4:]]
    weight = (weight - joint.softmax(0))[:, None]
    for n in range(2):
        torch.testing.assert_close(model.W[n].grad, p[n].T @ (weight * p[n + 1]), **TIGHT)
        torch.testing.assert_close(model.c[n].grad, (weight * p[n + 1]).sum(0), **TIGHT)


@torch.no_grad()
def test_without_weights_above_it_is_an_rbm(generator):
    rbm, model, v = rbm_machine(5, 3), machine((5, 3, 2)), states(5)
    model.W[0].copy_(rbm.W)
    model.W[1].zero_()
    for ours, its in ((model.b, rbm.b), (model.c[0], rbm.c), (model.base_rates, rbm.base_rates)):
        ours.copy_(its)
    torch.testing.assert_close(model.log_prob(v).values, rbm.log_prob(v).values, **TIGHT)
    q = rbm.hidden_probabilities(v)
    torch.testing.assert_close(model.data_phase(v, generator).p, q, **TIGHT)
    found, wanted = (
        m.contrast(m.data_phase(v[3:9], generator), m.phase(state), centred=False)
        for m, state in ((model, torch.cat([v[20:], v[20:, :2]], 1)), (rbm, v[20:]))
    )
    torch.testing.assert_close(found[model.W[0]], wanted[rbm.W], **TIGHT)
    assert torch.equal(model.visible_mean(q), rbm.visible_mean(q))


@torch.no_grad()
def test_states_of_rows_are_near_the_posterior(generator):
    model, num = machine(), 20_000
    v = states(4)[11].expand(num, -1)
    state = model.states(v, generator)
    assert torch.equal(state[:, :4], v)
    x, joint = every(model)
    weight = torch.where((x[0] == v[0]).all(1), joint, -math.inf).softmax(0)
    index = (x[2].long() << torch.arange(2)).sum(1)
    p = torch.zeros(4, dtype=torch.float64).index_add_(0, index, weight)
    assert total_variation(frequencies(state[:, 4:]), p) < 3 * expected_variation(p, num)
    assert torch.equal(model.states(state, generator), state)


@pytest.mark.parametrize("sizes", SHAPES[:2])
@torch.no_grad()
def test_codes_are_the_top_layer_by_mean_field(sizes, generator):
    """Near p(h_L = 1 | v) for weak weights, by enumeration."""
    model = machine(sizes, scale=0.2)
    x, joint = every(model)
    v = states(sizes[0])
    code = model.encode(v)
    assert model.draw_codes(v, generator=generator).shape == code.shape == (len(v), sizes[-1])
    for row, p in zip(v, code, strict=True):
        weight = torch.where((x[0] == row).all(1), joint, -math.inf).softmax(0)
        torch.testing.assert_close(p, weight @ x[-1], rtol=0, atol=0.01)


@torch.no_grad()
def test_receptive_fields_are_products_of_weights():
    model = machine((4, 3, 2))
    assert torch.equal(model.filters(), model.W[0].T)
    torch.testing.assert_close(model.receptive_fields(2), (model.W[0] @ model.W[1]).T, **TIGHT)
    with pytest.raises(genzoo.ConfigError, match="The hidden layers are 1 to 2; there is none 3"):
        model.receptive_fields(3)


def test_sums_of_rows_give_the_same_phase_and_gradient(generator):
    """The ones of a large sparse visible layer are found, and change nothing but the time."""
    event = Binary(shape=(400,))
    torch.manual_seed(0)
    model = DBM(DBMConfig(event=event, hidden_dims=(256, 8)))
    model.base_rates.fill_(0.1)
    x = (torch.rand(60, 400, generator=generator) < 0.1).float()
    data, chain = model.data_phase(x, generator), model.phase(model.start(60, generator))
    assert data.ones is not None
    assert chain.ones is not None
    plain = [dbm.Phase(phase.state, phase.p) for phase in (data, chain)]
    fast = model.contrast(data, chain, centred=True)
    slow = model.contrast(*plain, centred=True)
    for parameter, found in fast.items():
        torch.testing.assert_close(found, slow[parameter], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [(), (4,)])
def test_one_hidden_layer_is_refused(dims):
    said = r"two or more hidden layers, but hidden_dims is \[4?\]: use an rbm for one"
    with pytest.raises(genzoo.ConfigError, match=said):
        DBMConfig(event=Binary(shape=(4,)), hidden_dims=dims)


def test_grey_data_are_refused():
    with pytest.raises(genzoo.GenzooError, match="binarize"):
        genzoo.create_model("dbm", data=genzoo.load_dataset("digits"))


def test_pretraining_gradient_is_that_of_each_doubled_pair():
    """A step on pairs whose other side is a copy of this one, by autograd of free energies."""
    from genzoo_boltzmann.dbm_pretraining import _Pair

    model = machine((4, 3, 3, 2))
    layers = model.layers()
    for layer, (up, down) in {1: (2, 1), 2: (2, 2), 3: (1, 2)}.items():
        pair = _Pair(layers, layer)
        x = torch.rand(5, len(layers.biases[layer - 1]), dtype=torch.float64)
        y = states(x.shape[1])[:6]
        W, below, above = layers.W[layer - 1], layers.biases[layer - 1], layers.biases[layer]
        p = torch.sigmoid(up * (x @ W) + above)
        torch.testing.assert_close(pair.up(x), p, **TIGHT)
        h = states(len(above))
        # The chain's lower layer given the upper one, as a mean over draws.
        many = h[3].expand(40_000, -1)
        drawn, _ = pair.sweeps(many, 1, torch.Generator().manual_seed(0))
        wanted = torch.sigmoid(down * (W @ h[3]) + below)
        torch.testing.assert_close(drawn.mean(0), wanted, rtol=0, atol=0.012)
        d_W, d_below, d_above = pair.gradient((x, pair.up(x)), (y, pair.up(y)), None)
        free = [torch.nn.functional.softplus(up * (s @ W) + above).sum(1).mean() for s in (y, x)]
        for parameter, found, factor in ((W, d_W, up), (above, d_above, 1)):
            (wanted,) = torch.autograd.grad(free[0] - free[1], parameter, retain_graph=True)
            torch.testing.assert_close(factor * found, wanted, **TIGHT)
        torch.testing.assert_close(d_below, y.mean(0) - x.mean(0), **TIGHT)
        # Around offsets, a step changes the fields only by what differs from them.
        mu, lam = x.mean(0), pair.up(x).mean(0)
        d_W, d_below, d_above = pair.gradient((x, pair.up(x)), (y, pair.up(y)), (mu, lam))
        raw = pair.up(y).mean(0) - pair.up(x).mean(0)
        torch.testing.assert_close(d_above + up * (d_W.T @ mu), raw, **TIGHT)
        torch.testing.assert_close(d_below + down * (d_W @ lam), y.mean(0) - x.mean(0), **TIGHT)
