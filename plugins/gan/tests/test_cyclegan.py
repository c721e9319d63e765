"""CycleGAN: translators, critics of patches, shapes of two domains, and what is refused."""

import json

import pytest
import torch
from torch import nn

from genzoo import (
    ConfigError,
    DataError,
    GenModel,
    Real,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    load_dataset,
    pair,
)
from genzoo.testing import capabilities_of
from genzoo_gan.cycle import Cycle, CycleConfig
from genzoo_gan.cyclegan import CycleGAN, signed, unsigned
from genzoo_gan.normalising import NORMALIZATIONS
from genzoo_gan.patches import PatchCritic, possible
from genzoo_gan.translators import ResidualBlock, ResNetTranslator

COLOUR = {"conditions": {"y": Unit(shape=(3, 8, 8))}}


def cyclegan(**config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given = {"event": Unit(shape=(1, 8, 8)), "width": 2, "num_blocks": 1, "num_halvings": 1}
        return create_model("cyclegan", **{**given, **config})


def images(num, *shape):
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(0))


# Translators


@pytest.mark.parametrize("sides", [(8, 8), (12, 20), (28, 28)])
@pytest.mark.parametrize("channels", [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_any_sides_that_can_be_halved_and_any_channels_are_kept(sides, channels, generator):
    network = ResNetTranslator(*channels, width=2, num_blocks=1, num_halvings=2)
    x = 2 * torch.rand(2, channels[0], *sides, generator=generator) - 1
    y = network(x)
    assert y.shape == (2, channels[1], *sides)
    assert y.abs().max() <= 1


def test_a_residual_block_adds_to_what_it_is_given(generator):
    block, h = ResidualBlock(4), torch.randn(2, 4, 5, 5, generator=generator)
    with torch.no_grad():
        block.layers[-2].weight.zero_()
    torch.testing.assert_close(block(h), h)


@pytest.mark.parametrize("normalization", list(NORMALIZATIONS))
def test_each_image_is_normalised_by_itself(normalization, generator):
    network = ResNetTranslator(1, 1, 2, num_blocks=1, num_halvings=1, normalization=normalization)
    x = torch.randn(5, 1, 8, 8, generator=generator)
    torch.testing.assert_close(network(x), torch.cat([network(one) for one in x.split(1)]))
    assert not list(network.buffers())


@pytest.mark.parametrize("normalization", list(NORMALIZATIONS))
def test_level_and_contrast_outlive_layer_normalisation_alone(normalization, generator):
    """Instance normalisation undoes x ↦ a x + b before anything has seen it; up to its ε, 1e-5."""
    network = ResNetTranslator(1, 1, 4, 1, 1, normalization).double()
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(50)  # Activations of size 1 or more, so that ε does not matter.
    x = 2 * torch.rand(3, 1, 8, 8, generator=generator).double() - 1
    apart = (network(0.5 * x - 0.3) - network(x)).abs().max()
    assert (apart < 1e-3) == (normalization == "instance")


def test_layer_normalisation_is_over_all_channels_and_pixels(generator):
    h = torch.randn(3, 4, 5, 5, generator=generator).double()
    found = NORMALIZATIONS["layer"](4)(h)
    mean, variance = h.mean((1, 2, 3), keepdim=True), h.var((1, 2, 3), False, keepdim=True)
    torch.testing.assert_close(found, (h - mean) / (variance + 1e-5).sqrt())


def test_critics_are_normalised_as_the_translators_or_as_is_said():
    for given, found in ((None, nn.GroupNorm), ("instance", nn.InstanceNorm2d)):
        made = Cycle(cyclegan(normalization="layer"), CycleConfig(critic_normalization=given))
        for critic in (made.D_X, made.D_Y):
            layers = list(critic.modules())
            assert any(isinstance(layer, found) for layer in layers)
            others = {nn.GroupNorm, nn.InstanceNorm2d} - {found}
            assert not any(isinstance(layer, tuple(others)) for layer in layers)


def test_weights_start_from_a_normal_of_two_hundredths():
    network = ResNetTranslator(1, 1, width=16, num_blocks=2, num_halvings=2)
    weights = torch.cat([p.detach().flatten() for p in network.parameters() if p.ndim == 4])
    assert abs(weights.std() - 0.02) < 0.001
    assert abs(weights.mean()) < 4 * 0.02 / len(weights) ** 0.5


# Critics


def seen_by_one_score(num_halvings, side):
    """Return the height and the width of the pixels that the middle score depends on."""
    critic = PatchCritic((1, side, side), 1, num_halvings).double()
    for name, module in list(critic.named_modules()):
        if isinstance(module, nn.InstanceNorm2d):  # It lets every score see all of the image.
            critic.set_submodule(name, nn.Identity())
    with torch.no_grad():
        for p in critic.parameters():
            p.fill_(0.1)
    x = torch.ones(1, 1, side, side, dtype=torch.double, requires_grad=True)
    scores = critic(x)[0, 0]
    scores[len(scores) // 2, len(scores) // 2].backward()
    rows, columns = (x.grad[0, 0].abs().sum(d) > 0 for d in (1, 0))
    return int(rows.sum()), int(columns.sum())


def test_a_score_sees_seventy_by_seventy_pixels_as_in_the_paper():
    assert seen_by_one_score(3, 128) == (70, 70)
    assert seen_by_one_score(2, 128) == (34, 34)
    assert seen_by_one_score(1, 128) == (16, 16)


@pytest.mark.parametrize(
    ("side", "halvings"), [(4, 0), (8, 1), (14, 1), (28, 2), (32, 3), (256, 3)]
)
def test_a_critic_halves_as_often_as_leaves_four_pixels(side, halvings):
    assert possible(side) == halvings
    scores = PatchCritic((3, side, side), 2)(images(2, 3, side, side))
    assert scores.shape[:2] == (2, 1)
    assert scores.shape[2] >= 1


def test_a_critic_of_too_many_halvings_is_refused_with_the_number_that_fits():
    with pytest.raises(ConfigError, match=r"leaves 1 of 14 pixels.*--objective.critic-halvings 1"):
        PatchCritic((1, 14, 14), 2, 3)


# The model


def test_translations_go_both_ways_in_the_units_of_the_data():
    model, x, y = cyclegan(**COLOUR), images(4, 1, 8, 8), images(4, 3, 8, 8)
    there, here = model.translate(x, to="y"), model.translate(y, to="x")
    torch.testing.assert_close(there, (model.G(2 * x - 1) + 1) / 2)
    torch.testing.assert_close(here, (model.F(2 * y - 1) + 1) / 2)
    assert (there.shape, here.shape) == (y.shape, x.shape)
    torch.testing.assert_close(unsigned(signed(x)), x)


def test_a_sample_is_the_translation_of_its_condition():
    model, y = cyclegan(), images(5, 1, 8, 8)
    with torch.no_grad():
        expected = model.translate(y, to="x")
    torch.testing.assert_close(model.sample(5, condition=y), expected)
    torch.testing.assert_close(model.sample(5, condition=y, batch_size=2), expected)
    torch.testing.assert_close(model.sample(2, condition=y[0]), expected[[0, 0]])


@pytest.mark.parametrize(
    ("shape", "halvings"), [((1, 14, 14), 1), ((1, 28, 28), 2), ((1, 256, 256), 2), ((1, 9, 8), 0)]
)
def test_a_config_fits_the_data_of_both_domains(shape, halvings):
    both = pair(images(2, *shape), images(3, 3, *shape[1:]))
    config = CycleGAN.configure(both.info, width=4)
    assert config.event == Unit(shape=shape)
    assert config.conditions == {"y": Unit(shape=(3, *shape[1:]))}
    assert (config.num_halvings, config.width) == (halvings, 4)
    assert CycleGAN.configure(both.info, num_halvings=0).num_halvings == 0


def test_levels_of_grey_are_left_out_so_that_what_was_translated_can_be_translated_back():
    digits = load_dataset("digits")
    both = pair(digits, digits)
    config = CycleGAN.configure(both.info, width=2, num_blocks=1)
    assert config.event == config.conditions["y"] == Unit(shape=(1, 8, 8))
    model, x = CycleGAN(config), digits.head(2)["x"]
    model.check_data(both.info)
    assert model.translate(model.translate(x, to="y"), to="x").shape == x.shape


def test_one_space_serves_both_domains_and_is_stored(tmp_path):
    model = cyclegan(event=Unit(shape=(3, 8, 8)))
    assert model.config.conditions == {"y": Unit(shape=(3, 8, 8))}
    model.save_pretrained(tmp_path)
    assert GenModel.from_pretrained(tmp_path).config == model.config


def test_its_rate_is_constant_in_the_first_half_and_falls_in_the_second(tmp_path):
    """In the paper it is 0.0002 for 100 epochs, and falls to zero in the next 100."""
    config, batch = CycleGAN.example()
    data = pair(batch["x"], batch["y"])
    settings = TrainerConfig(max_steps=20, logging_steps=1, progress=False, threads=1)
    Trainer(CycleGAN(config), data, config=settings, output_dir=tmp_path).fit()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    expected = [2e-4 * min(1, 2 - i / 10) for i in range(1, 21)]  # Of the next update.
    for player in ("translators", "critics"):
        assert [row[f"{player}/lr"] for row in rows] == pytest.approx(expected)


def test_what_it_can_do():
    assert capabilities_of(CycleGAN) == ["Translate"]


# Refusals


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"event": Unit(shape=(1, 14, 14)), "num_halvings": 2}, "multiples of 4"),
        ({"conditions": {"y": Unit(shape=(1, 8, 16))}}, "keeps height and width"),
        ({"event": Unit(shape=(64,))}, r"event must be images .* of shape \(64,\)"),
        ({"conditions": {"y": Unit(shape=(64,))}}, r"y must be images .* of shape \(64,\)"),
        ({"event": Unit(shape=(1, 2, 2)), "num_halvings": 1}, "4 or more"),
        ({"event": Real(shape=(1, 8, 8))}, "models unit data"),
        ({"conditions": {"y": Real(shape=(1, 8, 8))}}, "takes unit conditions"),
        (
            {"conditions": {"z": Unit(shape=(1, 8, 8))}},
            "exactly one entry, the second domain y, got z",
        ),
        ({"num_blocks": 101}, "num_blocks"),
    ],
)
def test_a_config_that_makes_no_model_is_refused(config, said):
    with pytest.raises(ConfigError, match=said):
        cyclegan(**config)


def test_a_domain_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match='to must be "x" or "y", got \'z\''):
        cyclegan().translate(images(1, 1, 8, 8), to="z")


def test_images_of_the_wrong_domain_are_refused_with_both_shapes():
    with pytest.raises(DataError, match=r"of shape \(1, 8, 8\); these have shape \(3, 8, 8\)"):
        cyclegan(**COLOUR).translate(images(1, 3, 8, 8), to="y")


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (images(5, 3, 8, 8), r"second domain .* have shape \(3, 8, 8\), not \(1, 8, 8\)"),
        (2 * images(5, 1, 8, 8) - 1, r"second domain .* are finite numbers.*--data-y\.scale"),
    ],
)
def test_a_second_domain_of_another_shape_or_kind_is_refused(y, said):
    with pytest.raises(DataError, match=said):
        Trainer(cyclegan(), pair(images(5, 1, 8, 8), y))


def test_data_of_one_domain_are_refused_with_the_flag_that_names_the_other():
    with pytest.raises(DataError, match="--data-y"):
        Trainer(cyclegan(), load_dataset("digits"))
