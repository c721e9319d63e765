"""The convolutional machine against its unrolled one, and against sums over all states."""

import itertools
import math

import pytest
import torch

import genzoo
from genzoo import Binary, DataInfo
from genzoo_boltzmann import conv_rbm, convolution, partition, suiting
from genzoo_boltzmann.conv_rbm import ConvRBM, ConvRBMConfig
from genzoo_boltzmann.couplings import BinaryDense
from genzoo_boltzmann.pooled_units import PooledHidden
from genzoo_boltzmann.rbm import RBM, RBMConfig
from machines import expected_variation, frequencies, states, total_variation

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def machine(shape=(1, 3, 4), num_filters=2, filter_size=2, pool=1, scale=0.7):
    generator = torch.Generator().manual_seed(0)
    config = ConvRBMConfig(
        event=Binary(shape=shape), num_filters=num_filters, filter_size=filter_size, pool=pool
    )
    model = ConvRBM(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * draw)
        rates = torch.rand(len(model.b), generator=generator, dtype=torch.float64)
        model.base_rates.copy_(0.2 + 0.6 * rates)
    return model


def pooled_machine():
    """Nine pixels, two maps of 2 × 2 units in one block each."""
    return machine((1, 3, 3), 2, 2, 2)


def unrolled(model):
    """The dense RBM with the filters at all places, by loops over the definition."""
    (channels, height, width), (k, rows, columns) = model.event_shape, model.config.maps
    size = model.config.filter_size
    W = torch.zeros(channels, height, width, k, rows, columns, dtype=torch.float64)
    for f, i, j in itertools.product(range(k), range(rows), range(columns)):
        W[:, i : i + size, j : j + size, f, i, j] = model.W[f].detach()
    num = k * rows * columns
    rbm = RBM(RBMConfig(event=Binary(shape=model.event_shape), num_hidden=num)).double()
    with torch.no_grad():
        rbm.W.copy_(W.view(-1, num))
        rbm.b.copy_(model.b)
        rbm.c.copy_(model.c.repeat_interleave(rows * columns))
        rbm.base_rates.copy_(model.base_rates)
    return rbm


def folded(model, gradient):
    """A gradient of the unrolled machine's W, summed over the places of each filter."""
    (channels, height, width), (k, rows, columns) = model.event_shape, model.config.maps
    size, found = model.config.filter_size, torch.zeros_like(model.W)
    of = gradient.view(channels, height, width, k, rows, columns)
    for f, i, j in itertools.product(range(k), range(rows), range(columns)):
        found[f] += of[:, i : i + size, j : j + size, f, i, j]
    return found


def allowed(model):
    """All states of the maps with at most one unit on in each block, (N, K, height, width)."""
    k, rows, columns = model.config.maps
    pool = model.config.pool
    h = states(k * rows * columns).view(-1, k, rows, columns)
    blocks = h.unfold(2, pool, pool).unfold(3, pool, pool).sum((4, 5))
    return h[(blocks <= 1).all(3).all(2).all(1)]


def log_joint(model, v, maps):
    """−E(v, h) of all pairs, term by term from the definition, (B, N)."""
    size = model.config.filter_size
    image = v.view(-1, *model.event_shape)
    total = (v @ model.b)[:, None] + (maps.sum((2, 3)) @ model.c)[None]
    for i, j in itertools.product(*map(range, maps.shape[2:])):
        field = torch.einsum("bcij,kcij->bk", image[:, :, i : i + size, j : j + size], model.W)
        total = total + field @ maps[:, :, i, j].T
    return total.detach()


@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 3, 3)])
def test_without_pooling_it_is_its_unrolled_machine(shape):
    model = machine(shape)
    rbm, v = unrolled(model), states(len(model.b))[5::37]
    torch.testing.assert_close(model.free_energies(v), rbm.free_energies(v), **TIGHT)
    torch.testing.assert_close(model.hidden_probabilities(v), rbm.hidden_probabilities(v), **TIGHT)
    h = states(rbm.W.shape[1])[::91]
    torch.testing.assert_close(model.visible_mean(h), rbm.visible_mean(h), **TIGHT)
    ours, its = model.path(), rbm.path()
    assert ours.log_z0 == pytest.approx(its.log_z0)
    for old, new in ((0.0, 0.3), (0.7, 1.0)):
        torch.testing.assert_close(ours.change(v, old, new), its.change(v, old, new), **TIGHT)
    data, chain = states(len(model.b))[::97], states(len(model.b))[40:3000:211]
    found = model.contrast(model.phase(data), model.phase(chain), centred=False)
    wanted = rbm.contrast(rbm.phase(data), rbm.phase(chain), centred=False)
    of, places = wanted, math.prod(model.config.maps[1:])
    torch.testing.assert_close(places * found[model.W], folded(model, of[rbm.W]), **TIGHT)
    torch.testing.assert_close(found[model.b], of[rbm.b], **TIGHT)
    of_c = of[rbm.c].view(2, places).sum(1)
    torch.testing.assert_close(places * found[model.c], of_c, **TIGHT)


