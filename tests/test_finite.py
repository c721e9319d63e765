"""Weights and states that are not finite are named, not drawn from."""

import math

import pytest
import torch
from torch import nn

import families
import genzoo
import genzoo.plugin
from genzoo.errors import (
    DataError,
    NotFiniteFigureError,
    NotFiniteSampleError,
    NotFiniteWeightsError,
)
from genzoo.estimate import mean_of
from genzoo.finite import RunningTotal, check_weights, finite, total, weights_checked
from genzoo.sampler import Sampler, bernoulli
from genzoo.values import trusted
from likelihoods import mean_log_prob
from sound_models import Exact


def exact():
    return Exact(families.ToyConfig(event=genzoo.Binary(shape=(4,))))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["logits.weight", "logits.bias"])
def test_one_value_that_is_not_finite_is_found_and_its_tensor_named(name, value):
    model = exact()
    model.get_parameter(name).data.view(-1)[-1] = value
    x = torch.zeros(2, 4)
    said = rf"^Exact has weights that are not finite: {name} \(1 of \d+ values\)\. .*checkpoint"
    for ask in (
        lambda: model.sample(3),
        lambda: mean_log_prob(model, x),
        lambda: model.energy(x),
        lambda: model.encode(x),
        lambda: model.decode(x),
        lambda: genzoo.evaluate(model, torch.eye(4), ["independent-pixels"]),
    ):
        with pytest.raises(NotFiniteWeightsError, match=said):
            ask()


def test_of_many_the_first_three_are_named():
    model = families.BeliefNet(families.ToyConfig(event=genzoo.Unit(shape=(4,))))
    for p in model.parameters():
        p.data.fill_(math.nan)
    with pytest.raises(NotFiniteWeightsError, match=r"layers\.0\.weight .*, .*, .* and 2 more\."):
        check_weights(model)


def test_weights_that_are_large_are_finite():
    """Their sum in float32 is not, nor that of half precision in its own type."""
    model = exact()
    for p in model.parameters():
        p.data.fill_(3e38)
    check_weights(model)
    half = nn.Linear(64, 64, dtype=torch.float16)
    half.weight.data.fill_(6e4)
    check_weights(half)
    half.weight.data[3, 3] = math.nan
    with pytest.raises(NotFiniteWeightsError, match=r"weight \(1 of 4096 values"):
        check_weights(half)


def test_buffers_are_looked_at_and_masks_of_infinity_are_not_broken():
    model = families.linear()
    model.register_buffer("mask", torch.full((3, 3), -math.inf).triu(1), persistent=False)
    check_weights(model)
    model.register_buffer("scale", torch.tensor([1.0, math.inf]))
    with pytest.raises(NotFiniteWeightsError, match=r"scale \(1 of 2"):
        check_weights(model)
    model.scale[1] = 1
    check_weights(model)
    model.mask[0, 0] = math.nan
    with pytest.raises(NotFiniteWeightsError, match=r"mask \(1 of 9"):
        check_weights(model)


def test_complex_and_meta_weights_are_understood():
    model = nn.Module()
    model.w = nn.Parameter(torch.ones(3, dtype=torch.complex64))
    check_weights(model)
    model.w.data[1] = complex(0, math.inf)
    with pytest.raises(NotFiniteWeightsError):
        check_weights(model)
    check_weights(nn.Linear(2, 2, device="meta"))


def test_within_one_evaluation_they_are_looked_at_once():
    model = exact()
    with weights_checked(model):
        model.logits.bias.data[0] = math.nan
        check_weights(model)
        check_weights(model.logits)
        with pytest.raises(NotFiniteWeightsError):
            check_weights(nn.Sequential(model))
    with pytest.raises(NotFiniteWeightsError):
        check_weights(model)
    with trusted():
        check_weights(model)


