"""Samplers: guidance, variation, inpainting, refusals, and the promises about seeds."""

import itertools

import pytest
import torch
from diffusers import EulerDiscreteScheduler

from gaussian import gaussian_model
from genzoo import (
    CapabilityError,
    ConditionError,
    ConfigError,
    Label,
    Real,
    Text,
    create_model,
)
from genzoo_diffusion.coordinates import coordinates
from genzoo_diffusion.guidance import Conditioned, Guided, make_denoiser, negative_signal
from genzoo_diffusion.levels import Predictor
from genzoo_diffusion.samplers import (
    DDIM,
    DDIMConfig,
    DDPMConfig,
    DDPMSampler,
    DPMSolver,
    DPMSolverConfig,
    Euler,
    Heun,
    HeunConfig,
    StepsConfig,
)
from models import IMAGE, labelled, model, states

SAMPLERS = {
    "ddpm": (DDPMSampler, DDPMConfig),
    "ddim": (DDIM, DDIMConfig),
    "dpm-solver++": (DPMSolver, DPMSolverConfig),
    "euler": (Euler, StepsConfig),
    "heun": (Heun, HeunConfig),
}
EVERY = pytest.mark.parametrize("name", SAMPLERS)


def sampler(name, **config):
    cls, of = SAMPLERS[name]
    return cls(of(**{"num_inference_steps": 5, **config}))


# Guidance


def counted(found):
    """Record how many states each run of the network is given."""
    sizes = []
    found.network.register_forward_hook(lambda module, given, out: sizes.append(len(given[0])))
    return sizes


@pytest.mark.parametrize("scale", [-1.0, 0.5, 2.0, 7.5])
def test_a_guided_prediction_is_its_formula_exactly(scale):
    found = labelled().double()
    x, condition = states(4, found), torch.tensor([0, 1, 2, 0])
    t = torch.full((4,), 7)
    told = found.predict(x, t, found.signal(condition, 4))
    nothing = found.predict(x, t, found.embedder.null(4, x.device))
    guided = make_denoiser(found, condition, 4, scale)(x, 7)
    both = found.predict(
        torch.cat([x, x]),
        torch.full((8,), 7),
        found.embedder.null(4, x.device).stacked_with(found.signal(condition, 4)),
    )
    assert torch.equal(guided, both[:4] + scale * (both[4:] - both[:4]))
    # Rows of a batch of eight and of four differ by rounding alone.
    torch.testing.assert_close(guided, nothing + scale * (told - nothing), rtol=0, atol=1e-12)


