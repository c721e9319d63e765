"""The model: its networks, conditions, units, refusals, and what is stored."""

import math

import pytest
import torch

from genzoo import ConditionError, ConfigError, DataError, GenModel, load_dataset, registry
from genzoo.capabilities import of
from genzoo.errors import NotFiniteSampleError, NotFiniteWeightsError
from genzoo.values import Values, trusted
from genzoo_diffusion.conditioning import LabelEmbedder, Signal
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.latent_ddpm import LatentDDPM
from genzoo_diffusion.samplers import Denoise
from likelihoods import mean_log_prob
from models import FLAT, IMAGE, labelled, model, states

# Networks


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12), (1, 4, 4)])
@pytest.mark.parametrize("network", ["flat", "image"])
def test_shapes_come_out_as_they_went_in(network, shape):
    channels = (8, 8) if shape == (1, 4, 4) else (8, 16, 16)
    found = labelled({"event_shape": shape, "network": network, "channels": channels})
    x, signal = states(2, found), found.signal(torch.tensor([0, 2]), 2)
    assert found.predict(x, torch.tensor([0, 19]), signal).shape == (2, *shape)
    assert found.sample(2, seed=0, condition=1).shape == (2, *shape)


@pytest.mark.parametrize("features", ["sinusoidal", "fourier"])
@pytest.mark.parametrize("shape", [FLAT, IMAGE])
def test_predictions_depend_on_state_time_and_label(features, shape):
    found = labelled(shape, time_features=features)
    x, t = states(2, found), torch.tensor([3, 3])
    one = found.predict(x, t, found.signal(0, 2))
    assert not torch.equal(one, found.predict(2 * x, t, found.signal(0, 2)))
    assert not torch.equal(one, found.predict(x, t + 1, found.signal(0, 2)))
    assert not torch.equal(one, found.predict(x, t, found.signal(1, 2)))
    assert not torch.equal(one, found.predict(x, t, found.embedder.null(2, x.device)))


def test_every_parameter_learns():
    for shape in (FLAT, IMAGE):
        found = labelled(shape)
        signal = found.signal(torch.arange(3), 3)
        found.predict(states(3, found), torch.arange(3), signal).square().sum().backward()
        for parameter in found.parameters():
            assert not parameter.requires_grad or parameter.grad is not None


# Units and conditionals


def test_data_in_the_unit_interval_are_seen_around_zero():
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = model(IMAGE)
    torch.testing.assert_close(found.state(x), 2 * x - 1)
    torch.testing.assert_close(found.present(found.state(x)), x)
    assert found.present(torch.tensor([-3.0, 3.0])).tolist() == [0, 1]
    raw = model(FLAT)
    torch.testing.assert_close(raw.present(raw.state(3 * x)), 3 * x)


def test_states_have_the_moments_of_the_schedule():
    """x_t of one x_0 over 100,000 noises; 5 standard errors."""
    found = model(FLAT).double()
    x_0 = torch.tensor([[0.5, -2.0, 3.0]]).double()
    noise = torch.randn(100_000, 3, generator=torch.Generator().manual_seed(0)).double()
    for time in (0, 9, 19):
        t = torch.full((len(noise),), time)
        x_t = found.diffuse(x_0, t, noise)
        alpha_bar = found.schedule.alpha_bar[time]
        error = 5 * ((1 - alpha_bar) / len(noise)) ** 0.5
        assert ((x_t.mean(0) - alpha_bar.sqrt() * x_0[0]).abs() < error + 1e-7).all()
        spread = x_t.var(0) / (1 - alpha_bar)
        assert ((spread - 1).abs() < 5 * (2 / len(noise)) ** 0.5).all()


# Conditions


@pytest.mark.parametrize("condition", [None, 3, -1, torch.zeros(5).long(), 0.5])
def test_a_label_that_does_not_fit_is_refused(condition):
    with pytest.raises(ConditionError):
        labelled().sample(4, condition=condition)


def test_training_does_not_wait_for_the_device_to_look_at_labels():
    """The Trainer has looked at them; elsewhere they are looked at."""
    embedder = LabelEmbedder(3)
    label = torch.tensor([0, embedder.num_classes])
    with trusted():
        assert embedder(label, 2, label.device).labels.equal(label)
    with pytest.raises(ConditionError, match="label 1 is"):
        embedder(label, 2, label.device)


def test_a_superfluous_condition_is_refused():
    with pytest.raises(ConditionError, match="takes no condition"):
        mean_log_prob(model(), torch.zeros(2, 3), condition=0)


def test_signals_are_combined_row_by_row():
    a = Signal(labels=torch.tensor([0, 1]), tokens=torch.zeros(2, 3, 4))
    b = Signal(labels=torch.tensor([2, 3]), tokens=torch.ones(2, 3, 4))
    both = a.beside(b)
    assert both.labels.tolist() == [0, 1, 2, 3]
    assert both.tokens[:, 0, 0].tolist() == [0, 0, 1, 1]
    assert both.mask is None
    some = a.where(torch.tensor([True, False]), b)
    assert some.labels.tolist() == [0, 3]
    assert some.tokens[:, 2, 3].tolist() == [0, 1]
    assert both.rows(slice(1, 3)).labels.tolist() == [1, 2]


# Configs and data


