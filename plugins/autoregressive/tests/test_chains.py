"""What all autoregressive models share: probabilities, orders, samples, completion."""

import math

import pytest
import torch

from genzoo import Binary, Component, ConfigError, DataError, Real, Unit, create_model
from genzoo.plugin import Step, make
from genzoo_autoregressive.chains import Recomputing
from small_chains import (
    EVENTS,
    GIVEN,
    MODELS,
    ORDERS,
    PIXELS,
    SPACES,
    dependence,
    excess,
    net,
    numbers_of,
    probabilities,
    rows_of,
)

each_model = pytest.mark.parametrize("name", MODELS)
each_order = pytest.mark.parametrize(
    ("name", "order"),
    [
        (name, order)
        for name in MODELS
        for order in ORDERS
        if order == "raster" or name not in PIXELS
    ],
)
each_event = pytest.mark.parametrize("event", EVENTS)


@each_order
@each_event
def test_probabilities_of_all_rows_sum_to_one(name, event, order):
    plain = net(name, event, order=order, **MODELS[name])
    assert probabilities(plain).sum().item() == pytest.approx(1, abs=1e-10)
    told = net(name, event, order=order, conditions=SPACES, **MODELS[name])
    p = probabilities(told, GIVEN)
    assert p.sum().item() == pytest.approx(1, abs=1e-10)
    for key, value in {"label": 0, "mood": [2.0, 0.0], "text": "a cat"}.items():
        assert not torch.allclose(p, probabilities(told, {**GIVEN, key: value}), atol=1e-4)


@each_model
def test_twelve_places_sum_to_one(name):
    model = net(name, Binary(shape=(1, 3, 4)), order="random", **MODELS[name])
    assert probabilities(model).sum().item() == pytest.approx(1, abs=1e-10)


@each_order
@each_event
def test_a_place_depends_on_all_places_before_it_and_on_no_others(name, event, order):
    model = net(name, event, order=order, **MODELS[name])
    x = rows_of(model).flatten(1)
    others = x.flip(0)  # The lowest value at a place becomes the highest one.
    for chain in model.chains():
        plain = chain.parameters(x, None)
        for index, place in enumerate(chain.order.tolist()):
            changed = x.clone()
            changed[:, place] = others[:, place]
            moved = (chain.parameters(changed, None) != plain).any(-1).any(0)
            assert moved[chain.order].tolist() == [later > index for later in range(x.shape[1])]


@each_order
def test_the_jacobian_is_strictly_lower_triangular_in_the_order(name, order):
    found = dependence(net(name, order=order, **MODELS[name]))
    assert torch.equal(found, torch.ones_like(found).tril(-1))


def test_images_are_read_pixel_by_pixel():
    assert net(event="channels").order == [0, 2, 1, 3]
    assert sorted(net(order="random").order) == list(range(6))
    assert net(order="random").order != list(range(6))
    assert net(order="given").order == [5, 4, 3, 2, 1, 0]


# Samples


@each_model
@pytest.mark.parametrize(
    ("event", "conditions"), [("binary", {}), ("categorical", SPACES), ("grey", {})]
)
def test_samples_follow_the_probabilities(name, event, conditions):
    model = net(name, event, order="random", conditions=conditions, **MODELS[name])
    condition = GIVEN if conditions else None
    x = model.sample(4000, seed=1, condition=condition, batch_size=4000)
    model.check_rows(x)
    assert excess(numbers_of(model, x), probabilities(model, condition)) < 4.5


@each_model
@each_event
def test_what_is_kept_between_places_changes_nothing(name, event, monkeypatch):
    model = net(name, event, order="random", conditions=SPACES, **MODELS[name])
    kept = model.sample(1000, seed=2, condition=GIVEN, batch_size=1000)
    x = kept.flatten(1)
    given = model.condition_vectors(model.checked_condition(GIVEN, len(x)))
    with torch.no_grad():
        for chain in model.chains():
            quick, slow = chain.steps(x, given), Recomputing(chain, x, given)
            assert not isinstance(quick, Recomputing)
            for index, place in enumerate(chain.order.tolist()):
                found, wanted = quick.parameters(index), slow.parameters(index)
                assert torch.allclose(found, wanted, rtol=0, atol=1e-10)
                quick.put(index, x[:, place])
                slow.put(index, x[:, place])
        monkeypatch.setattr(type(model.chains()[0]), "steps", lambda *given: Recomputing(*given))
        anew = model.sample(1000, seed=2, condition=GIVEN, batch_size=1000)
    assert torch.equal(kept, anew)


