"""The model: its networks, conditions, units, refusals, and what is stored."""

import math

import pytest
import torch

from genzoo import (
    ConditionError,
    ConfigError,
    DataError,
    GenModel,
    Label,
    Real,
    Text,
    Unit,
    load_dataset,
    registry,
)
from genzoo.plugin import NotFiniteSampleError, NotFiniteWeightsError, trusted
from genzoo.testing import capabilities_of
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.denoise import OnGrid
from genzoo_diffusion.latent_ddpm import LatentDDPM
from genzoo_diffusion.samplers import DDIM, DDIMConfig, Midpoint
from likelihoods import mean_log_prob
from models import FLAT, IMAGE, LABELS, labelled, model, states

# Networks


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12), (1, 4, 4)])
@pytest.mark.parametrize("network", ["flat", "image"])
def test_shapes_come_out_as_they_went_in(network, shape):
    channels = (8, 8) if shape == (1, 4, 4) else (8, 16, 16)
    found = labelled({"event": Unit(shape=shape), "network": network, "channels": channels})
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
    torch.testing.assert_close(found.to_data(found.state(x)), x)
    assert found.to_data(torch.tensor([-3.0, 3.0])).tolist() == [0, 1]
    raw = model(FLAT)
    torch.testing.assert_close(raw.to_data(raw.state(3 * x)), 3 * x)


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


@pytest.mark.parametrize("condition", [3, -2, torch.zeros(5).long(), 0.5, {"text": "a"}])
def test_a_label_that_does_not_fit_is_refused(condition):
    with pytest.raises(ConditionError):
        labelled().sample(4, condition=condition)


@pytest.mark.parametrize("condition", [None, {}, -1, torch.tensor([0, 1, -1, 2])])
def test_a_model_that_has_not_learned_without_its_label_is_not_drawn_from_without(condition):
    sure = labelled(condition_dropout=0.0)
    assert not sure.takes_null
    with pytest.raises(ConditionError, match=r"needs a label|label [02] is -1"):
        sure.sample(4, condition=condition)
    assert labelled(condition_dropout=0.0, condition_dropout_each=0.1).takes_null


@pytest.mark.parametrize("shape", [FLAT, IMAGE])
def test_a_row_without_a_label_is_one_whose_label_is_dropped(shape):
    """To the network both are the last class of its table."""
    found = labelled(shape)
    device = torch.device("cpu")
    null = found.embedder.null(4, device)
    assert null.labels.tolist() == [3] * 4
    for condition in (None, {}, -1, {"label": torch.full((4,), -1)}):
        assert torch.equal(found.signal(condition, 4).labels, null.labels)
    one, dropped = torch.arange(4) % 3, torch.tensor([True, False, True, False])
    told = found.embedder({"label": one}, device, {"label": dropped})
    assert torch.equal(told.labels, found.signal(one.where(~dropped, -1), 4).labels)
    assert told.labels.tolist() == [3, 1, 3, 0]
    sampler = DDIM(DDIMConfig(num_inference_steps=3, guidance_scale=0.0))
    drawn = found.sample(4, condition=2, seed=0, sampler=sampler)
    plain = DDIM(DDIMConfig(num_inference_steps=3))
    assert torch.equal(found.sample(4, seed=0, sampler=plain), drawn)


def test_training_does_not_wait_for_the_device_to_look_at_labels():
    """The Trainer has looked at them; elsewhere they are looked at."""
    found, label = labelled(), torch.tensor([0, 3])
    with trusted():
        assert found.signal(label, 2).labels.equal(label)
    batch = {"x": torch.zeros(2, 3), "label": label}
    seen = found.training_signal(batch, torch.Generator().manual_seed(0))
    assert seen.labels.equal(label)
    with pytest.raises(ConditionError, match="label 1 is"):
        found.signal(label, 2)


def test_a_superfluous_condition_is_refused():
    with pytest.raises(ConditionError, match="takes no condition"):
        mean_log_prob(model(), torch.zeros(2, 3), condition=0)


