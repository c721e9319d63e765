"""Categories: draws with the softmax's probabilities and the relaxation's gradient."""

import math

import pytest
import torch
from scipy import stats

from games import GAMES, example, game, gan, rows, step
from genzoo import (
    ArrayDataset,
    Categorical,
    ConfigError,
    DataError,
    DataInfo,
    Label,
    Real,
    create_model,
    evaluate,
    registry,
)
from genzoo.plugin import NotFiniteSampleError
from genzoo_gan.monitoring import neighbourhood, variety
from genzoo_gan.outputs import GumbelSoftmax
from genzoo_gan.samplers import LatentInterpolation
from genzoo_gan.views import View, between

PAIRS = Categorical(shape=(2,), num_categories=3)
WORDS = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
NUM = 20_000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def logits(*shape):
    return 2 * rows(*shape)


def pair(**config):
    return gan(event=PAIRS, **config)


def gumbel(*shape, seed=0):
    """Return the noise of a generator, in float64, by its definition."""
    return -(-torch.rand(*shape, generator=seeded(seed), dtype=torch.float64).log()).log()


# Draws


@pytest.mark.parametrize("how", ["relaxed", "draw"])
def test_categories_are_drawn_with_the_softmax_independently_at_each_place(how):
    """20,000 draws of all 9 pairs: χ² below its .9995 quantile."""
    output, h = GumbelSoftmax(PAIRS), logits(1, 6)
    many = h.expand(NUM, 6)
    if how == "draw":
        x = output.draw(many, seeded())
    else:
        x = output.relaxed(many, seeded(), 0.7).view(NUM, 3, 2).argmax(1)
    p = h.view(3, 2).softmax(0)
    expected = NUM * p[:, :1] * p[:, 1]
    found = torch.bincount(3 * x[:, 0] + x[:, 1], minlength=9)
    chi = ((found - expected.flatten()).square() / expected.flatten()).sum()
    assert chi < stats.chi2(8).ppf(0.9995)


@pytest.mark.parametrize("temperature", [0.01, 1.0, 50.0])
@pytest.mark.parametrize("space", [PAIRS, WORDS])
def test_a_critic_is_shown_the_exact_one_hot_code_of_what_is_drawn(space, temperature):
    output = GumbelSoftmax(space)
    h = logits(50, *output.shape).requires_grad_()
    codes = output.relaxed(h, seeded(), temperature)
    assert torch.equal(codes, output.codes(output.draw(h, seeded()), h.dtype))
    assert set(codes.flatten().tolist()) == {0.0, 1.0}


def test_codes_of_rows_have_their_categories_as_channels():
    x = torch.tensor([[[[0, 2], [1, 0]]]])
    codes = GumbelSoftmax(Categorical(shape=(1, 2, 2), num_categories=3)).codes(x, torch.float64)
    assert codes.shape == (1, 3, 2, 2)
    for channel in range(3):
        assert torch.equal(codes[0, channel], (x[0, 0] == channel).double())


