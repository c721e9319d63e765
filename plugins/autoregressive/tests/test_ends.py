"""Rows that end: only rows of a space with padding have a probability, in any order of places."""

import math

import pytest
import torch

from genzoo import (
    ArrayDataset,
    Categorical,
    Component,
    DataError,
    DataInfo,
    Trainer,
    TrainerConfig,
)
from genzoo.plugin import Step, make
from genzoo_autoregressive.ends import limited
from small_chains import (
    GIVEN,
    MODELS,
    ORDERS,
    PIXELS,
    SPACES,
    excess,
    net,
    numbers_of,
    probabilities,
    rows_of,
)

PAD = 2
WORDS = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
IMAGES = Categorical(shape=(2, 2, 1), num_categories=3, names=("a", "b", ""))
"""Read in raster order, the second place comes after the third."""
ENSEMBLES = {
    "made": {"hidden_dims": (8, 7), "num_masks": 3, "num_orders": 3},
    "nade": {"hidden_dim": 5, "orderless": True, "num_orders": 3},
}
HOWS = ({"temperature": 3.0}, {"temperature": 0.2}, {"top_k": 2}, {"top_p": 0.7})
each_order = pytest.mark.parametrize(
    ("name", "order"),
    [
        (name, order)
        for name in MODELS
        for order in ORDERS
        if order == "raster" or name not in PIXELS
    ],
)
each_ensemble = pytest.mark.parametrize("name", ENSEMBLES)


def space_of(name):
    return IMAGES if name in PIXELS else WORDS


def model_of(name, order="raster", **config):
    return net(name, space_of(name), order=order, **MODELS[name], **config)


def ensemble(name, **config):
    return net(name, WORDS, **ENSEMBLES[name], **config)


def step():
    return Step(index=0, total=1, slot=0, generator=torch.Generator().manual_seed(0))


def value_by_value(model, chain, row, given=None):
    """Return log p of each place in the chain's order, among the values that some row has."""
    rows, found = rows_of(model).flatten(1), []
    agree = torch.ones(len(rows), dtype=torch.bool)
    logits = chain.parameters(row[None], given)[0]
    for place in chain.order.tolist():
        possible = rows[agree, place].unique()
        among = logits[place, possible].log_softmax(-1)
        found.append(among[possible == row[place]])
        agree &= rows[:, place] == row[place]
    return torch.cat(found)


@each_order
def test_the_probabilities_of_all_rows_of_the_space_sum_to_one(name, order):
    model = model_of(name, order, conditions=SPACES)
    assert model.event.count == 31
    assert probabilities(model, GIVEN).sum().item() == pytest.approx(1, abs=1e-10)


@each_ensemble
def test_the_probabilities_of_ensembles_sum_to_one(name):
    model = ensemble(name)
    assert len({tuple(chain.order.tolist()) for chain in model.chains()}) == 3
    assert probabilities(model).sum().item() == pytest.approx(1, abs=1e-10)


