"""Rows of categories: what is summed, drawn and refused, with and without padding."""

import math

import pytest
import torch

import genzoo
from enumerable import exact_bound
from genzoo import (
    ArrayDataset,
    Binary,
    CapabilityError,
    Categorical,
    ConfigError,
    DataInfo,
    Real,
    Unit,
    create_model,
    evaluate,
)
from genzoo.plugin import NotFiniteSampleError, Step
from genzoo_vae import enumeration
from genzoo_vae.auxiliary import AuxiliaryDecoder
from genzoo_vae.estimators.aggregates import LogMeanExp
from genzoo_vae.likelihoods import CategoricalLikelihood, check_likelihood, make_likelihood, usual
from genzoo_vae.network_values import network_shape, network_values
from genzoo_vae.objectives import IWAE, IWAEConfig
from genzoo_vae.posteriors.proposal import Rows
from genzoo_vae.samplers import Prior, PriorConfig

TEXTS = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
LINES = Categorical(shape=(2, 2), num_categories=3, names=("a", "b", ""))
IMAGES = Categorical(shape=(1, 2, 2), num_categories=3)
EVENTS = {"texts": TEXTS, "lines": LINES, "images": IMAGES}
MODELS = {
    "vae": {"latent_dim": 2},
    "bits": {"latent_dim": 3},
    "categories": {"latent_dim": 2, "num_categories": 3},
    "bits with made": {"latent_dim": 3, "prior": {"name": "made"}},
}


def made(name, event, **config):
    """Return a model with large weights, in float64."""
    kind = "vae" if name == "vae" else "discrete-vae"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given = {"event": event, "hidden_dims": (4,), **MODELS[name], **config}
        model = create_model(kind, **given).double()
        for parameter in model.parameters():
            parameter.data.normal_()
    return model


