"""The model: its shapes, networks, conditions, refusals and likelihood."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from genzoo import (
    Binary,
    Categorical,
    ConditionError,
    DataError,
    Label,
    Real,
    Unit,
)
from genzoo.plugin import NotFiniteFigureError, NotFiniteSampleError, NotFiniteWeightsError
from genzoo_vae.networks import halved
from genzoo_vae.samplers import Prior, PriorConfig
from genzoo_vae.vae import VAE
from likelihoods import mean_log_prob
from normal_terms import terms
from small_vaes import REAL, bits, labelled, vae

SHAPES = [(1, 28, 28), (3, 5, 9), (1, 8, 8)]


# Networks


@pytest.mark.parametrize("network", ["flat", "image"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("hidden", [(), (4,), (4, 6, 8)])
def test_shapes_come_out_as_they_went_in(network, shape, hidden):
    model = vae(event=Binary(shape=shape), network=network, hidden_dims=hidden, latent_dim=3)
    x = bits(5, *shape)
    assert model.encode(x).shape == (5, 3)
    assert model.decode(torch.zeros(5, 3)).shape == (5, *shape)
    assert model.posterior(x).rsample().shape == (5, 3)
    assert model.likelihood(torch.zeros(5, 3)).log_prob(x).shape == (5,)
    assert model.sample(2, seed=0).shape == (2, *shape)


def test_sizes_halve_rounded_up():
    assert halved((1, 28, 28), 3) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert halved((1, 5, 9), 2) == [(5, 9), (3, 5), (2, 3)]


def test_codes_are_draws_from_the_posterior():
    """20,000 draws: mean and deviation within five standard errors."""
    model, x = vae(**REAL), torch.randn(1, 1, 3, 3)
    generator = torch.Generator().manual_seed(0)
    z = model.draw_codes(x.expand(20_000, 1, 3, 3), generator=generator)
    model.codes.require(z, "The model")
    q = model.posterior(x).base_dist
    assert bool(((z.mean(0) - q.mean).abs() < 5 * q.stddev / 20_000**0.5).all())
    assert bool(((z.std(0) / q.stddev - 1).abs() < 5 / 40_000**0.5).all())


def test_without_hidden_layers_both_maps_are_affine():
    model, x = vae(hidden_dims=(), **REAL), torch.randn(2, 1, 3, 3)
    middle = model.encode(x.mean(0, keepdim=True))
    torch.testing.assert_close(middle, model.encode(x).mean(0, keepdim=True))
    z = torch.randn(2, 2)
    half = model.decode(z.mean(0, keepdim=True))
    torch.testing.assert_close(half, model.decode(z).mean(0, keepdim=True))


def test_a_code_is_the_mean_of_the_posterior():
    x, labels = bits(4, 1, 3, 3), torch.tensor([0, 1, 2, 0])
    model = vae()
    assert torch.equal(model.encode(x), model.posterior(x).mean)
    model = labelled()
    q = model.posterior(x, condition=labels)
    assert torch.equal(model.encode(x, condition=labels), q.mean)
    assert not torch.equal(q.mean, q.stddev.log() * 2)


def test_every_parameter_learns():
    for network in ("flat", "image"):
        for event in (Binary(shape=(1, 3, 3)), REAL["event"], Unit(shape=(1, 3, 3), levels=3)):
            model = vae(network=network, event=event, hidden_dims=(4, 4))
            eps = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
            found = terms(model, bits(4, 1, 3, 3), eps)
            found.log_weights.mean().backward()
            assert all(p.grad is not None and p.grad.any() for p in model.parameters())


# Distributions


def test_the_terms_are_those_of_torchs_distributions(generator):
    model, x = labelled().double(), bits(4, 1, 3, 3).double()
    labels = torch.tensor([0, 1, 2, 0])
    eps = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
    found = terms(model, x, eps, model.vectors({"label": labels}))
    q = model.posterior(x, condition=labels)
    prior = Normal(torch.zeros(2).double(), torch.ones(2).double())
    torch.testing.assert_close(found.kl, kl_divergence(q.base_dist, prior))
    for k in range(3):
        z = q.mean + q.stddev * eps[k]
        reconstruction = model.likelihood(z, condition=labels).log_prob(x)
        torch.testing.assert_close(found.reconstruction[k], reconstruction)
        log_ratio = model.prior().log_prob(z) - q.log_prob(z)
        torch.testing.assert_close(found.log_ratio[k], log_ratio)


def test_the_likelihood_is_the_integral_over_codes(generator):
    """Against quadrature on a grid of codes in float64; K = 20,000 draws, 4 standard errors."""
    model, x = vae(seed=3).double(), bits(1, 1, 3, 3).double()
    axis = torch.linspace(-8, 8, 401).double()
    z = torch.cartesian_prod(axis, axis)
    step = (axis[1] - axis[0]).item() ** 2
    log_p = model.likelihood(z).log_prob(x) + model.prior().log_prob(z)
    exact = log_p.logsumexp(0).item() + torch.tensor(step).log().item()
    found = mean_log_prob(model, x, generator=generator, num_samples=20_000)
    eps = torch.randn(20_000, 1, 2, generator=generator, dtype=torch.float64)
    w = terms(model, x, eps).log_weights.exp()
    error = (w.std() / w.mean() / 20_000**0.5).item()
    assert found.value == pytest.approx(exact, abs=4 * error)
    assert error < 0.01


def test_a_likelihood_says_what_it_is():
    found = mean_log_prob(vae(), bits(30, 1, 3, 3), num_samples=7)
    assert (found.kind, found.unit, found.num_samples) == ("lower bound", "nats", 30)
    assert "K = 7 draws" in found.notes[0].text
    assert found.provenance["importance_samples"] == 7
    assert 1 <= found.provenance["median_effective_samples"] <= 7
    density = mean_log_prob(vae(**REAL), bits(3, 1, 3, 3), num_samples=7)
    assert "A density" in density.notes[1].text


def test_blocks_leave_the_likelihood_as_it_is(generator):
    """7 rows at 5,000 draws are worked through one by one, in three pieces each."""
    model, x = vae().double(), bits(7, 1, 3, 3).double()
    found = mean_log_prob(model, x, generator=generator, num_samples=5000)
    again = mean_log_prob(model, x, generator=torch.Generator().manual_seed(9), num_samples=200)
    assert found.num_samples == 7
    assert found.value == pytest.approx(again.value, abs=0.05)


@pytest.mark.parametrize(
    ("num", "rows", "sizes"),
    [
        (500, 7, [512, 512, 512, 464, 510, 510, 480]),
        (5000, 1, [512] * 9 + [392]),
    ],
)
def test_no_more_than_512_codes_are_decoded_at_once(num, rows, sizes):
    """Four rows of 500 draws each are drawn together, and decoded in pieces of these draws."""
    model, seen, x = vae().double(), [], bits(rows, 1, 3, 3).double()
    again = torch.Generator().manual_seed(1)
    with model.decoder.register_forward_hook(lambda m, given, out: seen.append(len(given[0]))):
        found = mean_log_prob(model, x, num_samples=num, generator=again.clone_state())
    assert seen == sizes
    drawn = [torch.randn(num, len(b), 2, generator=again, dtype=x.dtype) for b in x.split(4)]
    weights = [terms(model, b, e).log_weights for b, e in zip(x.split(4), drawn, strict=True)]
    wanted = torch.cat([w.logsumexp(0) for w in weights]).mean() - math.log(num)
    assert num > 2048 or found.value == pytest.approx(wanted.item())  # Drawn in pieces then.


def test_the_bound_and_its_effective_draws_are_those_of_the_weights(generator):
    """log mean w and the median of (Σw)² / Σw² over the rows, by the same draws."""
    model, x = vae().double(), bits(5, 1, 3, 3).double()
    again = generator.clone_state()
    found = mean_log_prob(model, x, generator=generator, num_samples=6)
    eps = torch.randn(6, 5, 2, generator=again, dtype=torch.float64)
    w = terms(model, x, eps).log_weights.exp()
    assert found.value == pytest.approx(w.mean(0).log().mean().item())
    effective = (w.sum(0) ** 2 / w.square().sum(0)).median().item()
    assert found.provenance["median_effective_samples"] == round(effective, 1)
    assert 1.1 < effective < 5.9


def test_without_a_generator_the_draws_are_fresh_and_no_one_elses():
    model, x = vae(), bits(5, 1, 3, 3)
    before = torch.get_rng_state()
    values = {mean_log_prob(model, x, num_samples=3).value for _ in range(3)}
    assert len(values) > 1
    assert torch.equal(torch.get_rng_state(), before)


# Conditions


def test_labels_change_codes_data_and_likelihood():
    model, x = labelled(), bits(6, 1, 3, 3)
    zero, one = torch.zeros(6).long(), torch.ones(6).long()
    assert not torch.equal(model.encode(x, condition=zero), model.encode(x, condition=one))
    z = torch.zeros(6, 2)
    assert not torch.equal(model.decode(z, condition=zero), model.decode(z, condition=one))
    values = [
        mean_log_prob(
            model, x, condition=c, generator=torch.Generator().manual_seed(0), num_samples=50
        ).value
        for c in (zero, one)
    ]
    assert values[0] != values[1]
    assert model.sample(4, condition=2, seed=0).shape == (4, 1, 3, 3)


def test_conditions_of_several_spaces_go_side_by_side_in_the_order_of_their_names():
    spaces = {
        "z": Real(shape=(2,)),
        "label": Label(num_classes=3),
        "letters": Categorical(shape=(2,), num_categories=2),
    }
    model, x = vae(conditions=spaces), bits(2, 1, 3, 3)
    given = {
        "z": torch.tensor([[0.5, -2.0], [0.0, 1.0]]),
        "label": torch.tensor([2, 0]),
        "letters": torch.tensor([[0, 1], [1, 1]]),
    }
    expected = [[0, 0, 1, 1, 0, 0, 1, 0.5, -2], [1, 0, 0, 0, 1, 0, 1, 0, 1]]
    assert model.vectors(given).tolist() == expected
    assert model.encoder.hidden[0].in_features == 9 + 9
    assert model.sample(2, condition=given, seed=0).shape == (2, 1, 3, 3)
    for name, other in (("z", torch.ones(2, 2)), ("label", 1), ("letters", torch.zeros(2).long())):
        changed = model.encode(x, condition={**given, name: other})
        assert not torch.equal(changed, model.encode(x, condition=given))
    with pytest.raises(ConditionError, match="needs a letters"):
        model.encode(x, condition={"z": given["z"], "label": 1})


@pytest.mark.parametrize("condition", [None, 3, -1, torch.zeros(5).long()])
def test_a_condition_that_does_not_fit_is_refused(condition):
    with pytest.raises(ConditionError):
        labelled().decode(torch.zeros(4, 2), condition=condition)


def test_a_superfluous_condition_is_refused():
    with pytest.raises(ConditionError, match="takes no condition"):
        vae().encode(bits(2, 1, 3, 3), condition=0)


def test_the_examples_rows_are_for_its_model():
    config, batch = VAE.example()
    found = mean_log_prob(VAE(config), batch["x"], condition=batch["label"], num_samples=2)
    assert found.num_samples == 12
    assert batch["label"].unique().tolist() == list(range(config.conditions["label"].num_classes))


# What is refused

GREY = {"event": Unit(shape=(1, 3, 3), levels=5)}
OUTSIDE = [
    ({}, 0.5, r"zeros and ones; row 1 holds 0\.5\. Binarise"),
    ({}, math.nan, "row 1 holds nan"),
    (REAL, math.inf, "finite numbers; row 1 holds inf"),
    (REAL, math.nan, "row 1 holds nan"),
    (GREY, 0.3, r"levels 0, 1/4, \.\.\., 1; row 1 holds 0\.3\. Round them"),
    (GREY, 255.0, r"row 1 holds 255\. Divide by 255"),
    (GREY, -0.25, r"row 1 holds -0\.25\. Are they in \[-1, 1\]"),
    (GREY, math.nan, "row 1 holds nan"),
]


@pytest.mark.parametrize(("config", "value", "said"), OUTSIDE)
def test_values_that_the_likelihood_is_none_of_are_refused(config, value, said):
    model, x = vae(**config), bits(3, 1, 3, 3)
    x[1, 0, 2, 2] = value
    for ask in (lambda: mean_log_prob(model, x), lambda: model.encode(x)):
        with pytest.raises(DataError, match=said):
            ask()


def test_a_gaussian_is_a_density_of_any_real_values():
    model, x = vae(**REAL), torch.tensor([0.3, -7.0, 255.0]).repeat(2, 3)
    assert math.isfinite(mean_log_prob(model, x.view(2, 1, 3, 3), num_samples=3).value)


@pytest.mark.parametrize("config", [{}, REAL, GREY])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_samples_of_broken_weights_are_not_zeros(config, value):
    """u < NaN is false, so that such a model drew zeros, and said nothing."""
    model = vae(**config)
    model.decoder.output.bias.data.view(-1)[0] = value
    with pytest.raises(NotFiniteWeightsError, match=r"not finite: decoder\.output\.bias"):
        model.sample(4, seed=0)


@pytest.mark.parametrize("config", [{}, REAL, GREY])
def test_outputs_that_overflow_are_named(config):
    """All weights are finite; the sums of the decoder's second layer are not."""
    model = vae(hidden_dims=(6, 6), **config)
    for p in model.parameters():
        p.data.copy_(1e30 * (1 - 2 * (torch.arange(p.numel()) % 2)).view(p.shape))
    with pytest.raises(NotFiniteSampleError, match=r"was decoder\.\w+"):
        model.sample(4, seed=0)
    with pytest.raises(NotFiniteFigureError, match="Of 3 figures"):
        mean_log_prob(model, bits(3, 1, 3, 3), num_samples=3)