@each_order
def test_a_place_has_the_values_that_some_row_has_there_after_what_is_known(name, order):
    model = model_of(name, order)
    (chain,) = model.chains()
    with torch.no_grad():
        for row, p in zip(rows_of(model).flatten(1), probabilities(model), strict=True):
            wanted = value_by_value(model, chain, row).sum().exp()
            assert p.item() == pytest.approx(wanted.item(), rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_letters_and_one_end_count_and_the_padding_after_it_does_not(name):
    model = net(name, space_of(name), **MODELS[name]) if name not in PIXELS else None
    if model is None:  # An image's places are flat only if it has one channel.
        space = Categorical(shape=(1, 2, 2), num_categories=3, names=("a", "b", ""))
        model = net(name, space, **MODELS[name])
    rows = rows_of(model).flatten(1)
    (chain,) = model.chains()
    with torch.no_grad():
        each = chain.parameters(rows, None).log_softmax(-1)
    each = each.gather(-1, rows[..., None])[..., 0]
    lengths = (rows != PAD).sum(1)
    wanted = [log_p[: length + 1].sum() for log_p, length in zip(each, lengths, strict=True)]
    assert torch.allclose(probabilities(model).log(), torch.stack(wanted))
    bits = model.bits(rows.view(-1, *model.event_shape)).flatten(1)
    after = torch.arange(4) > lengths[:, None]
    assert not bits[after].any()
    assert bool((bits[~after] > 0).all())


@each_order
def test_samples_are_rows_of_the_space_and_follow_the_probabilities(name, order):
    model = model_of(name, order)
    x = model.sample(4000, seed=1, batch_size=4000)
    model.event.check(x)
    assert excess(numbers_of(model, x), probabilities(model)) < 4.5
    for how in HOWS:
        sampler = make("samplers", Component(name="autoregressive", config=how))
        model.event.check(model.sample(500, seed=2, sampler=sampler))


@each_ensemble
def test_samples_of_ensembles_follow_the_probabilities(name):
    model = ensemble(name)
    x = model.sample(4000, seed=1, batch_size=4000)
    model.event.check(x)
    assert excess(numbers_of(model, x), probabilities(model)) < 4.5


def test_states_of_a_sample_end_where_nothing_is_drawn_yet():
    model = model_of("transformer")
    sampler = make("samplers", model.default_sampler(model.config))
    states = list(sampler.trajectory(model, 50, generator=torch.Generator().manual_seed(0)))
    for drawn, state in enumerate(states, 1):
        model.event.check(state)
        wanted = states[-1].clone()
        wanted[:, drawn:] = PAD
        assert torch.equal(state, wanted)


@each_order
def test_gradients_are_finite_and_none_comes_from_the_padding_after_the_end(name, order):
    model = model_of(name, order).train()
    x = rows_of(model).flatten(1)
    model.training_loss(x, None, step()).mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())
    if name == "fvsbn" and order == "raster":
        model.zero_grad()
        empty = torch.full((1, 4), PAD)
        model.training_loss(empty, None, step()).sum().backward()
        assert model.b.grad.any(1).tolist() == [True, False, False, False]


@each_ensemble
def test_gradients_of_ensembles_are_finite(name):
    model = ensemble(name).train()
    x = rows_of(model)
    (model.training_loss(x, None, step()) - model.row_log_prob(x, None)).mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


def test_an_update_of_an_ensemble_minimises_what_one_mask_gives():
    model = ensemble("made")
    x = rows_of(model)
    (chain, *_) = model.chains()
    with torch.no_grad():
        found = -model.training_loss(x, None, step())
        wanted = [value_by_value(model, chain, row).sum() for row in x]
    assert torch.allclose(found, torch.stack(wanted))