def outputs_of(event, *lead, seed=0):
    """Return a decoder's outputs, (*lead, *network_shape)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*lead, *network_shape(event), generator=generator).double()


def chances(event, outputs):
    """Return softmax over the channels, (K, D), of the outputs of one row, by its definition."""
    e = outputs.view(event.num_categories, event.num_dims).exp()
    return e / e.sum(0)


def by_hand(event, outputs, row):
    """Return log ∏ of the places of a row up to its first padding."""
    p, total = chances(event, outputs), 0.0
    for place, category in enumerate(row.flatten().tolist()):
        total += math.log(p[category, place].item())
        if category == event.padding:
            break
    return total


# The likelihood


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_probabilities_of_all_rows_sum_to_one_for_each_code(event):
    rows, outputs = event.enumerate(), outputs_of(event, 5, 1)
    many = outputs.expand(5, len(rows), *network_shape(event))
    log_p = CategoricalLikelihood(event).log_prob(many, rows)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(5).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_a_row_is_as_likely_as_its_places_up_to_its_end(event):
    rows = event.enumerate()[::3]
    outputs = outputs_of(event, 2, len(rows))
    found = CategoricalLikelihood(event).log_prob(outputs, rows)
    wanted = [[by_hand(event, o, x) for o, x in zip(each, rows, strict=True)] for each in outputs]
    torch.testing.assert_close(found, torch.tensor(wanted).double())


def test_what_follows_an_end_has_no_gradient():
    outputs = outputs_of(TEXTS, 1, 1).requires_grad_()
    log_p = CategoricalLikelihood(TEXTS).log_prob(outputs, torch.tensor([[1, 2, 2, 2]]))
    (grad,) = torch.autograd.grad(log_p.sum(), outputs)
    by_place = grad.view(3, 4).abs().sum(0)
    assert (by_place[:2] > 0.01).all()
    assert (by_place[2:] == 0).all()


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_draws_are_as_frequent_as_they_are_likely(event):
    """χ² of 20,000 draws over the rows of the space, 30 or 80 degrees, is below its 99.9 %
    quantile, 59.7 or 124.8."""
    rows, likelihood = event.enumerate(), CategoricalLikelihood(event)
    outputs = outputs_of(event, 1)
    p = likelihood.log_prob(outputs.expand(1, len(rows), *outputs.shape[1:]), rows)[0].exp()
    many = outputs.expand(20_000, *outputs.shape[1:])
    x = likelihood.draw(many, torch.Generator().manual_seed(0))
    event.check(x)
    counts = torch.stack([(x == row).flatten(1).all(1).sum() for row in rows]).double()
    assert counts.sum() == 20_000
    chi2 = ((counts - 20_000 * p) ** 2 / (20_000 * p)).sum()
    assert chi2 < {31: 59.7, 81: 124.8}[len(rows)]


def test_the_distribution_of_places_is_that_of_the_sum():
    outputs, x = outputs_of(IMAGES, 3), IMAGES.enumerate()[:3]
    likelihood = CategoricalLikelihood(IMAGES)
    each = likelihood(outputs)
    assert each.batch_shape == (3, 1, 2, 2)
    whole = each.log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(whole, likelihood.log_prob(outputs[None], x)[0])
    model = made("vae", IMAGES)
    z = torch.randn(3, 2).double()
    found = model.likelihood(z).log_prob(x)
    torch.testing.assert_close(found, model.log_likelihood(Rows(x), z[None])[0])


def test_with_padding_places_are_not_independent_which_is_said():
    with pytest.raises(CapabilityError, match=r"with padding.*Use log_likelihood, decode"):
        made("vae", TEXTS).likelihood(torch.zeros(1, 2).double())


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_mean_of_categories_is_the_most_probable_one_of_each_place(event):
    outputs = outputs_of(event, 50)
    found = CategoricalLikelihood(event).mean(outputs)
    best = torch.stack([chances(event, o).argmax(0).view(event.shape) for o in outputs])
    assert torch.equal(found, event.ended(best))
    event.check(found)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_not_drawn(value):
    outputs = outputs_of(TEXTS, 3)
    outputs[1, 4] = value
    likelihood = CategoricalLikelihood(TEXTS)
    with pytest.raises(NotFiniteSampleError, match="A logit of a category is not finite"):
        likelihood.draw(outputs, torch.Generator())
    with pytest.raises(NotFiniteSampleError, match="A logit of a category is not finite"):
        likelihood.mean(outputs)


def test_half_precision_draws_rare_categories():
    """A category of probability 1e-5 is drawn about 20 times in 2,000,000, within 4 deviations."""
    event = Categorical(shape=(1,), num_categories=2)
    outputs = torch.tensor([[math.log(1e-5), 0.0]]).half().expand(2_000_000, 2)
    x = CategoricalLikelihood(event).draw(outputs, torch.Generator().manual_seed(0))
    assert abs((x == 0).sum().item() - 20) < 4 * 20**0.5


# The start


def test_the_decoder_starts_from_the_frequencies_of_what_has_not_ended():
    """Each category counts once more than it was seen; of "" nothing is known after place 0."""
    rows = torch.tensor([[0, 0, 2, 2], [0, 1, 2, 2], [1, 2, 2, 2], [2, 2, 2, 2]])
    counts = torch.tensor([[2, 1, 1], [1, 1, 1], [0, 0, 2], [0, 0, 0]]).double().T + 1
    model = made("bits", TEXTS)
    assert model.needs_data_init()
    # The mean row of indices says nothing.
    info = DataInfo(fields={"x": TEXTS}).with_mean(torch.full((4,), 9.0))
    model.init_from_data({"x": rows}, info)
    model.decoder.output.weight.data.zero_()
    z = torch.zeros(1, 3).double()
    found = model.outputs(z).view(3, 4).softmax(0)
    torch.testing.assert_close(found, (counts / counts.sum(0)).detach(), rtol=1e-6, atol=0)


# The model


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("name", [name for name in MODELS if name != "vae"])
def test_all_rows_have_probability_one_together(name, event):
    model, rows = made(name, event), event.enumerate()
    with torch.no_grad():
        log_p = enumeration.log_evidence(model, Rows(rows))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("name", ["bits", "bits with made"])
def test_bounds_rise_to_the_sum_over_codes_and_estimates_are_theirs(name, event):
    """The exact bounds of 1 and 3 draws; 2,000 estimates agree within 4 standard errors."""
    model, x = made(name, event), event.enumerate()[4:9]
    with torch.no_grad():
        log_p = enumeration.log_evidence(model, Rows(x))
        bounds = [exact_bound(model, LogMeanExp(), num, Rows(x)) for num in (1, 3)]
        assert (bounds[0] < bounds[1]).all()
        assert (bounds[1] < log_p).all()
        generator = torch.Generator().manual_seed(0)
        found = model.log_prob(x.repeat_interleave(2000, 0), num_samples=3, generator=generator)
    assert (found.kind, found.measure) == ("lower bound", "mass")
    each = found.values.view(5, 2000)
    assert ((each.mean(1) - bounds[1]).abs() < 4 * each.std(1) / 2000**0.5).all()


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_encoder_sees_one_hot_codes(event):
    """A row as channels of zeros and ones, not as the numbers of its categories."""
    model, rows = made("vae", event), event.enumerate()[:6]
    one_hot = event.vectors(rows).view(6, event.num_dims, event.num_categories)
    seen = one_hot.transpose(1, 2).reshape(6, -1).double()
    assert torch.equal(network_values(event, rows, torch.float64).flatten(1), seen)
    torch.testing.assert_close(model.posterior_parameters(rows), model.encoder(seen))


def test_other_values_reach_networks_as_they_are():
    x = torch.rand(2, 1, 2, 2)
    assert network_values(Unit(shape=(1, 2, 2)), x, torch.float64) is x
    assert network_shape(Binary(shape=(1, 2, 2))) == (1, 2, 2)


def test_images_of_categories_have_a_network_of_convolutions():
    model = made("vae", Categorical(shape=(2, 5, 4), num_categories=3), network="image")
    x, _ = model.event.reference(4, torch.Generator().manual_seed(0))
    assert model.log_prob(x, num_samples=2).values.isfinite().all()
    assert model.sample(2, seed=0).shape == (2, 2, 5, 4)
    with pytest.raises(ConfigError, match="Use network='flat'"):
        made("vae", TEXTS, network="image")


@pytest.mark.parametrize("name", ["vae", "bits"])
def test_a_model_can_be_the_decoder_of_categories(name):
    model = made(name, TEXTS, decoder={"name": "made"})
    rows, z = TEXTS.enumerate(), torch.ones(1, 31, model.config.latent_dim).double()
    p = model.log_likelihood(Rows(rows), z).exp()
    assert p.sum().item() == pytest.approx(1)
    assert model.log_prob(rows, num_samples=3).values.isfinite().all()
    TEXTS.check(model.sample(5, seed=0))


def test_what_is_decoded_is_a_row_and_is_compared_place_by_place():
    """The error is twice the share of wrong places; that of the mean row is its variance."""
    model = made("vae", TEXTS).float()
    rows = TEXTS.enumerate()
    again = model.decode(model.encode(rows))
    TEXTS.check(again)
    data = ArrayDataset(rows, DataInfo(fields={"x": TEXTS}), "texts")
    figure = evaluate(model, data, ["reconstruction-error"]).figures["reconstruction-error"]
    assert figure.value == pytest.approx(2 * (again != rows).double().mean().item())
    p = torch.nn.functional.one_hot(rows, 3).double().mean(0)
    assert figure.reference.value == pytest.approx((p - p**2).sum(1).mean().item())


def test_a_preview_shows_the_most_probable_rows():
    model = made("bits", TEXTS)
    shown = model.sample(20, seed=0, sampler=Prior(PriorConfig(output="mean")))
    TEXTS.check(shown)
    drawn = model.sample(20, seed=0)
    assert not torch.equal(shown, drawn)


def test_categories_have_no_filters_which_is_said():
    with pytest.raises(CapabilityError, match=r"means of x, which categories do not have\. Use"):
        made("bits", IMAGES).filters()


def test_baselines_and_auxiliary_decoders_see_categories():
    """A loss with each is finite, and the auxiliary decoder's rows have probability one."""
    model, rows = made("bits", TEXTS), TEXTS.enumerate()
    estimator = {"name": "score-function", "config": {"baseline": "input-dependent"}}
    objective = IWAE(model, IWAEConfig(num_samples=2, estimator=estimator)).double()
    (loss,) = objective.losses({"x": rows}, Step(0, 1, 0, torch.Generator().manual_seed(0)))
    assert loss.value.isfinite()
    auxiliary = AuxiliaryDecoder(model, 2.0).double()
    log_p = auxiliary(Rows(rows), torch.ones(1, 31, 3).double()) / 2
    assert log_p.exp().sum().item() == pytest.approx(1)