def test_a_sum_tells_whether_all_values_are_finite():
    seen = RunningTotal()
    for value in (1.0, -2.0, 3.0):
        seen(torch.full((2, 2), value))
    assert not seen.suspects()
    seen(torch.tensor([1.0, math.inf, -math.inf]))
    seen(torch.zeros(2, dtype=torch.int64))
    assert seen.suspects()
    assert not RunningTotal().suspects()
    assert finite([total(torch.ones(3, dtype=torch.bool))])


# Draws


def test_draws_are_those_of_the_probabilities_and_nan_stays_nan():
    """20,000 draws of each; the tolerance is five standard errors."""
    logits = torch.tensor([-2.0, 0.0, 3.0]).expand(20_000, 3)
    x = bernoulli(logits=logits, generator=torch.Generator().manual_seed(0))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    p = logits[0].sigmoid()
    error = (p * (1 - p) / 20_000).sqrt()
    assert ((x.mean(0) - p).abs() < 5 * error).all()
    broken = torch.tensor([0.0, math.nan, math.inf, -math.inf, 3e38, -3e38])
    x = bernoulli(logits=broken, generator=torch.Generator().manual_seed(0))
    assert torch.isnan(x).tolist() == [False, True, True, True, False, False]
    assert x[4:].tolist() == [1, 0]


def test_draws_are_those_of_a_comparison_bit_for_bit_and_carry_no_gradient():
    logits = torch.randn(50, 7, requires_grad=True)
    x = bernoulli(logits=logits, generator=torch.Generator().manual_seed(3))
    u = torch.rand(50, 7, generator=torch.Generator().manual_seed(3))
    assert torch.equal(x, (u < logits.sigmoid()).float())
    assert not x.requires_grad


# States


class Lost(Sampler):
    """Yields a state, then zeros."""

    Config = families.None_

    def __init__(self, state):
        super().__init__()
        self.state = state

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield torch.full((num, 3), self.state)
        yield torch.zeros(num, 3)


@pytest.mark.parametrize("state", [math.nan, math.inf])
def test_a_state_that_is_not_finite_is_named_though_the_sample_is(state):
    with pytest.raises(NotFiniteSampleError, match="or a state of its trajectory is not finite"):
        families.linear().sample(2, sampler=Lost(state))


def test_large_states_are_finite():
    """Their sum is not, which a second look finds out."""
    assert not families.linear().sample(2, sampler=Lost(3e38)).any()


def test_a_state_that_the_units_of_x_hide_is_named():
    model = families.linear()
    model.net.bias.data.fill_(3e38)
    model.net.weight.data.fill_(3e38)
    model.to_data = lambda state: torch.nan_to_num(state).clamp(0, 1)
    with pytest.raises(NotFiniteSampleError, match="was net"):
        model.sample(2, seed=0)


def test_a_start_that_is_not_finite_is_named():
    start = torch.zeros(3, 3)
    start[1, 2] = math.nan
    with pytest.raises(DataError, match="Linear takes finite numbers; start 1 holds nan"):
        families.linear().sample(3, start=start)


# Figures


def test_a_mean_over_nothing_or_of_nan_is_no_figure():
    with pytest.raises(DataError, match="mean over no rows"):
        mean_of(torch.empty(0), "exact")
    for value in (math.nan, math.inf):
        with pytest.raises(
            NotFiniteFigureError, match=f"1 are NaN or infinity; .*row 1, is {value}"
        ):
            mean_of(torch.tensor([0.0, value]), "exact")
    assert mean_of(torch.tensor([0.0, -math.inf]), "exact").value == -math.inf


class Nothing(genzoo.plugin.Dataset):
    """A dataset without rows."""

    info = genzoo.DataInfo(fields={"x": genzoo.Unit(shape=(3,))})
    name = "nothing"

    def __len__(self):
        return 0

    def batch(self, indices, generator=None):
        return {"x": torch.empty(0, 3)}


def test_a_dataset_without_rows_is_not_evaluated_on():
    with pytest.raises(DataError, match="nothing has no rows to evaluate on"):
        genzoo.evaluate(families.linear(), Nothing())