@each_model
def test_states_are_the_rows_so_far(name):
    model = net(name, Binary(shape=(2, 3, 1)), **MODELS[name])
    sampler = make("samplers", model.default_sampler(model.config))
    generator = torch.Generator().manual_seed(0)
    states = list(sampler.trajectory(model, 50, generator=generator))
    assert len(states) == sampler.num_states(model) == 3
    last = states[-1].flatten(1)
    for pixel, state in enumerate(states, 1):
        known = model.order[: 2 * pixel]
        wanted = torch.zeros_like(last)
        wanted[:, known] = last[:, known]
        assert torch.equal(state.flatten(1), wanted)
    assert last.any(0).all()


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ({"temperature": 0.5}, lambda p: p**2 / (p**2).sum()),
        ({"top_k": 2}, lambda p: torch.where(p >= p.sort().values[-2], p, 0)),
        ({"top_p": 0.45}, lambda p: (p == p.max()).double()),
        ({"top_p": 0.6}, lambda p: torch.where(p >= p.sort().values[-2], p, 0)),
    ],
)
def test_values_are_drawn_by_temperature_top_k_and_top_p(how, wanted):
    space = EVENTS["categorical"]
    model = net(event=space, std=0.0)
    logits = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64).log()
    model.W.data.zero_()
    model.b.data[:] = logits
    sampler = make("samplers", Component(name="autoregressive", config=how))
    x = model.sample(2000, seed=0, sampler=sampler, batch_size=2000)
    p = wanted(logits.exp())
    assert excess(x.flatten(), p / p.sum()) < 4.5


def test_grey_levels_have_the_probabilities_of_discretised_logistics():
    output = net(event="grey", num_mixtures=2).output
    parameters = torch.tensor([0.3, -0.2, 0.1, 0.8, -1.0, -2.5], dtype=torch.float64)
    weights, mean, scale = parameters[:2].softmax(0), parameters[2:4], parameters[4:].exp()
    edges = torch.tensor([-math.inf, 1 / 6, 0.5, 5 / 6, math.inf], dtype=torch.float64)
    cdf = (weights * ((edges[:, None] - mean) / scale).sigmoid()).sum(-1)
    assert torch.allclose(output.log_probs(parameters).exp(), cdf.diff(), atol=1e-10)


# Completion


@each_model
def test_completion_follows_the_conditional_law(name):
    model = net(name, order="random", conditions=SPACES, **MODELS[name])
    x = rows_of(model)[37].expand(4000, -1, -1, -1)
    kept = torch.zeros(6, dtype=torch.bool)
    kept[model.order[:3]] = True
    mask = ~kept.view(1, 2, 3)
    generator = torch.Generator().manual_seed(3)
    found = model.inpaint(
        torch.where(mask, math.nan, x), mask, generator=generator, condition=GIVEN
    )
    assert torch.equal(found[:, ~mask], x[:, ~mask])
    p = probabilities(model, GIVEN)
    agrees = (rows_of(model)[:, ~mask] == x[0, ~mask]).all(-1)
    p = torch.where(agrees, p, 0)
    assert excess(numbers_of(model, found), p / p.sum()) < 4.5


def test_rows_may_be_given_up_to_different_places(generator):
    model = net(std=0.0)
    model.b.data.fill_(40.0)  # What is drawn is 1, and what is given is 0.
    x = torch.zeros(3, 1, 2, 3, dtype=torch.float64)
    mask = torch.ones(3, 6, dtype=torch.bool)
    mask[0, :4] = mask[1] = False
    found = model.inpaint(x, mask.view(3, 1, 2, 3), generator=generator)
    assert torch.equal(found.flatten(1), mask.double())


@each_model
def test_a_mask_that_leaves_a_hole_is_refused(name, generator):
    model = net(name, **MODELS[name])
    mask = torch.zeros(1, 2, 3, dtype=torch.bool)
    mask.view(-1)[1] = True
    x = torch.zeros(2, 1, 2, 3)
    with pytest.raises(DataError, match="in row 0, place 1 is to be filled in and place 2"):
        model.inpaint(x, mask, generator=generator)


# Likelihood