@pytest.mark.parametrize("options", [((2, 3, 5), 2, 2, 2), ((1, 4, 5), 3, 3, 1)])
@torch.no_grad()
def test_convolutions_are_products_with_the_unrolled_filters(options, monkeypatch, generator):
    model = machine(*options)
    dense = model.path().coupling
    monkeypatch.setattr(conv_rbm, "_MOST_UNROLLED", 0)
    path = model.path()
    shared = path.coupling
    assert (type(dense), type(shared)) == (BinaryDense, convolution.Convolution)
    v = path.start(5, generator)
    torch.testing.assert_close(shared.hidden(v), model.hidden_logits(v), **TIGHT)
    torch.testing.assert_close(shared.hidden(v), dense.hidden(v), **TIGHT)
    assert shared.largest_field == pytest.approx(dense.largest_field)
    h = path.hidden.draw(path.hidden.probabilities(shared.hidden(v)), generator)
    found = shared.visible(model.b, h, 0.3)
    torch.testing.assert_close(found, dense.visible(model.b, h, 0.3), **TIGHT)
    torch.testing.assert_close(shared.visible(model.b, h).sigmoid(), model.visible_mean(h))


@pytest.mark.parametrize(
    ("shape", "filters", "size", "pool", "bits"),
    [
        ((1, 3, 4), 1, 2, 1, 6),
        ((1, 2, 4), 4, 2, 1, 8),
        ((1, 3, 5), 2, 2, 2, 4 * math.log2(5)),
        ((1, 4, 4), 1, 2, 3, math.log2(10)),
        ((1, 3, 3), 4, 2, 2, 9),
    ],
    ids=["hidden units", "pixels", "blocks", "one block", "pixels, pooled"],
)
@torch.no_grad()
def test_log_z_is_the_sum_over_the_smaller_layer(shape, filters, size, pool, bits):
    model = machine(shape, filters, size, pool)
    assert model.num_bits == pytest.approx(bits)
    wanted = (-model.free_energies(states(len(model.b)))).logsumexp(0)
    torch.testing.assert_close(model.log_sum(), wanted, **TIGHT)


@torch.no_grad()
def test_probabilities_are_sums_over_all_states_with_one_unit_on_a_block():
    model = machine((1, 3, 5), 2, 2, 2)
    v, maps = states(15)[3::1009], allowed(model)
    assert len(maps) == 5**4
    joint = log_joint(model, v, maps)
    torch.testing.assert_close(-model.free_energies(v), joint.logsumexp(1), **TIGHT)
    posterior = joint.softmax(1)
    image = v.view(-1, 1, 3, 5)
    wanted = torch.einsum("bn,nkij->bkij", posterior, maps)
    torch.testing.assert_close(model.encode(image), wanted, **TIGHT)
    on = maps.unfold(2, 2, 2).unfold(3, 2, 2).sum((4, 5))
    wanted = torch.einsum("bn,nkij->bkij", posterior, on)
    torch.testing.assert_close(model.pooled(image), wanted, **TIGHT)
    some = maps[::50]
    of_v = log_joint(model, states(15), some).T.softmax(1)
    wanted = (of_v @ states(15)).view(-1, 1, 3, 5)
    torch.testing.assert_close(model.decode(some), wanted, **TIGHT)


@torch.no_grad()
def test_log_p_is_that_of_the_sum_over_all_states():
    model = pooled_machine()
    joint = log_joint(model, states(9), allowed(model))
    wanted = joint.logsumexp(1) - joint.flatten().logsumexp(0)
    found = model.log_prob(states(9).view(-1, 1, 3, 3))
    assert found.kind == "exact"
    torch.testing.assert_close(found.values, wanted, **TIGHT)


