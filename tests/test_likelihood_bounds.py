"""benchmarks/likelihood_table.py: bounds through noise, and the floor of a draw."""

import itertools
import math

import pytest
import torch

import genzoo
from genzoo import seeds
from genzoo.errors import DataError
from genzoo.evaluation import open_case
from genzoo.log_prob import LogProb
from likelihood_parts import Steps, binary, mass, parts
from likelihoods import log_prob_of

# The floor: no distribution is below the entropy of the noise.


@pytest.fixture
def drawn():
    """Grey levels of 400 rows of 50 pixels, a draw of them, and the entropy of each row."""
    generator = seeds.generator(0)
    g = torch.rand(400, 50, generator=generator, dtype=torch.float64)
    x = torch.bernoulli(g, generator=generator)
    return g, x, (torch.special.entr(g) + torch.special.entr(1 - g)).sum(1)


def bernoulli(x, p):
    return (x * p.log() + (1 - x) * (1 - p).log()).sum(1)


def test_an_honest_likelihood_is_above_the_noise_by_its_excess(drawn):
    _, x, entropy = drawn
    log_p = mass(bernoulli(x, x.mean(0).expand_as(x)))
    gap = parts.judging.above_noise("independent", log_p, entropy)
    assert gap.value == pytest.approx((-log_p.values - entropy).mean().item())
    assert gap.value > 10 * gap.std_error


def test_the_noise_itself_is_at_the_floor(drawn):
    """p(x | g) is read from the grey levels, and still passes: its excess is 0 on average."""
    g, x, entropy = drawn
    gap = parts.judging.above_noise("noise", mass(bernoulli(x, g)), entropy)
    assert abs(gap.value) < 3 * gap.std_error


@pytest.mark.parametrize("cheat", ["the likelier value of each grey level", "the row"])
def test_a_cheating_likelihood_is_caught(drawn, cheat):
    g, x, entropy = drawn
    p = torch.maximum(g, 1 - g) if "grey" in cheat else torch.full_like(x, 0.9)
    values = p.log().sum(1)  # As if every pixel had the value that is looked at.
    with pytest.raises(parts.judging.WrongLikelihoodError, match=r"cheat: the mean of −log p is"):
        parts.judging.above_noise("cheat", mass(values), entropy)


def test_the_floor_leaves_three_paired_errors_and_that_of_a_normaliser():
    """d = −log p − H has the mean −1 and over 100 rows the error .4/10: 25 errors below 0."""
    entropy = torch.linspace(0, 500, 100, dtype=torch.float64)
    d = -1 + 0.4 * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(50) * math.sqrt(0.99)
    for error, caught in ((0.0, True), (0.32, True), (0.34, False)):
        log_p = mass(-(entropy + d), "stochastic estimate", shared_error=error)
        if caught:
            with pytest.raises(parts.judging.WrongLikelihoodError, match=r"1\.00 ± 0\."):
                parts.judging.above_noise("it", log_p, entropy)
        else:
            assert parts.judging.above_noise("it", log_p, entropy).value == pytest.approx(-1)


def test_the_entropy_is_that_of_the_grey_levels_of_the_evaluated_rows():
    data = parts.rows.Data.load("digits", 0, 100)
    model = genzoo.create_model("fvsbn", data=data.test)
    case = open_case(model, data.test, seed=0, max_examples=100)
    assert torch.equal(case.batch["x"], parts.rows.evaluated(data.test, 100))
    g = genzoo.load_dataset("digits", "test").head(297)["x"].double()[case.judged.rows]
    expected = torch.distributions.Bernoulli(probs=g).entropy().flatten(1).sum(1)
    torch.testing.assert_close(data.noise_entropy(), expected)
    other = parts.rows.Data(data.name, data.values, binary(torch.ones(297, 1, 8, 8)), data.grey, 9)
    with pytest.raises(DataError, match="is not a draw of the grey levels of digits/test"):
        other.noise_entropy()


# Densities through uniform noise.


class Slope(Steps):
    """The density 2 y: the masses are 1/4 and 3/4, and the bound is below them."""

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        return log_prob_of((2 * x.double()).log().sum(1), "exact", "density")


class Estimated(Steps):
    """The same density with an estimated normaliser."""

    def log_prob(self, x, **others):
        log_p = super().log_prob(x)
        found = {"values": log_p.values, "kind": "stochastic estimate", "measure": "density"}
        return LogProb(**found, shared_error=0.1, interval=(-0.2, 0.3))


def of_all_rows(cls, num):
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))
    space = genzoo.Unit(shape=(3,))
    rows = parts.rows.Dequantised(binary(x), space)
    found = parts.judging.dequantised(open_case(cls(cls.Config(event=space)), rows), num)
    return x, found


def test_the_bound_is_exact_for_a_density_that_is_constant_over_the_noise():
    x, found = of_all_rows(Steps, num=2)
    exact = (x * math.log(0.3) + (1 - x) * math.log(0.7)).sum(1).double()
    torch.testing.assert_close(found.values, exact)
    assert (found.kind, found.measure) == ("lower bound", "mass")
    assert found.notes[0].code == "dequantised"


def test_the_bound_is_the_mean_of_log_p_over_the_noise():
    """E log 2y is −1 for 0 and 2 log 2 − 1 for 1; 4,000 draws of 3 places have the error .03."""
    x, found = of_all_rows(Slope, num=4000)
    bound = (x * (2 * math.log(2) - 1) - (1 - x) - math.log(2)).sum(1).double()
    torch.testing.assert_close(found.values, bound, atol=0.12, rtol=0)
    exact = (x * math.log(0.75) + (1 - x) * math.log(0.25)).sum(1).double()
    assert bool((bound < exact).all())
    assert found.values.exp().sum() < 1


def test_an_estimated_density_stays_an_estimate_with_its_interval():
    found = of_all_rows(Estimated, num=2)[1]
    assert (found.kind, found.shared_error) == ("stochastic estimate", 0.1)
    assert found.interval == (-0.2, 0.3)


def test_noise_is_uniform_and_new_at_each_presentation():
    rows = parts.rows.Dequantised(binary(torch.tensor([[0.0, 1.0]])), genzoo.Unit(shape=(2,)))
    y = torch.cat([rows.head(1, seed=seed)["x"] for seed in range(200)])
    assert bool(((y[:, 0] < 0.5) & (y[:, 1] >= 0.5) & (y >= 0).all(1) & (y <= 1).all(1)).all())
    # The error of a mean of 200 uniform numbers on an interval of one half is .01.
    torch.testing.assert_close(y.mean(0), torch.tensor([0.25, 0.75]), atol=0.04, rtol=0)
    torch.testing.assert_close(rows.mean(), torch.tensor([0.25, 0.75]))
    assert rows.draws