@pytest.mark.parametrize("network", ["flat", "image"])
def test_no_rows_have_empty_results_and_no_mean(network):
    model, x = vae(network=network), torch.zeros(0, 1, 3, 3)
    assert model.encode(x).shape == (0, 2)
    assert model.decode(torch.zeros(0, 2)).shape == (0, 1, 3, 3)
    with pytest.raises(DataError, match="mean over no rows"):
        mean_log_prob(model, x)


# Samples


def test_means_are_smooth_and_draws_are_data():
    model = vae()
    assert set(model.sample(20, seed=0).unique().tolist()) == {0.0, 1.0}
    mean = model.sample(20, seed=0, sampler=Prior(PriorConfig(output="mean")))
    assert ((mean > 0) & (mean < 1)).all()
    levels = vae(**GREY).sample(20, seed=0)
    torch.testing.assert_close(levels * 4, (levels * 4).round())


def test_at_temperature_zero_every_sample_is_of_the_same_code():
    cold = Prior(PriorConfig(output="mean", temperature=0.0))
    x = vae().sample(3, seed=0, sampler=cold)
    torch.testing.assert_close(x, vae().decode(torch.zeros(3, 2)))


def test_samples_can_start_from_codes():
    model, z = vae(), torch.randn(3, 2)
    x = model.sample(3, start=z, seed=0, sampler=Prior(PriorConfig(output="mean")))
    torch.testing.assert_close(x, model.decode(z))