@torch.no_grad()
def test_hidden_units_are_drawn_with_their_joint_probabilities(generator):
    """A χ² test over the 25 states of two blocks, given one image."""
    model, num = pooled_machine(), 40_000
    v = states(9)[341:342]
    maps = allowed(model)
    p = log_joint(model, v, maps).softmax(1)[0]
    drawn = model.to_codes(model.draw_hidden(v.expand(num, -1), generator))
    place = 2 ** torch.arange(8)
    index = (drawn.flatten(1).long() * place).sum(1)
    keys = (maps.flatten(1).long() * place).sum(1)
    seen = torch.bincount(index, minlength=256)[keys].double()
    assert seen.sum() == num
    statistic = ((seen - num * p) ** 2 / (num * p)).sum()
    assert statistic < 24 + 5 * math.sqrt(2 * 24)


@pytest.mark.parametrize("pool", [1, 2])
@torch.no_grad()
def test_a_sweep_leaves_the_machine_as_it_is(pool, generator):
    model, num = machine((1, 3, 3), 2, 2, pool), 40_000
    v = states(9)
    p = (-model.free_energies(v)).softmax(0)
    start = v[torch.multinomial(p, num, replacement=True, generator=generator)]
    moved = model.path().sweep(start, generator)
    assert not torch.equal(moved, start)
    assert total_variation(frequencies(moved), p) < 1.3 * expected_variation(p, num)


@torch.no_grad()
def test_sums_of_groups_are_exact_at_any_field():
    hidden = PooledHidden(2, 3)
    field = torch.tensor([[1.0, -800.0, 2.0, -900.0, 0.5, -700.0], [900, 1, 899, 2, -5, 3]])
    field = field.double()
    full = torch.cat([torch.zeros(2, 1, 2).double(), field.view(2, 3, 2)], 1)
    torch.testing.assert_close(hidden.log_sum(field), full.logsumexp(1).sum(1), **TIGHT)
    p = full.softmax(1)[:, 1:].flatten(1)
    torch.testing.assert_close(hidden.probabilities(field), p, **TIGHT)
    for exponent in (1.0, 10.0):
        small = field / 1000
        wanted = hidden.log_sum(0.9 * small) - hidden.log_sum(0.2 * small)
        p = hidden.probabilities(0.9 * small)
        found = hidden.change(small.clone(), p, 0.2, 0.9, exponent)
        torch.testing.assert_close(found, wanted, **TIGHT)


