"""What the equations of MADE, NADE and their outputs say, computed here by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from genzoo import Binary, ConfigError, DataError, Unit, create_model
from genzoo.plugin import NotFiniteSampleError
from genzoo_autoregressive import orders, recursion
from genzoo_autoregressive.chains import log_probs
from genzoo_autoregressive.choosing import ChoosingConfig, chosen, probabilities
from genzoo_autoregressive.filling import filled
from genzoo_autoregressive.made import MADEConfig
from genzoo_autoregressive.nade import NADEConfig
from small_chains import (
    EVENTS,
    GIVEN,
    SPACES,
    excess,
    net,
    numbers_of,
    probabilities as of_rows,
    rows_of,
)

ACTIVATIONS = {"relu": F.relu, "tanh": torch.tanh, "silu": F.silu, "sigmoid": torch.sigmoid}
LONG = Binary(shape=(2**14,))


def vectors_of(model, num):
    return model.condition_vectors(model.checked_condition(GIVEN, num))


# MADE


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
@pytest.mark.parametrize("direct", [True, False])
def test_a_made_is_a_network_with_masked_weights(activation, direct):
    config = {"activation": activation, "direct": direct, "conditions": SPACES}
    model = net("made", hidden_dims=(8, 7), order="random", **config)
    x = rows_of(model).flatten(1)
    given = vectors_of(model, len(x))
    degrees = model.degrees(0)
    rank, (first, second) = degrees.ranks + 1, degrees.hidden
    assert rank.argsort().tolist() == model.order
    one, two = model.layers
    h = ACTIVATIONS[activation]
    below = h(x @ (one.weight * (first[:, None] >= rank)).T + one.bias + given[:, :8])
    above = h(below @ (two.weight * (second[:, None] >= first)).T + two.bias)
    wanted = above @ (model.out.weight * (rank[:, None] > second)).T + model.out.bias
    wanted = wanted + given[:, 8:]
    if direct:
        wanted = wanted + x @ (model.direct.weight * (rank[:, None] > rank)).T
    (chain,) = model.chains()
    assert torch.allclose(chain.parameters(x, given)[..., 0], wanted)
    steps = chain.steps(x, given)
    for index, place in enumerate(model.order):
        assert torch.allclose(steps.parameters(index)[:, 0], wanted[:, place])
        steps.put(index, x[:, place])


@pytest.mark.parametrize("seed", range(4))
def test_the_degrees_of_a_layer_begin_at_the_lowest_below_it(seed):
    space = Binary(shape=(8,))
    model = create_model("made", event=space, hidden_dims=(2, 200), mask_seed=seed)
    first, second = model.degrees(0).hidden
    assert sorted(second.unique().tolist()) == list(range(int(first.min()), 8))


def test_masks_and_orders_depend_on_their_seed():
    config = {"event": EVENTS["binary"], "hidden_dims": (30,), "num_masks": 4, "num_orders": 4}
    one, two = (create_model("made", mask_seed=seed, **config) for seed in (0, 1))
    assert one.ranks[0].tolist() == two.ranks[0].tolist() == list(range(6))
    assert not torch.equal(one.ranks[1:], two.ranks[1:])
    assert len({tuple(rank) for rank in one.ranks.tolist()}) == 4


def test_a_made_starts_as_the_start_of_its_output_where_hidden_units_are_zero():
    model = create_model("made", event=EVENTS["grey"], hidden_dims=(4,))
    assert torch.equal(model.out.bias.view(4, -1), model.output.start().expand(4, -1))
    assert not model.direct.weight.any()


# NADE


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_a_nade_has_the_hidden_units_of_its_definition(activation):
    model = net("nade", hidden_dim=5, order="random", activation=activation, conditions=SPACES)
    x = rows_of(model).flatten(1)
    given = vectors_of(model, len(x))
    (chain,) = model.chains()
    found, steps = chain.parameters(x, given)[..., 0], chain.steps(x, given)
    for index, place in enumerate(model.order):
        known = model.order[:index]
        h = ACTIVATIONS[activation](model.c + given[:, :5] + x[:, known] @ model.W[known, 0])
        wanted = (h @ model.V[place])[:, 0] + model.b[place] + given[:, 5 + place]
        assert torch.allclose(found[:, place], wanted)
        assert torch.allclose(steps.parameters(index)[:, 0], wanted)
        steps.put(index, x[:, place])


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_a_nade_for_all_orders_knows_which_places_are_known(activation):
    config = {"activation": activation, "conditions": SPACES, "orderless": True}
    model = net("nade", hidden_dim=5, **config)
    x, known = rows_of(model).flatten(1), torch.tensor([0, 1, 1, 0, 0, 1]).bool()
    given = vectors_of(model, len(x))
    sums = model.c + given[:, :5] + x[:, known] @ model.W[known, 0] + model.W[known, 1].sum(0)
    wanted = torch.einsum("bh,dhp->bdp", ACTIVATIONS[activation](sums), model.V) + model.b
    wanted = wanted[..., 0] + given[:, 5:]
    found = model.parameters_given(x, known.expand(len(x), -1), given)[..., 0]
    assert torch.allclose(found, wanted)
    order = torch.tensor([1, 2, 5, 0, 3, 4])
    chain = type(model.chains()[0])(model, order)
    assert torch.allclose(chain.parameters(x, given)[:, 0, 0], wanted[:, 0])


def test_given_places_come_first_and_all_keep_the_order_of_the_model():
    model = net("nade", hidden_dim=5, order="random", orderless=True)
    known = torch.tensor([0, 1, 1, 0, 0, 1]).bool()
    order = [p for p in model.order if known[p]] + [p for p in model.order if not known[p]]
    assert model.order_after(known).tolist() == order


def test_the_orders_of_an_ensemble_depend_on_its_seed():
    config = {"event": EVENTS["binary"], "orderless": True, "num_orders": 3, "hidden_dim": 4}
    one, two = (create_model("nade", order_seed=seed, **config) for seed in (0, 1))
    assert one.orders[0].tolist() == two.orders[0].tolist() == list(range(6))
    assert not torch.equal(one.orders[1:], two.orders[1:])


def test_a_nade_starts_with_sums_of_the_size_of_one_and_the_start_of_its_output():
    torch.manual_seed(0)
    model = create_model("nade", event=Unit(shape=(1, 20, 20), levels=4), hidden_dim=400)
    assert torch.equal(model.b, model.output.start().expand(400, -1))
    assert not model.c.any()
    # 160,000 draws: the standard error of a standard deviation is 0.2 %.
    assert model.W.std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert model.V.std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert model.widest == max(400, model.b.numel())


@pytest.mark.parametrize("num_hidden", [4, 5, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_recursion_skips_rows_of_any_width(num_hidden, dtype):
    torch.manual_seed(0)
    D, B = 9, 12
    x = (torch.rand(D, B, 1) < 0.2).to(dtype)
    a, W, V = (
        torch.randn(shape, dtype=dtype, requires_grad=True)
        for shape in ((B, num_hidden), (D, 1, num_hidden), (D, num_hidden, 1))
    )
    before = a.detach().clone()
    found = recursion.outputs(x, a, W, V, "sigmoid")
    h = [(a + sum(x[j] @ W[j] for j in range(i))).sigmoid() for i in range(D)]
    wanted = torch.stack([h[i] @ V[i] for i in range(D)])
    assert torch.allclose(found, wanted, atol=1e-5)
    weights = torch.randn_like(found)
    for of in (a, W, V):
        (one,) = torch.autograd.grad((weights * found).sum(), of, retain_graph=True)
        (two,) = torch.autograd.grad((weights * wanted).sum(), of, retain_graph=True)
        assert torch.allclose(one, two, atol=1e-5)
    assert torch.equal(a, before)


# Orders


def test_orders_of_an_ensemble_are_none_of_the_single_orders():
    found = orders.more_orders(30, 4, seed=2)
    assert len(found) == 3
    assert all(sorted(order) == list(range(30)) for order in found)
    singles = [orders.shuffled(30, seed) for seed in range(8)]
    assert len({tuple(order) for order in found + singles}) == 11


def test_the_most_places_are_allowed_and_one_more_is_not():
    most = orders.MAX_PLACES
    orders.check_num_places("It", most)
    with pytest.raises(ConfigError, match="65,537"):
        orders.check_num_places("It", most + 1)


def test_as_many_masks_as_orders_are_allowed():
    model = create_model("made", event=EVENTS["binary"], num_masks=2, num_orders=2)
    assert len({tuple(chain.order.tolist()) for chain in model.chains()}) == 2


@pytest.mark.parametrize(
    ("config", "most"),
    [
        (lambda most: MADEConfig(event=LONG, hidden_dims=(most,), direct=False), 2**13),
        (lambda most: MADEConfig(event=LONG, hidden_dims=(2,), direct=False, num_masks=most), 127),
        (lambda most: NADEConfig(event=LONG, hidden_dim=most), 2**13),
        (lambda most: NADEConfig(event=LONG, orderless=True, num_orders=most), 2**7),
    ],
)
def test_the_largest_nets_are_allowed_and_larger_ones_are_not(config, most):
    config(most)
    with pytest.raises(ConfigError, match=r"at most 268,435,456|Give fewer"):
        config(most + 1)


# Filling in


def test_the_chain_of_a_completion_is_drawn_by_what_is_given(generator):
    config = {"hidden_dims": (8, 7), "num_masks": 2, "direct": False, "conditions": SPACES}
    model = net("made", seed=2, **config)
    ones = rows_of(model).flatten(1)[1::2]  # All rows whose last value is 1.
    with torch.no_grad():
        told, plain = (
            torch.stack([log_probs(c, model.output, ones, v) for c in model.chains()])
            for v in (vectors_of(model, len(ones)), None)
        )
    of_one = told[..., 5].exp()

    def mixed(weights):
        return (weights[..., :5].sum(-1).softmax(0) * of_one).sum(0)

    # The row for which it matters most by what the chain is chosen.
    wanted, others = mixed(told), torch.stack([mixed(plain), of_one.mean(0)])
    gap, row = (others - wanted).abs().amin(0).max(0)
    assert gap > 0.3
    mask = torch.arange(6).view(1, 2, 3) >= 5
    x = torch.where(mask, math.nan, ones[row].view(1, 2, 3)).expand(4000, -1, -1, -1)
    found = model.inpaint(x, mask, generator=generator, condition=GIVEN)[:, 0, 1, 2].mean()
    error = (wanted[row] * (1 - wanted[row]) / 4000).sqrt()
    assert abs(found - wanted[row]) < 4.5 * error


def test_values_that_are_not_kept_are_replaced_by_zeros(generator):
    model = net()
    x, kept = torch.full((2, 6), math.nan).double(), torch.zeros(2, 6).bool()
    found = filled(model, model.chains(), x, kept, None, ChoosingConfig(), generator)
    states = [state.clone() for state in found]
    for index, state in enumerate(states):
        assert not state[:, index + 1 :].any()
    assert bool(torch.isfinite(states[-1]).all())


def test_the_rows_of_each_chain_keep_their_own_conditions():
    model = net("made", hidden_dims=(8, 7), num_masks=2, conditions={"label": SPACES["label"]})
    model.vectors.parts[0].weight.data *= 3
    label = torch.arange(3).repeat(3000)
    x = model.sample(9000, seed=1, condition={"label": label}, batch_size=9000)
    for value in range(3):
        numbers = numbers_of(model, x[label == value])
        assert excess(numbers, of_rows(model, {"label": value})) < 4.5


def test_a_model_that_is_trained_completes_as_it_evaluates(generator, monkeypatch):
    model, seen = net().train(), []
    (chain,) = model.chains()
    steps = type(chain).steps
    monkeypatch.setattr(
        type(chain), "steps", lambda *given: seen.append(model.training) or steps(*given)
    )
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    model.inpaint(torch.zeros(2, 1, 2, 3), mask, generator=generator)
    assert seen == [False]
    assert model.training


def test_no_rows_are_completed_as_no_rows(generator):
    x = torch.zeros(0, 1, 2, 3, dtype=torch.float64)
    assert net().inpaint(x, torch.ones(1, 2, 3).bool(), generator=generator).shape == x.shape


def test_a_refused_mask_names_places_and_not_positions(generator):
    model = net(order="given")
    mask = torch.zeros(1, 2, 3, dtype=torch.bool)
    mask.view(-1)[4] = True
    with pytest.raises(DataError, match="place 4 is to be filled in and place 3, the next"):
        model.inpaint(torch.zeros(2, 1, 2, 3), mask, generator=generator)


def test_probabilities_that_are_not_finite_are_an_error():
    model = net()
    # Each weight is finite, and their sum is not.
    model.W.data.fill_(1.5e308)
    model.b.data.fill_(1.5e308)
    with pytest.raises(NotFiniteSampleError, match="not finite"):
        model.sample(2)


# Choosing


LOGITS = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64).log()


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 3}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_k": 4}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_k": 9}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
        ({"temperature": 0.5}, [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
        ({"temperature": 0.5, "top_k": 2}, [0, 16 / 25, 0, 9 / 25]),
        ({"temperature": 0.5, "top_p": 0.5}, [0, 1, 0, 0]),
        ({"temperature": 0.5, "top_p": 0.6}, [0, 16 / 25, 0, 9 / 25]),
        ({"top_k": 3, "top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
    ],
)
def test_probabilities_that_values_are_drawn_with(how, wanted):
    found = probabilities(LOGITS, ChoosingConfig(**how))[0]
    assert torch.allclose(found, torch.tensor(wanted, dtype=torch.float64))


def test_as_much_as_top_p_is_enough():
    halves = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    assert probabilities(halves, ChoosingConfig(top_p=0.5))[0].tolist() == [1, 0, 0]


def test_values_are_chosen_by_inversion():
    log_p = torch.tensor([0.0, 0.5, 0.0, 0.5, 0.0], dtype=torch.float64).log().expand(4, -1)
    u = torch.tensor([0.0, 0.49, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert chosen(log_p, u, ChoosingConfig()).tolist() == [1, 1, 3, 3]
    # The sum of these is below 1; the last value that has a probability is still the last one.
    short = (log_p[:1, :4].exp() * 0.999).log()
    assert chosen(short, u[3:], ChoosingConfig()).tolist() == [3]


# Outputs


def test_parameters_of_narrow_and_far_logistics_stay_finite():
    output = net(event="grey", num_mixtures=1).output
    far = torch.tensor([0.0, 40.0, -30.0], dtype=torch.float64, requires_grad=True)
    levels = output.values(torch.arange(4), torch.float64)
    for scale in (-800.0, 800.0):  # Whose exponentials are 0 and infinite.
        extreme = torch.tensor([0.0, 0.5, scale], dtype=torch.float64)
        assert bool(torch.isfinite(output.log_prob(extreme.expand(4, -1), levels)).all())
    found = output.log_prob(far.expand(4, -1), levels)
    assert bool(torch.isfinite(found).all())
    (slope,) = torch.autograd.grad(found.sum(), far)
    assert bool(torch.isfinite(slope).all())
    narrow = torch.tensor([0.0, 1 / 3, -30.0], dtype=torch.float64)
    assert torch.allclose(output.log_probs(narrow).exp(), torch.eye(4).double()[1], atol=1e-10)
    # A level of 1/3 in float32 is off by 1e-8, which is many scales of a narrow logistic.
    least = torch.tensor([[0.0, 0.5, -30.0]], dtype=torch.float64)
    sides = [output.log_prob(least, level.view(1)) for level in levels[1:3].float()]
    assert torch.allclose(*sides, atol=1e-6)


def test_mixtures_start_spread_over_all_levels():
    output = net(event="grey", num_mixtures=4).output
    weights, means, scales = output.start().chunk(3)
    assert weights.tolist() == [0] * 4
    assert means.tolist() == [0.125, 0.375, 0.625, 0.875]
    assert torch.allclose(scales.exp(), torch.tensor(0.3 / 4))


def test_networks_receive_grey_levels_from_minus_one_to_one():
    output = net(event="grey").output
    assert output.inputs(torch.tensor([0.0, 0.5, 1.0]), torch.float64)[:, 0].tolist() == [-1, 0, 1]


def test_the_values_of_indices_are_those_of_the_space():
    grey, categories = (net(event=name).output for name in ("grey", "categorical"))
    index = torch.arange(4)
    assert torch.allclose(grey.values(index, torch.float64), index.double() / 3)
    assert categories.values(index[:3], torch.float64).tolist() == [0, 1, 2]