def test_samples_have_the_likelihood_that_the_model_states():
    """E log p(x) under the model equals −entropy; frequencies of 2³ states of 40,000 draws."""
    model = vae(event=Binary(shape=(3,)), hidden_dims=(8,), seed=5).double()
    with torch.no_grad():
        model.decoder.output.weight.mul_(8)
    states = ((torch.arange(8)[:, None] >> torch.arange(3)) & 1).double()
    axis = torch.linspace(-6, 6, 201).double()
    z = torch.cartesian_prod(axis, axis)
    prior = model.prior().log_prob(z)
    p = torch.stack(
        [(model.likelihood(z).log_prob(s.expand(len(z), 3)) + prior).exp().sum() for s in states]
    )
    p = p / p.sum()
    draws = model.sample(40_000, seed=0, batch_size=40_000)
    counts = torch.bincount((draws.long() * torch.tensor([1, 2, 4])).sum(1), minlength=8)
    chi2 = ((counts - 40_000 * p) ** 2 / (40_000 * p)).sum().item()
    assert chi2 < 26.0  # The 0.9995 quantile at 7 degrees of freedom.
    assert p.max() / p.min() > 1.5


@pytest.mark.parametrize("latent", ["log-normal", "exponential", "gamma"])
def test_codes_of_a_positive_family_are_not_below_zero(latent):
    """A plane of codes around 0 would have pictures of values that no code has."""
    model = vae(latent=latent)
    z = torch.tensor([[0.0, 0.5], [2.0, 1.0]])
    assert model.decode(z).shape == (2, 1, 3, 3)
    with pytest.raises(DataError, match=rf"are {latent} latents, which are not below 0, got -1\."):
        model.decode(torch.tensor([[0.5, -1.0]]))
    assert bool((model.draw_top(50, None, torch.Generator().manual_seed(0)) > 0).all())
    assert vae(latent="laplace").decode(-z).shape == (2, 1, 3, 3)