@pytest.mark.parametrize("shape", [FLAT, IMAGE])
def test_it_may_be_told_of_a_label_and_of_a_text(shape, tmp_path):
    """Either alone, both, or neither; each makes a difference, and no row one to another."""
    words = {"vocabulary": ["one", "two"], "width": 8, "num_layers": 1, "num_heads": 2}
    both = {"digit": Label(num_classes=3), "said": Text()}
    # In groups of one channel, a norm would take away what a label adds to the channel.
    more = {"channels": (8, 16)} if shape == IMAGE else {}
    found = model(shape, conditions=both, text=words, **more)
    given = [
        {"digit": 1, "said": "one"},
        {"digit": 2, "said": "one"},
        {"digit": 1, "said": "two"},
        {"digit": 1},
        {"said": "one"},
        None,
    ]
    drawn = [found.sample(1, condition=condition, seed=0) for condition in given]
    gaps = [(a - b).abs().max() for i, a in enumerate(drawn) for b in drawn[:i]]
    assert min(gaps) > 1e-5
    rows = {"digit": torch.tensor([1, 2, 1, 1, -1, -1])}
    rows["said"] = ["one", "one", "two", "", "one", ""]
    x = torch.cat([states(1, found)] * 6)
    together = found.predict(x, torch.full((6,), 3), found.signal(rows, 6))
    for condition, row in zip(given, together, strict=True):
        one = found.predict(x[:1], torch.tensor([3]), found.signal(condition, 1))
        torch.testing.assert_close(one[0], row, atol=1e-5, rtol=1e-5)
    with pytest.raises(ConditionError, match="has the conditions digit, said"):
        found.sample(1, condition=1)
    found.save_pretrained(tmp_path)
    loaded = GenModel.from_pretrained(tmp_path)
    assert loaded.conditions == both
    # Weights that lie elsewhere in memory may be summed in another order.
    again = loaded.sample(1, condition=given[0], seed=0)
    torch.testing.assert_close(again, drawn[0], atol=1e-5, rtol=1e-5)


def test_signals_are_combined_row_by_row():
    a = Signal(labels=torch.tensor([0, 1]), tokens=torch.zeros(2, 3, 4))
    b = Signal(labels=torch.tensor([2, 3]), tokens=torch.ones(2, 3, 4))
    both = a.stacked_with(b)
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
        ({"conditions": {"a": LABELS["label"], "b": LABELS["label"]}}, "a label; a and b are"),
        ({"conditions": {"text": Text(), "more": Text()}}, "a text; text and more are"),
        ({"conditions": {"label": Real(shape=(3,))}}, "label or text conditions; label is 3: fin"),
        ({"conditions": {"text": Text()}}, "needs words"),
        ({"event": LABELS["label"]}, "models real or unit data, not labels from 0 to 2"),
        ({"schedule": "zero-terminal-snr"}, "v_prediction"),
        ({"schedule": "linear", "num_train_timesteps": 50}, "Raise beta_end"),
        ({"beta_start": 0.03}, "noise must increase"),
        ({"network": "image"}, "network='flat'"),
        ({"event": Unit(shape=(1, 7, 8)), "channels": (8, 8)}, "multiples of 2"),
    ],
)
def test_a_config_that_makes_no_model_is_refused_with_a_remedy(config, remedy):
    with pytest.raises(ConfigError, match=remedy):
        model(**{**FLAT, "num_train_timesteps": 1000, **config})


def test_a_config_fits_the_data():
    info = load_dataset("digits").info
    digits = DDPM.configure(info, ("label",))
    assert (digits.event, digits.network) == (Unit(shape=(1, 8, 8), levels=17), "flat")
    assert digits.conditions == {"label": info["label"]}
    ring = DDPM.configure(load_dataset("ring").info)
    assert (ring.event, ring.network, ring.conditions) == (Real(shape=(2,)), "flat", {})
    assert DDPM(digits).conditions["label"].num_classes == 10
    assert (DDPM(digits).levels, DDPM(ring).levels) == (17, None)


def test_data_of_another_kind_or_other_levels_are_refused():
    info = load_dataset("digits").info
    for event, says in (
        (Real(shape=(1, 8, 8)), "finite numbers; these data do not fit: they are the 17 levels"),
        (Unit(shape=(1, 8, 8), levels=256), "the 17 levels 0, 1/16, ..., 1, not the 256 levels"),
    ):
        with pytest.raises(DataError, match=says):
            DDPM(DDPM.configure(info, event=event)).check_data(info)
    binary = load_dataset("digits", binarize="threshold").info
    with pytest.raises(DataError, match="binary"):
        DDPM(DDPM.configure(info)).check_data(binary)
    with pytest.raises(DataError, match="binary"):
        DDPM.configure(binary)
    DDPM(DDPM.configure(info, event=Unit(shape=(1, 8, 8)))).check_data(info)