def test_guided_noise_of_gaussian_classes_is_that_of_their_closed_forms():
    """Classes N(±1, ¼) and, without a label, N(0, 2): ε_w = (1 + w) ε_c − w ε_∅, w = s − 1."""
    forms = [gaussian_model(m, v).network for m, v in ((1.0, 0.25), (-1.0, 0.25), (0.0, 2.0))]

    class OfClass(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.forms = torch.nn.ModuleList(forms)

        def forward(self, x_t, t, signal):
            every = torch.stack([form(x_t, t, None) for form in forms])
            return every[signal.labels, torch.arange(len(x_t))]

    found = labelled(
        {"event": Real(shape=(1,))}, num_train_timesteps=1000, schedule="linear"
    ).double()
    two = {"label": Label(num_classes=2)}
    found.config = type(found.config)(event=Real(shape=(1,)), conditions=two)
    found.embedder.num_classes, found.network = 2, OfClass()
    x = torch.linspace(-3, 3, 10, dtype=torch.float64)[:, None]
    t = torch.full((10,), 400)
    for w in (-0.5, 0.0, 1.5):
        guided = make_denoiser(found, 0, 10, 1 + w)(x, 400)
        closed = (1 + w) * forms[0](x, t, None) - w * forms[2](x, t, None)
        torch.testing.assert_close(guided, closed, rtol=0, atol=1e-12)


def test_nothing_guides_unless_it_is_asked_for():
    assert isinstance(make_denoiser(labelled(), 1, 3), Conditioned)
    assert all(of().guidance_scale == 1 for _, of in SAMPLERS.values())


def test_guidance_of_one_is_the_conditional_model_and_costs_nothing():
    found = labelled()
    assert isinstance(make_denoiser(found, 1, 3, 1.0), Conditioned)
    assert isinstance(make_denoiser(found, 1, 3, 0.0), Conditioned)
    assert isinstance(make_denoiser(found, 1, 3, 2.0), Guided)
    sizes, plain = counted(found), sampler("ddim")
    one = found.sample(3, condition=1, seed=0, sampler=sampler("ddim", guidance_scale=1.0))
    assert sizes == [3] * 5
    assert torch.equal(one, found.sample(3, condition=1, seed=0, sampler=plain))
    sizes.clear()
    found.sample(3, condition=1, seed=0, sampler=sampler("ddim", guidance_scale=3.0))
    assert sizes == [6] * 5


def test_guidance_of_zero_is_the_model_without_a_label():
    found = labelled()
    draws = [
        found.sample(3, condition=c, seed=0, sampler=sampler("ddim", guidance_scale=0.0))
        for c in (0, 2)
    ]
    assert torch.equal(*draws)


def test_guidance_needs_a_condition():
    with pytest.raises(ConditionError, match="Leave guidance_scale at 1"):
        model().sample(2, sampler=sampler("ddim", guidance_scale=2.0))


@pytest.mark.parametrize("scale", [0.0, 2.0])
def test_guidance_leads_away_from_what_the_model_has_learned(scale):
    """Without null conditions nothing leads away but another condition."""
    sure = labelled(condition_dropout=0.0)
    with pytest.raises(ConditionError, match=r"trained only with its conditions\. Leave guidance"):
        sure.sample(2, condition=0, sampler=sampler("ddim", guidance_scale=scale))
    away = sampler("ddim", guidance_scale=scale, negative_condition={"label": 1})
    other = labelled().sample(2, condition=0, seed=0, sampler=away)
    assert torch.equal(sure.sample(2, condition=0, seed=0, sampler=away), other)
    assert sure.sample(2, condition=0, seed=0).shape == other.shape


BY_LABEL = {"negative_condition": {"label": 1}}


def told_of_both():
    words = {"vocabulary": ["bag"], "width": 8, "num_layers": 1, "num_heads": 2}
    both = {"label": Label(num_classes=3), "text": Text()}
    return model(conditions=both, text=words)


def test_a_negative_stands_in_the_place_of_the_null_condition():
    """ε_neg + s (ε_c − ε_neg), to the bit, and no other part of the model is run."""
    found, x, s = labelled(), states(3, labelled()), 2.5
    away = negative_signal(found, None, {"label": 2}, 3, s)
    t = torch.full((6,), 7)
    both = found.predict(torch.cat([x, x]), t, found.signal(2, 3).stacked_with(found.signal(0, 3)))
    negative, told = both.chunk(2)
    assert torch.equal(make_denoiser(found, 0, 3, s, away)(x, 7), negative + s * (told - negative))
    torch.testing.assert_close(negative, found.predict(x, t[:3], found.signal(2, 3)))
    sizes = counted(found)
    ways = [
        sampler("ddim", guidance_scale=s, negative_condition=n)
        for n in (None, {"label": 1}, {"label": 2})
    ]
    drawn = [found.sample(3, condition=0, seed=0, sampler=way) for way in ways]
    assert sizes == [6] * 15
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(drawn, 2))


@pytest.mark.parametrize("negative", [2, "2", "shoe", "index:2"])
def test_a_guidance_of_zero_is_the_model_given_the_negative(negative):
    names = {"label": Label(num_classes=3, names=("bag", "hat", "shoe"))}
    found = model(conditions=names)
    zero = sampler("ddim", guidance_scale=0.0, negative_condition={"label": negative})
    given = found.sample(3, condition=0, seed=0, sampler=zero)
    assert torch.equal(given, found.sample(3, condition=2, seed=0, sampler=sampler("ddim")))


