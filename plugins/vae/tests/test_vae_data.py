"""The model and data: configs that fit, likelihoods that are not theirs, a start from the mean."""

import logging

import pytest
import torch

from genzoo import (
    Binary,
    Categorical,
    ConfigError,
    DataError,
    Label,
    Text,
    Unit,
    create_model,
    evaluate,
    load_dataset,
)
from genzoo.testing import capabilities_of, run_command
from genzoo_vae.vae import VAE, VAEConfig
from likelihoods import mean_log_prob
from small_vaes import REAL, vae


def test_a_config_fits_the_data():
    grey = load_dataset("digits")
    config = VAE.configure(grey.info)
    assert config.likelihood == "discretized-logistic"
    assert config.event == Unit(shape=(1, 8, 8), levels=17)
    binary = load_dataset("digits", binarize="threshold")
    assert VAE.configure(binary.info).likelihood == "bernoulli"
    assert VAE.configure(load_dataset("ring").info).likelihood == "gaussian"
    assert VAE.configure(grey.info).conditions == {}
    config = VAE.configure(grey.info, conditions=("label",))
    assert config.conditions["label"].num_classes == 10


def test_a_gaussian_of_grey_data_is_one_of_any_levels():
    grey = load_dataset("digits")
    config = VAE.configure(grey.info, likelihood="gaussian")
    assert (config.likelihood, config.event) == ("gaussian", Unit(shape=(1, 8, 8)))
    VAE(config).check_data(grey.info)


@pytest.mark.parametrize(
    ("event", "remedy"),
    [
        (Binary(shape=(1, 8, 8)), r"zeros and ones.*--data\.binarize threshold"),
        (Unit(shape=(1, 8, 8), levels=256), "the 17 levels .*, not the 256 levels"),
    ],
)
def test_grey_data_are_refused_where_the_likelihood_is_not_theirs(event, remedy):
    grey = load_dataset("digits")
    model = create_model("vae", event=event)
    with pytest.raises(DataError, match=remedy):
        evaluate(model, grey)


@pytest.mark.parametrize(
    "config",
    [
        {"conditions": {"text": Text()}},
        {"conditions": {"Label": Label(num_classes=3)}},
        {"likelihood": "discretized-logistic"},
        {"event": Unit(shape=(9,)), "likelihood": "discretized-logistic"},
        {"event": Categorical(shape=(9,), num_categories=3), "likelihood": "bernoulli"},
        {"network": "image", "event": Binary(shape=(9,))},
        {"latent_dim": 0},
        {"hidden_dims": (0,)},
        {"hidden_dims": (2**16 + 1,)},
    ],
)
def test_a_config_that_makes_no_model_is_refused(config):
    with pytest.raises(ConfigError):
        vae(**config)


@pytest.mark.parametrize("binarize", [None, "threshold"])
def test_the_decoder_starts_from_the_datas_mean(binarize):
    data = load_dataset("digits", binarize=binarize)
    model = VAE(VAE.configure(data.info))
    assert model.needs_data_init()
    model.init_from_data(data.head(10), data.info)
    assert not model.needs_data_init()
    with torch.no_grad():
        model.decoder.output.weight.zero_()
    mean = model.decode(torch.zeros(1, model.config.latent_dim))[0]
    wanted = data.info.mean["x"]
    middle = (wanted > 0.2) & (wanted < 0.8)
    torch.testing.assert_close(mean[middle], wanted[middle], atol=0.03, rtol=0)


def test_what_it_can_do():
    assert set(capabilities_of(VAE)) == {"LogProb", "Encode", "Decode", "DataInit"}
    assert VAEConfig(event=Binary(shape=(4,))).likelihood == "bernoulli"
    assert logging.getLogger("genzoo")


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({"likelihood": "bernoulli"}, 0.5),
        ({"event": Unit(shape=(1, 3, 3), levels=17)}, 0.4),
        ({"event": Unit(shape=(1, 3, 3), levels=17)}, 17 / 16),
        (REAL, float("nan")),
        ({"event": Unit(shape=(1, 3, 3))}, 1.5),
    ],
)
def test_values_without_a_likelihood_have_none(config, value):
    with pytest.raises(DataError):
        mean_log_prob(vae(**config), torch.full((2, 1, 3, 3), value), num_samples=2)


def test_levels_as_float32_gives_them_are_levels():
    x = (torch.arange(256) / 255)[:252].view(-1, 1, 3, 3)
    found = mean_log_prob(vae(event=Unit(shape=(1, 3, 3), levels=256)), x, num_samples=2)
    assert found.value < 0


def test_a_likelihood_that_was_asked_for_is_not_exchanged_for_one_that_fits(tmp_path, capsys):
    """The flag's value is used, and not one that fits the data."""
    line = f"train vae --data digits --model.likelihood bernoulli --output {tmp_path}/run"
    with pytest.raises(SystemExit) as left:
        run_command(line.split())
    assert left.value.code == 2
    assert "Binarise them" in capsys.readouterr().err