def test_what_is_stored_names_what_was_left_open(tmp_path):
    found = model({"event": Unit(shape=(1, 4, 4)), "channels": (8, 8)})
    found.save_pretrained(tmp_path)
    loaded = GenModel.from_pretrained(tmp_path)
    assert (loaded.config.event, loaded.config.network) == (Unit(shape=(1, 4, 4)), "image")
    assert torch.equal(loaded.alpha, found.alpha)
    assert torch.equal(loaded.sample(2, seed=0), found.sample(2, seed=0))


def test_what_it_can_do():
    assert set(capabilities_of(DDPM)) == {"LogProb", "Inpainting"}
    assert DDPMConfig(event=Real(shape=(4,))).prediction_type == "epsilon"


def test_states_of_few_dimensions_are_seen_in_random_sinusoids():
    few, many = model(), model({"event": Real(shape=(9,))})
    assert (few.config.state_features, many.config.state_features) == (64, 0)
    x = torch.tensor([[0.1, 0.2, 0.3]])
    seen = few.network._seen(x)[0]
    angle = 2 * torch.pi * (few.network.frequencies.T @ x[0])
    torch.testing.assert_close(seen, torch.cat([x[0], angle.sin(), angle.cos()]))
    wide = model({"event": Real(shape=(8,))}, feature_scale=3.0)
    assert wide.network.frequencies.std().item() == pytest.approx(3.0, rel=0.2)
    assert model({"event": Real(shape=(3,)), "state_features": 0}).network._seen(x).equal(x)


# Values, and broken weights

FIVE = {"event": Unit(shape=(1, 4, 4), levels=5)}
OUTSIDE = [
    (FLAT, {}, math.nan, "finite numbers; row 1 holds nan"),
    (IMAGE, {}, 1.5, r"values in \[0, 1\]; row 1 holds 1\.5"),
    (IMAGE, {}, -0.5, r"Are they in \[-1, 1\]"),
    (IMAGE, FIVE, 0.3, "levels 0, 1/4, .*; row 1 holds 0.3"),
    (IMAGE, FIVE, math.inf, "row 1 holds inf"),
]


@pytest.mark.parametrize(("shape", "config", "value", "said"), OUTSIDE)
def test_values_that_are_none_of_the_models_are_refused(shape, config, value, said):
    found = model({**shape, **config})
    x = torch.zeros(2, *found.event_shape)
    x[1].view(-1)[0] = value
    mask = torch.zeros(found.event_shape, dtype=torch.bool)
    generator = torch.Generator()
    for ask in (
        lambda: mean_log_prob(found, x, num_samples=2),
        lambda: found.inpaint(x, mask, generator=generator, num_inference_steps=2),
    ):
        with pytest.raises(DataError, match=said):
            ask()


@pytest.mark.parametrize("shape", [FLAT, IMAGE])
def test_no_rows_are_inpainted_to_none_and_have_no_likelihood(shape):
    found = model(shape)
    x, mask = torch.zeros(0, *found.event_shape), torch.zeros(found.event_shape, dtype=torch.bool)
    assert (
        found.inpaint(x, mask, generator=torch.Generator(), num_inference_steps=2).shape == x.shape
    )
    with pytest.raises(DataError, match="mean over no rows"):
        mean_log_prob(found, x)


def test_a_latent_models_rows_are_its_autoencoders():
    config, _ = LatentDDPM.example()
    found = LatentDDPM(config)
    assert found.event == config.event == found.autoencoder.event == Unit(shape=(1, 4, 4))


def test_what_is_not_finite_is_named_by_every_sampler():
    """Whatever is clamped to [0, 1] in the end: NaN is not hidden by it."""
    found = model(IMAGE, num_train_timesteps=5)
    every = {name: registry.load("samplers", name) for name in registry.names("samplers")}
    names = [n for n, cls in every.items() if issubclass(cls, OnGrid) and cls is not Midpoint]
    assert len(names) >= 5
    for value, error in ((math.nan, NotFiniteWeightsError), (3e38, NotFiniteSampleError)):
        for p in found.parameters():
            p.data.fill_(value)
        for name in names:
            cls = every[name]
            with pytest.raises(error):
                found.sample(2, seed=0, sampler=cls(cls.Config(num_inference_steps=3)))