@each_model
def test_log_p_is_differentiable_in_the_parameters_and_in_a_real_condition(name):
    model = net(name, "categorical", conditions=SPACES, std=0.3, **MODELS[name])
    x = rows_of(model)[[5, 70]]

    def of(mood, *_):
        return model.log_prob(x, condition={**GIVEN, "mood": mood}).values

    mood = torch.tensor([[0.5, -1.0], [0.1, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(of, (mood, *model.parameters()), fast_mode=True)
    (slope,) = torch.autograd.grad(of(mood).sum(), mood)
    assert bool(slope.ne(0).all())


@each_model
def test_memory_does_not_grow_with_the_number_of_rows(name, monkeypatch):
    model = net(name, **MODELS[name])
    sizes = []
    whole = type(model).row_log_prob
    monkeypatch.setattr(
        type(model), "row_log_prob", lambda m, x, given: sizes.append(len(x)) or whole(m, x, given)
    )
    with torch.no_grad():
        values = model.log_prob(torch.zeros(3000, 1, 2, 3)).values
    assert sum(sizes) == len(values) == 3000
    assert max(sizes) == model.rows_at_once == 1024


@each_model
def test_bits_of_places_sum_to_the_bits_of_a_row(name):
    model = net(name, order="random", conditions=SPACES, **MODELS[name])
    x = rows_of(model)
    bits = model.bits(x, condition=GIVEN)
    assert bits.shape == x.shape
    wanted = -probabilities(model, GIVEN).log2()
    assert torch.allclose(bits.flatten(1).double().sum(1), wanted, rtol=1e-5)
    # The first place in the order does not depend on the others.
    assert len(bits.flatten(1)[:, model.order[0]].unique()) == 2


def test_the_loss_is_the_mean_negative_log_likelihood():
    model = net(conditions=SPACES)
    x = rows_of(model)[:4]
    batch = {"x": x, "label": torch.tensor([0, 1, 2, 0]), "mood": torch.randn(4, 2).double()}
    batch["text"] = ["a cat", "a dog", "here", "a"]
    objective = make("objectives", Component(name="nll"), model)
    step = Step(index=0, total=1, slot=0, generator=torch.Generator())
    (loss,) = objective.losses(batch, step)
    given = {name: batch[name] for name in SPACES}
    wanted = -model.log_prob(x, condition=given).values.mean()
    assert torch.allclose(loss.value, wanted)
    assert torch.allclose(loss.metrics["bits_per_dim"], wanted / (6 * math.log(2)))


@pytest.mark.parametrize("name", ["pixelcnn", "transformer"])
def test_dropout_is_for_training_alone(name):
    model = net(name, dropout=0.5, **MODELS[name])
    x = rows_of(model)[:4].flatten(1)
    step = Step(index=0, total=1, slot=0, generator=torch.Generator())
    once, again = (model.training_loss(x, None, step) for _ in range(2))
    assert torch.equal(once, again)
    model.train()
    torch.manual_seed(0)
    once, again = (model.training_loss(x, None, step) for _ in range(2))
    assert not torch.equal(once, again)


# Refusals


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"permutation": (0, 1, 2, 3, 4, 4)}, "4 comes 2 times"),
        ({"permutation": (0, 1, 2, 3, 4, 6)}, "places 0 to 5 once; 6 is not one of them"),
        ({"permutation": (0, 2, 1)}, "3 are missing"),
        ({"permutation": (5, 4, 3, 2, 1, 0), "order": "random"}, "Give one of them"),
        ({"event": Unit(shape=(3,))}, "has a probability for each value"),
        ({"event": Binary(shape=(2**17,))}, "at most 65,536"),
        ({"event": Binary(shape=(20_000,))}, "at most 268,435,456"),
        ({"conditions": {"text": SPACES["text"].__class__()}}, "without templates"),
        ({"event": Real(shape=(3,))}, "models"),
    ],
)
def test_configs_that_are_no_model_are_refused(config, said):
    with pytest.raises((ConfigError, DataError), match=said):
        create_model("fvsbn", **{"event": EVENTS["binary"], **config})


def test_a_temperature_of_zero_and_initial_states_are_refused():
    with pytest.raises(ConfigError, match=r"temperature must be in \[0\.001, 1000\.0\], got 0"):
        make("samplers", Component(name="autoregressive", config={"temperature": 0.0}))
    with pytest.raises(ConfigError, match="use inpaint"):
        net().sample(2, start=torch.zeros(2, 1, 2, 3))