@pytest.mark.parametrize(
    ("make", "given", "scale", "error", "message"),
    [
        (model, {"negative_prompt": "a bag"}, 2.0, ConditionError, "is conditioned on nothing"),
        (
            labelled,
            {"negative_prompt": "a bag"},
            2.0,
            ConditionError,
            "conditioned on label",
        ),
        (labelled, BY_LABEL, 1.0, ConfigError, "negative_condition has no effect at a guidance"),
        (labelled, {"negative_condition": {"label": 3}}, 2.0, ConditionError, "from 0 to 2"),
        (labelled, {"negative_condition": {"label": "bag"}}, 2.0, ConditionError, "'bag'"),
        (labelled, {"negative_condition": {"text": "bag"}}, 2.0, ConditionError, "'text'"),
        (told_of_both, {"negative_prompt": "bag", **BY_LABEL}, 2.0, ConfigError, "both given"),
    ],
)
def test_a_negative_that_leads_nowhere_is_refused(make, given, scale, error, message):
    condition = {"label": 0} if make is labelled else None
    away = sampler("ddim", guidance_scale=scale, **given)
    with pytest.raises(error, match=message):
        make().sample(2, condition=condition, sampler=away)


def test_a_negative_of_two_conditions_leaves_out_what_it_does_not_name():
    found = told_of_both()
    text, label = negative_signal(found, "bag", None, 2, 2.0), {"label": 1}
    assert torch.equal(text.tokens, found.signal({"text": "bag"}, 2).tokens)
    both = negative_signal(found, None, {"text": "bag", **label}, 2, 2.0)
    assert torch.equal(both.labels, found.signal(label, 2).labels)
    assert not torch.equal(both.labels, text.labels)


# Steps


@EVERY
def test_how_many_states_there_are_is_known_beforehand(name):
    found = model()
    for given in (sampler(name), sampler(name, num_inference_steps=8, strength=0.5)):
        start = states(2, found) if given.config.strength else None
        generator = torch.Generator().manual_seed(0)
        come = list(given.trajectory(found, 2, start=start, generator=generator))
        assert given.num_states(found) == len(come)
    assert DDPMSampler().num_states(found) == 20


@EVERY
def test_a_trajectory_has_one_state_a_step(name):
    found = model()
    given = list(sampler(name).trajectory(found, 3, generator=torch.Generator().manual_seed(0)))
    assert [tuple(x.shape) for x in given] == [(3, 3)] * 5
    assert torch.equal(given[-1], found.sample(3, seed=0, sampler=sampler(name)))


@EVERY
def test_states_on_the_way_have_the_variance_of_their_time(name):
    """Of standard normal data every state is standard normal; 20,000 draws, 5 standard errors.

    200 of 1000 steps leave a bias of 0.02 at most.
    """
    found = gaussian_model(0.0, 1.0)
    kwargs = {"variance_type": "fixed_large"} if name == "ddpm" else {}
    generator = torch.Generator().manual_seed(0)
    every = sampler(name, num_inference_steps=200, **kwargs).trajectory(
        found, 20_000, generator=generator
    )
    for x in list(every)[::40]:
        assert abs(x.var().item() - 1) < 5 * (2 / 20_000) ** 0.5 + 0.03


@EVERY
def test_no_steps_make_no_sample(name):
    with pytest.raises(ConfigError, match="num_inference_steps"):
        sampler(name, num_inference_steps=0)