def some_phases(model):
    num = len(model.b)
    rows = states(num)
    return model.phase(rows[3 :: 2**num // 5]), model.phase(rows[9 :: 2**num // 7])


@pytest.mark.parametrize(
    "options", [((2, 3, 3), 2, 2, 2), ((1, 4, 5), 2, 3, 1), ((1, 4, 4), 2, 2, 3)]
)
def test_gradient_is_autograds_by_place(options):
    model = machine(*options)
    data, chain = some_phases(model)
    found = model.contrast(data, chain, centred=False)
    loss = model.free_energies(data.state).mean() - model.free_energies(chain.state).mean()
    W, b, c = torch.autograd.grad(loss, [model.W, model.b, model.c])
    places = math.prod(model.config.maps[1:])
    torch.testing.assert_close(model.difference(data, chain), loss.detach(), **TIGHT)
    for parameter, wanted in ((model.W, W / places), (model.b, b), (model.c, c / places)):
        torch.testing.assert_close(found[parameter], wanted, **TIGHT)


def test_centred_gradient_is_that_of_the_centred_machine_turned_back():
    model = machine((2, 3, 3), pool=2)
    data, chain = some_phases(model)
    mu = model.base_rates.view(2, 3, 3).mean((1, 2))
    lam = model.to_codes(data.p).mean((0, 2, 3))

    def turned(W):
        """What b and c lose to the offsets, (V,) and (K,)."""
        maps = lam[None, :, None, None].expand(1, 2, 2, 2)
        of_b = torch.nn.functional.conv_transpose2d(maps, W).flatten()
        return of_b, (W * mu[None, :, None, None]).sum((1, 2, 3))

    W = model.W.detach().clone().requires_grad_()
    of_b, of_c = turned(W.detach())
    b, c = (model.b.detach() + of_b).requires_grad_(), (model.c.detach() + of_c).requires_grad_()

    def energy(state):
        of_b, of_c = turned(W)
        return model._free_energies(state, W, b - of_b, c - of_c).mean()

    g_W, g_b, g_c = torch.autograd.grad(energy(data.state) - energy(chain.state), [W, b, c])
    new_W = W.detach() - 0.1 * g_W / 4
    of_b, of_c = turned(new_W)
    new_b, new_c = b.detach() - 0.1 * g_b - of_b, c.detach() - 0.1 * g_c / 4 - of_c
    found = model.contrast(data, chain, centred=True)
    for parameter, wanted in ((model.W, new_W), (model.b, new_b), (model.c, new_c)):
        torch.testing.assert_close(parameter.detach() - 0.1 * found[parameter], wanted, **TIGHT)


@torch.no_grad()
def test_annealing_with_pooling_is_unbiased(generator):
    model, num = pooled_machine(), 10_000
    betas = torch.linspace(0, 1, 4, dtype=torch.float64)
    found = partition.ais(model, generator=generator, num_chains=num, betas=betas)
    w = (found.log_weights - model.log_sum().item()).exp()
    assert w.std() > 0.1
    assert abs(w.mean().item() - 1) < 4 * w.std().item() / num**0.5


def test_maps_and_units_are_the_same_in_another_order():
    maps = torch.arange(2 * 4 * 6.0).view(1, 2, 4, 6)
    units = convolution.units_of_maps(maps, 2)
    torch.testing.assert_close(convolution.maps_of_units(units, (2, 4, 6), 2), maps)
    # The units of the first block of the first map.
    assert units.view(4, 12)[:, 0].tolist() == [0, 1, 6, 7]


@pytest.mark.parametrize(
    ("shape", "options", "said"),
    [
        ((12,), {}, r"models images \(channels, height, width\), not rows of shape \(12,\)"),
        ((1, 3, 9), {"filter_size": 4}, "Filters of 4 × 4 do not fit into images of 3 × 9"),
        ((1, 8, 9), {"filter_size": 3}, "pool=2 does not divide maps of 6 × 7 hidden units"),
    ],
)
def test_what_does_not_fit_is_refused(shape, options, said):
    with pytest.raises(genzoo.ConfigError, match=said):
        ConvRBMConfig(event=Binary(shape=shape), **options)


def test_grey_images_are_refused():
    with pytest.raises(genzoo.DataError, match="models binary data; these are unit"):
        ConvRBM.configure(DataInfo(fields={"x": genzoo.Unit(shape=(1, 8, 8), levels=17)}))


@pytest.mark.parametrize(
    ("shape", "size", "pool"),
    [
        ((1, 8, 8), 7, 2),
        ((1, 28, 28), 7, 2),
        ((3, 9, 9), 8, 2),
        ((3, 13, 14), 3, 1),
        ((1, 7, 8), 6, 1),
        ((1, 10, 13), 8, 3),
        ((1, 2, 2), 2, 1),
        ((1, 1, 1), 1, 1),
    ],
)
def test_filters_and_blocks_fit_any_image(shape, size, pool):
    config = ConvRBM.configure(DataInfo(fields={"x": Binary(shape=shape)}))
    assert (config.filter_size, config.pool) == (size, pool)
    assert config.num_filters == (128 if min(shape[1:]) <= 12 else 32)


def test_what_is_given_is_kept_and_the_rest_fits():
    assert suiting.filters((1, 28, 28), filter_size=6) == {"filter_size": 6, "pool": 1}
    assert suiting.filters((1, 28, 28), pool=4) == {"filter_size": 9, "pool": 4}
    assert suiting.filters((1, 28, 28), pool=3) == {"filter_size": 8, "pool": 3}


def test_a_map_is_one_detector_whose_activity_is_its_mean():
    model = machine((2, 3, 3), pool=2)
    x = states(18)[:40:7]
    wanted = model.encode(x.view(-1, 2, 3, 3)).mean((0, 2, 3))
    torch.testing.assert_close(model.activity(x), wanted)
    assert model.activity(x).requires_grad
    assert model.filters().shape == (2, 2, 2, 2)


def test_energies_do_not_round_the_factors_of_convolutions(monkeypatch):
    """CuDNN's TF32 is off within an energy, and as it was after it."""
    model, seen, before = machine(), [], torch.backends.cudnn.allow_tf32

    def field(*arguments):
        seen.append(torch.backends.cudnn.allow_tf32)
        return ConvRBM._field(model, *arguments)

    monkeypatch.setattr(model, "_field", field)
    model.free_energies(states(12)[:3])
    assert (seen, torch.backends.cudnn.allow_tf32) == ([False], before)