def test_the_loss_for_all_orders_knows_what_is_known():
    model = net("nade", WORDS, hidden_dim=5, orderless=True)
    words = rows_of(model)
    x = words[[9]].expand(3000, -1)
    generator = torch.Generator().manual_seed(3)
    keys = torch.rand(3000, 4, generator=generator)
    d = torch.randint(4, (3000, 1), generator=generator)
    known = keys.argsort(-1).argsort(-1) < d
    loss = Step(index=0, total=1, slot=0, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        found = model.training_loss(x, None, loss)
        logits = model.parameters_given(x, known, None)
    for row in range(100):
        agree = (words[:, known[row]] == x[0, known[row]]).all(1)
        unknown, total = (~known[row]).nonzero()[:, 0].tolist(), 0.0
        for place in unknown:
            possible = words[agree, place].unique()
            among = logits[row, place, possible].log_softmax(-1)
            total -= among[possible == x[0, place]].item()
        assert found[row].item() == pytest.approx(total * 4 / len(unknown), rel=1e-9, abs=1e-12)


def test_a_run_on_rows_that_end_goes_on_as_one_that_was_not_interrupted(tmp_path):
    x = rows_of(model_of("transformer"))
    data = ArrayDataset(x, DataInfo(fields={"x": WORDS}), "words")
    found = []
    for name, steps in (("whole", (6,)), ("parts", (3, 6))):
        for number, max_steps in enumerate(steps):
            model = model_of("transformer", dropout=0.1)
            how = TrainerConfig(max_steps=max_steps, lr_scheduler="constant", progress=False)
            run = Trainer(model, data, config=how, output_dir=tmp_path / name)
            run.fit(resume=number > 0)
        found.append(run.model.state_dict())
    assert all(torch.equal(found[1][key], value) for key, value in found[0].items())


# Completion


@each_order
@pytest.mark.parametrize("given", [1, 2, 3])
def test_completions_are_rows_of_the_space_and_follow_the_conditional_law(name, order, given):
    model = model_of(name, order)
    rows, p = rows_of(model), probabilities(model)
    kept = torch.zeros(4, dtype=torch.bool)
    kept[model.order[:given]] = True
    mask = ~kept.view(model.event_shape)
    generator = torch.Generator().manual_seed(4)
    for row in rows[[0, 9, 14, 22, 30]]:
        x = torch.where(mask, 7, row).expand(1000, *row.shape)
        found = model.inpaint(x, mask, generator=generator)
        model.event.check(found)
        agrees = (rows[:, ~mask] == row[~mask]).all(-1)
        of_row = torch.where(agrees, p, 0)
        assert excess(numbers_of(model, found), of_row / of_row.sum()) < 4.5


@each_ensemble
def test_completions_of_ensembles_are_rows_of_the_space(name, generator):
    config = {"num_orders": 1} if name == "made" else {}
    model = net(name, WORDS, **{**ENSEMBLES[name], **config})
    x = torch.tensor([[0, 1, 7, 7], [0, PAD, 7, 7], [PAD, 7, 7, 7]]).repeat(100, 1)
    mask = x == 7
    found = model.inpaint(x, mask, generator=generator)
    model.event.check(found)
    assert torch.equal(found[~mask], x[~mask])


def test_any_part_is_filled_in_with_letters_up_to_the_last_letter(generator):
    model = net("nade", WORDS, hidden_dim=5, orderless=True)
    x = torch.tensor([[7, 7, 1, 7], [7, 0, PAD, 7], [7, 7, PAD, 7]]).repeat(200, 1)
    mask = x == 7
    found = model.inpaint(x, mask, generator=generator)
    model.event.check(found)
    assert torch.equal(found[~mask], x[~mask])
    assert {tuple(row) for row in found[1::3].tolist()} == {(0, 0, PAD, PAD), (1, 0, PAD, PAD)}
    assert len({tuple(row) for row in found[2::3].tolist()}) == 7


def test_a_letter_that_is_given_after_padding_is_refused(generator):
    model = net("nade", WORDS, hidden_dim=5, orderless=True)
    x = torch.tensor([[PAD, 7, 1, 7]])
    with pytest.raises(DataError, match="row 0 holds 1 at place 2, after its end at place 0"):
        model.inpaint(x, x == 7, generator=generator)


# The rule


def test_a_place_between_the_last_letter_and_the_first_padding_is_free():
    output = model_of("fvsbn").output
    x = torch.tensor([[0, 1, 1, PAD, PAD]])
    logits = torch.zeros(1, 5, 3)
    found = limited(output, logits, x == PAD, torch.tensor([4, 0, 2, 1, 3]))
    probabilities_of = found.softmax(-1)[0]
    letters, free, padding = [0.5, 0.5, 0], [1 / 3] * 3, [0, 0, 1]
    wanted = torch.tensor([letters, free, free, free, padding])
    assert torch.allclose(probabilities_of, wanted)


def test_without_padding_parameters_are_not_touched(monkeypatch):
    plain = Categorical(shape=(4,), num_categories=3, names=("a", "b", "c"))
    model = net("made", plain, **MODELS["made"])

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(type(model.output), "without", never)
    model.sample(4, seed=0)
    assert math.isclose(probabilities(model).sum().item(), 1)