# Choices


def test_categories_have_a_likelihood_of_their_own():
    assert usual(TEXTS) == usual(IMAGES) == "categorical"
    check_likelihood("categorical", TEXTS)
    assert make_likelihood("categorical", TEXTS).event == TEXTS
    assert create_model("vae", event=TEXTS).config.likelihood == "categorical"


@pytest.mark.parametrize(
    ("event", "name", "said"),
    [
        (TEXTS, "bernoulli", r"these are .*\. Make the model with likelihood='categorical'"),
        (IMAGES, "gaussian", "likelihood='categorical'"),
        (IMAGES, "discretized-logistic", "likelihood='categorical'"),
        (Unit(shape=(2,), levels=17), "categorical", r"--data\.space categorical\), or make"),
        (Binary(shape=(2,)), "categorical", r"--data\.space categorical\), or make"),
        (Real(shape=(2,)), "categorical", r"categorical data; .*\. Make .*'gaussian'"),
        (Unit(shape=(2,)), "categorical", r"\. Make .*'gaussian'"),
    ],
)
def test_likelihoods_of_other_data_are_refused(event, name, said):
    with pytest.raises(ConfigError, match=said):
        check_likelihood(name, event)


@pytest.mark.parametrize(
    "rows",
    [[[0, 1, 3, 0]], [[0, -1, 2, 2]], [[0, 2, 1, 2]], [[0, 1, 2]]],
    ids=["category", "negative", "letter after the end", "length"],
)
def test_rows_outside_of_the_space_are_refused(rows):
    model = made("bits", TEXTS)
    for ask in (model.log_prob, model.encode):
        with pytest.raises(genzoo.DataError):
            ask(torch.tensor(rows))
