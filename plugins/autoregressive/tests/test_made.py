"""MADE: masks, ensembles of masks and orders."""

import itertools

import pytest
import torch

from genzoo import ConfigError, create_model
from genzoo.plugin import CapabilityError, Step
from small_chains import EVENTS, excess, net, numbers_of, probabilities, rows_of


def step(index):
    return Step(index=index, total=10, slot=0, generator=torch.Generator())


def ensemble(**config):
    return net("made", hidden_dims=(8, 7), num_masks=3, num_orders=2, **config)


def test_without_direct_connections_the_hidden_units_alone_connect_places():
    model = net("made", hidden_dims=(40,), direct=False)
    x = torch.rand(1, 6, dtype=torch.float64)
    (chain,) = model.chains()
    jacobian = torch.autograd.functional.jacobian(lambda x: chain.parameters(x, None), x)
    below = torch.ones(6, 6).tril(-1).bool()
    assert torch.equal(jacobian[0, :, 0, 0] != 0, below)


def test_degrees_go_from_the_lowest_below_to_the_last_but_one_and_depend_on_the_seed():
    model = net("made", hidden_dims=(50, 50))
    first, second = model.degrees(0).hidden
    assert sorted(first.unique().tolist()) == [1, 2, 3, 4, 5]
    assert second.min() >= first.min()
    again, other = (create_model("made", event=model.event, mask_seed=s) for s in (0, 1))
    assert not torch.equal(again.degrees(0).hidden[0], other.degrees(0).hidden[0])


def test_an_ensemble_averages_probabilities_over_masks_and_orders():
    model = ensemble()
    assert [chain.order.tolist() for chain in model.chains()][::2] == [list(range(6))] * 2
    assert model.chains()[1].order.tolist() != list(range(6))
    x = rows_of(model).flatten(1)
    each = [
        model.output.log_prob(chain.parameters(x, None), x).sum(-1).exp()
        for chain in model.chains()
    ]
    for one, other in itertools.combinations(each, 2):
        assert not torch.allclose(one, other, atol=1e-3)
    assert torch.allclose(probabilities(model), torch.stack(each).mean(0))
    assert probabilities(model).sum().item() == pytest.approx(1, abs=1e-10)


def test_samples_and_completions_of_an_ensemble_follow_its_probabilities(generator):
    model = ensemble()
    p = probabilities(model)
    x = model.sample(4000, seed=1, batch_size=4000)
    assert excess(numbers_of(model, x), p) < 4.5
    model = net("made", hidden_dims=(8, 7), num_masks=3)
    p, given = probabilities(model), rows_of(model)[45]
    mask = torch.arange(6).view(1, 2, 3) >= 3
    x = model.inpaint(given.expand(4000, -1, -1, -1), mask, generator=generator)
    agrees = (rows_of(model)[:, ~mask] == given[~mask]).all(-1)
    p = torch.where(agrees, p, 0)
    assert excess(numbers_of(model, x), p / p.sum()) < 4.5


def test_an_update_trains_one_mask_and_the_next_one_another():
    model = ensemble()
    x = rows_of(model)[:9].flatten(1)
    found = [model.training_loss(x, None, step(index)) for index in range(6)]
    for index, chain in enumerate(model.chains()):
        wanted = -model.output.log_prob(chain.parameters(x, None), x).sum(-1)
        assert torch.equal(found[index], wanted)
        assert torch.equal(found[index + 3], wanted)


def test_bits_of_an_ensemble_of_masks_are_those_of_its_mean():
    model = net("made", hidden_dims=(8, 7), num_masks=3, order="random")
    p, x = probabilities(model), rows_of(model).flatten(1)
    for row, bits in zip(x, model.bits(rows_of(model)).flatten(1).double(), strict=True):
        known = torch.ones(len(x), dtype=torch.bool)
        for place in model.order:
            before = p[known].sum()
            known &= x[:, place] == row[place]
            wanted = -(p[known].sum() / before).log2()
            assert bits[place].item() == pytest.approx(wanted.item(), rel=1e-5, abs=1e-6)


def test_bits_of_places_are_those_of_one_order():
    with pytest.raises(CapabilityError, match="averages several orders"):
        ensemble().bits(torch.zeros(1, 1, 2, 3))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_orders": 3, "num_masks": 2}, "at least as many masks as orders"),
        ({"hidden_dims": (2**16, 2**16)}, "at most 268,435,456"),
        ({"hidden_dims": (5000,), "num_masks": 1000}, "Give fewer masks"),
    ],
)
def test_configs_that_are_too_large_are_refused(config, said):
    with pytest.raises(ConfigError, match=said):
        create_model("made", event=EVENTS["binary"], **config)