@pytest.mark.parametrize("at_data", [True, False])
def test_the_last_step_of_ddim_ends_at_the_data_or_at_the_first_times_noise(at_data):
    """x = √ᾱ x̂_0 + √(1 − ᾱ) ε̂, where ᾱ is 1, or that of t = 0."""
    found = model().double()
    ddim = sampler("ddim", set_alpha_to_one=at_data)
    *_, before, last = ddim.trajectory(found, 4, generator=torch.Generator().manual_seed(0))
    t = ddim.grid(found)[-1]
    assert t > 0
    with torch.no_grad():
        epsilon = found.predict(before, torch.full((4,), t), found.signal(None, 4))
    alpha_bar = found.schedule.alpha_bar
    x_0 = (before - (1 - alpha_bar[t]).sqrt() * epsilon) / alpha_bar[t].sqrt()
    end = torch.tensor(1.0).double() if at_data else alpha_bar[0]
    torch.testing.assert_close(last, end.sqrt() * x_0 + (1 - end).sqrt() * epsilon)


@pytest.mark.parametrize("kind", ["sample", "v_prediction"])
def test_where_no_data_are_left_the_noise_is_as_great_as_diffusers_makes_it(kind):
    """An ᾱ of 0 is taken for 2⁻²⁴, so that σ, √(1 − ᾱ) / √ᾱ, is 4096, and not infinite."""
    found = model(schedule="zero-terminal-snr", prediction_type=kind)
    given = sampler("euler")
    predictor = Predictor(found, make_denoiser(found, None, 2), torch.Generator())
    levels, ode = given.levels(found), coordinates(predictor)
    peer = EulerDiscreteScheduler(20, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    peer.set_timesteps(5)
    assert levels[0].a == 0
    assert ode.tau(levels[0]) == pytest.approx(peer.sigmas[0].item(), rel=1e-6)
    assert ode.tau(levels[0]) == pytest.approx(4096, rel=1e-6)
    assert ode.tau(levels[-1]) == 0
    x = states(2, found)
    torch.testing.assert_close(ode.leave(ode.enter(x, levels[0]), levels[0]), x)


def test_heun_runs_the_network_twice_a_step_but_once_at_the_last():
    found = model()
    sizes = counted(found)
    found.sample(2, seed=0, sampler=sampler("heun"))
    assert len(sizes) == 9


@EVERY
def test_samples_of_a_block_depend_on_no_other_block(name):
    found, given = labelled(), torch.arange(7) % 3
    many = found.sample(7, condition=given, seed=3, batch_size=3, sampler=sampler(name))
    few = found.sample(4, condition=given[:4], seed=3, batch_size=3, sampler=sampler(name))
    assert torch.equal(many[:4], few)
    assert not torch.equal(many[0], many[3])


@EVERY
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_every_sampler_takes_every_schedule_that_its_prediction_allows(name, kind):
    schedules = ["cosine"] if kind == "epsilon" else ["cosine", "zero-terminal-snr"]
    for schedule in schedules:
        found = model(schedule=schedule, prediction_type=kind)
        assert torch.isfinite(found.sample(2, seed=0, sampler=sampler(name))).all()


def test_predictions_of_data_are_clipped_where_data_have_a_range():
    found = model(IMAGE)
    with torch.no_grad():
        found.network.unet.conv_out.weight.mul_(50)
    for name in ("ddpm", "ddim"):
        clipped = sampler(name, num_inference_steps=1)
        free = sampler(name, num_inference_steps=1, clip_sample=False)
        generator = torch.Generator().manual_seed(0)
        assert clipped.sample_state(found, 2, generator=generator).abs().max() <= 1
        assert free.sample_state(found, 2, generator=generator).abs().max() > 1


def test_ddim_takes_the_noise_that_is_left_of_a_clipped_prediction():
    """x' = √ᾱ' x̂_0 + √(1 − ᾱ') (x − √ᾱ x̂_0) / √(1 − ᾱ): else what is clipped drifts away."""
    found = model(IMAGE)
    with torch.no_grad():
        found.network.unet.conv_out.weight.mul_(50)
    ddim = sampler("ddim", num_inference_steps=2)
    t, previous = ddim.grid(found)
    start = torch.randn(2, *found.state_shape, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = next(iter(ddim.trajectory(found, 2, start=start, generator=generator)))
        x_0 = found.predicted_x_0(start, torch.full((2,), t), found.signal(None, 2)).clamp(-1, 1)
    a, b = found.schedule.alpha_bar[[t, previous]].float()
    assert (x_0.abs() == 1).float().mean() > 0.1
    left = (start - a.sqrt() * x_0) / (1 - a).sqrt()
    torch.testing.assert_close(x, b.sqrt() * x_0 + (1 - b).sqrt() * left, atol=1e-4, rtol=1e-4)


# Variation and inpainting


@EVERY
def test_a_variation_is_nearer_to_its_example_the_less_it_is_noised(name):
    """Data N(1, ¼) and examples 4 standard deviations off, 2,000 of each."""
    found, start = gaussian_model(), torch.full((2000, 1), 3.0).double()
    distance = []
    for strength in (0.1, 0.3, 0.9):
        vary = sampler(name, num_inference_steps=100, strength=strength)
        x = found.sample(2000, start=start, seed=0, sampler=vary, batch_size=2000)
        distance.append((x - start).abs().mean().item())
    assert distance == sorted(distance)
    assert distance[0] < 0.7
    assert distance[2] > 1.8


def test_a_variation_starts_at_its_own_time():
    found = model()
    sizes = counted(found)
    vary = sampler("ddim", num_inference_steps=10, strength=0.5)
    found.sample(2, start=states(2, found), seed=0, sampler=vary)
    assert len(sizes) == 5
    with pytest.raises(ConfigError, match="needs examples to vary"):
        found.sample(2, sampler=vary)


def test_without_a_strength_what_is_given_is_the_first_state():
    found = model()
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    one = sampler("ddim").sample_state(found, 2, start=noise, generator=generator)
    assert torch.equal(one, found.sample(2, seed=0, sampler=sampler("ddim")))
    assert not torch.equal(one, found.sample(2, start=2 * noise, seed=0, sampler=sampler("ddim")))


def test_what_is_given_stays_and_the_rest_is_drawn(generator):
    found = labelled(IMAGE)
    x = torch.rand(3, 1, 4, 4, generator=generator)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, 2:] = True
    for condition in (None, torch.arange(3)):
        done = found.inpaint(x, mask, generator=generator, condition=condition)
        assert torch.equal(done[:, :, :2], x[:, :, :2])
        assert not torch.equal(done[:, :, 2:], x[:, :, 2:])
        assert (done >= 0).all()
        assert (done <= 1).all()
    assert found.training


def test_what_is_filled_in_follows_what_is_given(generator):
    """Two equal dimensions: x_2 = x_1. Each step back sees the known one, so the other follows."""

    class Equal(torch.nn.Module):
        """The best denoiser of (z, z), z ~ N(0, 1)."""

        def __init__(self, schedule):
            super().__init__()
            self.alpha_bar = schedule.alpha_bar

        def forward(self, x_t, t, signal):
            alpha_bar = self.alpha_bar[t][:, None]
            mean = alpha_bar.sqrt() * x_t.sum(1, keepdim=True) / (1 + alpha_bar)
            return (x_t - alpha_bar.sqrt() * mean) / (1 - alpha_bar).sqrt()

    found = gaussian_model()
    found.config = type(found.config)(event=Real(shape=(2,)))
    unused, found.network = found.network, Equal(found.schedule)
    found.unused = unused
    x = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    done = found.inpaint(x, torch.tensor([False, True]), generator=generator)
    assert (done[:, 1] - x[:, 0]).abs().mean() < 0.05


# Refusals


@EVERY
def test_more_steps_than_times_are_refused(name):
    with pytest.raises(ConfigError, match="21 steps are more than the model's 20 times"):
        model().sample(2, sampler=sampler(name, num_inference_steps=21))


@EVERY
def test_other_models_are_refused(name):
    other = create_model("vae", event=Real(shape=(3,)), likelihood="gaussian")
    with pytest.raises(CapabilityError, match="VAE is not"):
        other.sample(2, sampler=sampler(name))