@pytest.mark.parametrize(
    ("config", "remedy"),
    [
        ({"condition": "label"}, "needs num_classes"),
        ({"schedule": "zero-terminal-snr"}, "v_prediction"),
        ({"schedule": "linear", "num_train_timesteps": 50}, "Raise beta_end"),
        ({"beta_start": 0.03}, "noise must grow"),
        ({"network": "image"}, "network='flat'"),
        ({"event_shape": (1, 7, 8), "channels": (8, 8)}, "multiples of 2"),
    ],
)
def test_a_config_that_makes_no_model_is_refused_with_a_remedy(config, remedy):
    with pytest.raises(ConfigError, match=remedy):
        model(**{**FLAT, "num_train_timesteps": 1000, **config})


def test_a_config_fits_the_data():
    digits = DDPM.configure(load_dataset("digits").spec, condition="label")
    assert (digits.data, digits.network, digits.levels) == ("unit", "image", 17)
    assert digits.num_classes == 10
    ring = DDPM.configure(load_dataset("ring").spec)
    assert (ring.data, ring.network, ring.condition) == ("real", "flat", "none")
    assert DDPM(digits).condition_kind == "label"


def test_data_of_another_kind_or_other_levels_are_refused():
    spec = load_dataset("digits").spec
    with pytest.raises(DataError, match="data='unit'"):
        DDPM(DDPM.configure(spec, data="real")).check_data(spec)
    with pytest.raises(DataError, match="256 grey levels"):
        DDPM(DDPM.configure(spec, levels=256)).check_data(spec)
    with pytest.raises(DataError, match="binary"):
        DDPM(DDPM.configure(spec)).check_data(load_dataset("digits", binarize="threshold").spec)


def test_what_is_stored_names_what_was_left_open(tmp_path):
    found = model({"event_shape": (1, 4, 4), "channels": (8, 8)})
    found.save_pretrained(tmp_path)
    loaded = GenModel.from_pretrained(tmp_path)
    assert (loaded.config.data, loaded.config.network) == ("unit", "image")
    assert torch.equal(loaded.alpha, found.alpha)
    assert torch.equal(loaded.sample(2, seed=0), found.sample(2, seed=0))


def test_what_it_can_do():
    assert set(of(DDPM)) == {"LogProb", "Completion"}
    assert DDPMConfig(event_shape=(4,)).prediction_type == "epsilon"


def test_states_of_few_dimensions_are_seen_in_random_sinusoids():
    few, many = model(), model({"event_shape": (9,)})
    assert (few.config.state_features, many.config.state_features) == (64, 0)
    x = torch.tensor([[0.1, 0.2, 0.3]])
    seen = few.network._seen(x)[0]
    angle = 2 * torch.pi * (few.network.frequencies.T @ x[0])
    torch.testing.assert_close(seen, torch.cat([x[0], angle.sin(), angle.cos()]))
    wide = model({"event_shape": (8,)}, feature_scale=3.0)
    assert wide.network.frequencies.std().item() == pytest.approx(3.0, rel=0.2)
    assert model({"event_shape": (3,), "state_features": 0}).network._seen(x).equal(x)


# Values, and broken weights

OUTSIDE = [
    (FLAT, {}, math.nan, "finite numbers; row 1 holds nan"),
    (IMAGE, {}, 1.5, r"values in \[0, 1\]; row 1 holds 1\.5"),
    (IMAGE, {}, -0.5, r"Are they in \[-1, 1\]"),
    (IMAGE, {"levels": 5}, 0.3, "levels 0, 1/4, .*; row 1 holds 0.3"),
    (IMAGE, {"levels": 5}, math.inf, "row 1 holds inf"),
]


@pytest.mark.parametrize(("shape", "config", "value", "said"), OUTSIDE)
def test_values_that_are_none_of_the_models_are_refused(shape, config, value, said):
    found = model(shape, **config)
    x = torch.zeros(2, *found.event_shape)
    x[1].view(-1)[0] = value
    known = torch.ones(found.event_shape, dtype=torch.bool)
    generator = torch.Generator()
    for ask in (
        lambda: mean_log_prob(found, x, num_samples=2),
        lambda: found.complete(x, known, generator=generator, num_steps=2),
    ):
        with pytest.raises(DataError, match=said):
            ask()


@pytest.mark.parametrize("shape", [FLAT, IMAGE])
def test_no_rows_are_completed_to_none_and_have_no_likelihood(shape):
    found = model(shape)
    x, known = torch.zeros(0, *found.event_shape), torch.ones(found.event_shape, dtype=torch.bool)
    assert found.complete(x, known, generator=torch.Generator(), num_steps=2).shape == x.shape
    with pytest.raises(DataError, match="mean over no rows"):
        mean_log_prob(found, x)


def test_a_latent_models_rows_are_its_autoencoders():
    config, _ = LatentDDPM.example()
    found = LatentDDPM(config)
    assert found.event_values == found.autoencoder.event_values == Values("unit", (1, 4, 4))


def test_what_is_not_finite_is_named_by_every_sampler():
    """Whatever is clamped to [0, 1] in the end: NaN is not hidden by it."""
    found = model(IMAGE, num_train_timesteps=5)
    names = [
        n for n in registry.names("samplers") if issubclass(registry.load("samplers", n), Denoise)
    ]
    assert len(names) >= 5
    for value, error in ((math.nan, NotFiniteWeightsError), (3e38, NotFiniteSampleError)):
        for p in found.parameters():
            p.data.fill_(value)
        for name in names:
            cls = registry.load("samplers", name)
            with pytest.raises(error):
                found.sample(2, seed=0, sampler=cls(cls.Config(num_steps=3)))