# Gradients


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_gradient_is_that_of_the_softmax_at_the_temperature(temperature):
    """Of Σ w · code: s_k (w_k − Σ_j s_j w_j) / τ with s = softmax((h + g) / τ), in float64."""
    h, w = logits(5, 6).requires_grad_(), rows(5, 3, 2, seed=1)
    codes = GumbelSoftmax(PAIRS).relaxed(h, seeded(3), temperature)
    (found,) = torch.autograd.grad((w * codes.view(5, 3, 2)).sum(), h)
    s = ((h.detach().view(5, 3, 2) + gumbel(5, 3, 2, seed=3)) / temperature).softmax(1)
    expected = s * (w - (s * w).sum(1, keepdim=True)) / temperature
    torch.testing.assert_close(found.view(5, 3, 2), expected, rtol=1e-10, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences_of_the_relaxation():
    h, w, eps = logits(1, 6), rows(6, seed=1), 1e-6
    noise = gumbel(1, 3, 2, seed=3)

    def relaxed(values):
        soft = ((values.view(1, 3, 2) + noise) / 0.5).softmax(1)
        return (w * soft.flatten()).sum()

    along = torch.eye(6).double() * eps
    expected = torch.stack([(relaxed(h + e) - relaxed(h - e)) / (2 * eps) for e in along])
    at = h.clone().requires_grad_()
    codes = GumbelSoftmax(PAIRS).relaxed(at, seeded(3), 0.5)
    (found,) = torch.autograd.grad((w * codes.flatten()).sum(), at)
    torch.testing.assert_close(found[0], expected, rtol=1e-6, atol=1e-8)


def test_rows_end_with_their_first_padding_and_have_no_gradient_after_it():
    output = GumbelSoftmax(WORDS)
    h = logits(200, 12).requires_grad_()
    codes = output.relaxed(h, seeded(), 1.0)
    x = codes.view(200, 3, 4).argmax(1)
    WORDS.check(x)
    drawn = (h.detach().view(200, 3, 4) + gumbel(200, 3, 4)).argmax(1)
    assert not torch.equal(x, drawn)
    assert torch.equal(x, WORDS.ended(drawn))
    (gradient,) = torch.autograd.grad((codes * rows(200, 12, seed=1)).sum(), h)
    moved = (gradient.view(200, 3, 4) != 0).any(1)
    ends = torch.where((x == 2).any(1), (x == 2).int().argmax(1), 3)
    assert torch.equal(moved, torch.arange(4) <= ends[:, None])


# Models


@pytest.mark.parametrize("name", ["gan", "conditional-gan"])
@pytest.mark.parametrize("space", [PAIRS, WORDS])
def test_samples_are_rows_of_the_space(name, space):
    model = example(name, event=space, output=None)[0]
    label = {"label": torch.arange(50) % 3} if model.conditions else None
    x = model.sample(50, seed=0, condition=label)
    assert x.dtype == torch.int64
    space.check(x)
    assert torch.equal(x, model.sample(50, seed=0, condition=label))
    z = rows(50, 2)
    assert model.config.output == "gumbel-softmax"
    h = model.outputs(z, None if label is None else torch.eye(3).double()[label["label"]])
    expected = space.ended(h.view(50, 3, -1).argmax(1))
    assert torch.equal(model.decode(z, condition=label), expected)


def test_samples_have_the_law_that_the_critic_sees():
    """20,000 of each, of all 9 pairs: χ² of homogeneity below its .9995 quantile."""
    model = pair(hidden_dims=(16,))
    shown = model.fake(model.latent(NUM, seeded()), {}, seeded(1), 1.0).x
    shown = shown.view(NUM, 3, 2).argmax(1)
    counts = [
        torch.bincount(3 * x[:, 0] + x[:, 1], minlength=9)
        for x in (shown, model.sample(NUM, seed=2))
    ]
    assert stats.chi2_contingency(torch.stack(counts).numpy()).pvalue > 5e-4


def test_an_interpolation_keeps_the_noise_and_changes_the_code():
    model = pair()
    z = rows(40, 2)
    states = LatentInterpolation().trajectory(model, 40, start=z, generator=seeded())
    first, *_, last = states
    assert not torch.equal(first, last)
    model.latent = lambda num, generator: torch.randn(num, 2, generator=generator).double() * 0 + z
    still = LatentInterpolation().trajectory(model, 40, start=z, generator=seeded())
    first, *_, last = still
    assert torch.equal(first, last)


def test_a_network_of_images_takes_images_of_categories():
    event = Categorical(shape=(1, 8, 8), num_categories=5)
    model = gan(event=event, network="convolutional", hidden_dims=(4,))
    event.check(model.sample(3, seed=0))
    (loss, *_) = game("hinge", model).losses({"x": torch.randint(5, (4, 1, 8, 8))}, step())
    assert math.isfinite(loss.value.item())


def test_logits_that_overflow_are_no_categories():
    model = pair()
    for p in model.parameters():
        p.data.fill_(1e308)
    with pytest.raises(NotFiniteSampleError, match="A logit of a category is not finite"):
        model.sample(2, seed=0)
    with pytest.raises(NotFiniteSampleError, match="A logit of a category is not finite"):
        model.decode(rows(2, 2))


# Games


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("name", GAMES)
def test_every_game_moves_every_logit(name, packing):
    model = pair(hidden_dims=())
    made = game(name, model, packing=packing, r1=0.5)
    batch = {"x": torch.arange(12).view(6, 2) % 3}
    *_, loss = made.losses(batch, step())
    (gradient,) = torch.autograd.grad(loss.value, model.generator.layers[0].bias)
    assert bool((gradient != 0).all())


def test_a_penalty_is_taken_between_codes_on_the_simplex():
    output = GumbelSoftmax(PAIRS)
    x, y = (torch.arange(12).view(6, 2) % 3, torch.arange(12).view(6, 2) % 2)
    real, fake = (View(output.codes(rows_of, torch.float64)) for rows_of in (x, y))
    point = between(real, fake, torch.linspace(0, 1, 6).double()).x.view(6, 3, 2)
    torch.testing.assert_close(point.sum(1), torch.ones(6, 2).double())
    assert bool((point >= 0).all())
    assert bool(((point > 0) & (point < 1)).any())


def test_the_temperature_is_that_of_the_game():
    batch = {"x": torch.arange(12).view(6, 2) % 3}
    found = []
    for temperature in (0.5, 2.0):
        model = pair()
        moves = list(game("hinge", model, temperature=temperature).losses(batch, step()))
        gradient = torch.autograd.grad(moves[-1].value, model.generator.layers[0].weight)[0]
        found.append((moves[-1].value.item(), gradient))
    assert found[0][0] == found[1][0]  # What is drawn does not depend on it.
    assert not torch.allclose(found[0][1], found[1][1])


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    said = "finite" if math.isnan(temperature) else r"in \[0.001, 1000.0\]"
    with pytest.raises(ConfigError, match=rf"temperature must be {said}, got {temperature}\.$"):
        game("hinge", pair(), temperature=temperature)


# Refusals


@pytest.mark.parametrize("name", ["bigan", "semi-supervised-gan"])
def test_models_without_an_output_for_categories_refuse_them(name):
    cls = registry.load("models", name)
    info = DataInfo(fields={"x": PAIRS, "label": Label(num_classes=2)})
    with pytest.raises(DataError, match="models real or unit data; these are categorical"):
        cls.configure(info)
    with pytest.raises(ConfigError, match="models real or unit data, not 2: whole numbers"):
        example(name, event=PAIRS, output=None)


@pytest.mark.parametrize(
    ("output", "event", "said"),
    [
        ("sigmoid", PAIRS, r"makes values in \[0, 1\]; the data are 2: whole numbers from 0 to 2"),
        ("identity", PAIRS, "makes real numbers; the data are 2: whole numbers from 0 to 2"),
        ("gumbel-softmax", Real(shape=(2,)), "makes categories; the data are 2: finite numbers"),
    ],
)
def test_an_output_for_other_data_is_refused(output, event, said):
    with pytest.raises(ConfigError, match=rf"output='{output}' {said}.*Leave it out"):
        create_model("gan", event=event, output=output)


def test_samples_of_categories_are_evaluated():
    event = Categorical(shape=(2,), num_categories=3)
    x = torch.randint(3, (200, 2), generator=seeded())
    data = ArrayDataset(x, DataInfo(fields={"x": event}), "pairs")
    found = evaluate(pair().float(), data, ["two-sample"])
    assert found


def test_a_collapse_of_categories_is_seen_in_their_codes():
    space = Categorical(shape=(6,), num_categories=4)
    output = GumbelSoftmax(space)
    real, fake = (
        output.codes(space.reference(256, seeded(seed))[0], torch.float32) for seed in (0, 1)
    )
    assert variety(real, fake) > 0.9
    assert variety(real, fake[:1].expand(256, -1)) == 0
    few = output.codes(space.reference(3, seeded(2))[0], torch.float32).repeat(80, 1)
    assert neighbourhood(real, fake)[1] > 0.9
    assert neighbourhood(real, few)[1] < 0.5
