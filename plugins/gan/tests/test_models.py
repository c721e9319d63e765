"""The models: networks of every kind, labels, encoders, classifying, and what is refused."""

import dataclasses
import math

import pytest
import torch

from games import example, game, made, rows, step
from genzoo import (
    ArrayDataset,
    ConditionError,
    ConfigError,
    DataError,
    DataInfo,
    GenModel,
    Label,
    Real,
    Text,
    Unit,
    create_model,
    evaluate,
    load_dataset,
)
from genzoo.plugin import NotFiniteFigureError, NotFiniteSampleError
from genzoo.testing import capabilities_of
from genzoo_gan.bigan import BiGAN
from genzoo_gan.conditional import ConditionalGAN
from genzoo_gan.gan import GAN
from genzoo_gan.generators import GENERATORS
from genzoo_gan.semi_supervised import SemiSupervisedGAN

ALL = [BiGAN, ConditionalGAN, GAN, SemiSupervisedGAN]


def info(space=Unit, num_classes=None, shape=(1, 8, 8)):
    fields = {"x": space(shape=shape)}
    labels = {} if num_classes is None else {"label": Label(num_classes=num_classes)}
    return DataInfo(fields=fields | labels)


# Generators


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("network", sorted(GENERATORS))
@pytest.mark.parametrize("shape", [(1, 7, 5), (3, 8, 8), (1, 28, 28)])
def test_every_network_makes_images_of_any_size(network, shape, batch_norm, generator):
    made_network = GENERATORS[network](4, (6, 5), shape, batch_norm)
    assert made_network(torch.randn(3, 4, generator=generator)).shape == (3, *shape)
    norms = [m for m in made_network.modules() if "BatchNorm" in type(m).__name__]
    assert bool(norms) is batch_norm


def test_transposed_convolutions_are_the_papers_for_even_sides():
    layers = GENERATORS["convolutional"](4, (6, 5), (1, 28, 28), False).layers
    kernels = [m.kernel_size for m in layers if isinstance(m, torch.nn.ConvTranspose2d)]
    assert kernels == [(4, 4), (4, 4)]


@pytest.mark.parametrize("network", ["convolutional", "residual"])
def test_images_alone_are_convolved(network):
    with pytest.raises(ConfigError, match="Use network='flat'"):
        create_model("gan", event=Real(shape=(5,)), network=network)


@pytest.mark.parametrize(("space", "ends"), [(Unit, "sigmoid"), (Real, "identity")])
def test_a_sigmoid_ends_what_is_made_for_data_in_the_unit_interval(space, ends):
    config = GAN.configure(info(space))
    assert config.output == ends
    assert GAN.configure(info(space), output="identity").output == "identity"
    x = GAN(config).sample(50, seed=0)
    assert (bool(((x >= 0) & (x <= 1)).all())) is (space is Unit)


def test_a_sigmoid_is_refused_where_data_are_not_in_the_unit_interval():
    with pytest.raises(ConfigError, match="output='sigmoid' makes values in"):
        GAN.configure(info(Real), output="sigmoid")


def test_what_they_can_do():
    assert capabilities_of(GAN) == capabilities_of(ConditionalGAN) == ["Decode"]
    assert capabilities_of(SemiSupervisedGAN) == ["Decode", "Classify"]
    assert capabilities_of(BiGAN) == ["Encode", "Decode"]


@pytest.mark.parametrize("cls", ALL)
def test_each_says_where_it_comes_from_and_what_it_cannot_do(cls):
    assert cls.papers
    assert cls.limits
    assert all(text.endswith(".") for text in (*cls.papers, *cls.limits))


# Labels


def test_a_label_goes_to_the_generator_and_to_the_critic():
    model, batch = example("conditional-gan")
    z = rows(12, 2)
    fake = model.fake(z, batch, step().generator, 1.0)
    y = torch.eye(3).double()[batch["label"]]
    torch.testing.assert_close(fake.x, model.generate(z, y))
    assert torch.equal(fake.y, y)
    assert torch.equal(model.real(batch, None).y, y)


def test_another_label_makes_another_example_of_the_same_code():
    model, _ = example("conditional-gan")
    z = rows(1, 2).expand(3, 2)
    x = model.decode(z, condition=torch.arange(3))
    assert (x[0] - x[1]).abs().max() > 1e-3
    torch.testing.assert_close(x[1:2], model.decode(z[:1], condition=1))


@pytest.mark.parametrize("condition", [None, 3, -1, [0, 1]])
def test_labels_that_there_are_not_are_refused(condition):
    model, _ = example("conditional-gan")
    with pytest.raises(ConditionError, match=r"label|conditions"):
        model.decode(rows(3, 2), condition=condition)


@pytest.mark.parametrize("name", ["gan", "semi-supervised-gan", "bigan"])
def test_a_condition_where_none_is_taken_is_refused(name):
    with pytest.raises(ConditionError, match="takes no condition"):
        example(name)[0].decode(rows(2, 2), condition=1)


@pytest.mark.parametrize("cls", [ConditionalGAN, SemiSupervisedGAN])
def test_data_without_labels_are_refused_where_labels_are_learned_from(cls):
    said = r"these data have none|needs the field label"
    with pytest.raises(DataError, match=said) as caught:
        cls.configure(info())
    assert "without it" not in str(caught.value)
    assert cls(cls.configure(info(num_classes=7))).event == Unit(shape=(1, 8, 8))


def test_the_number_of_labels_is_that_of_the_data():
    config = ConditionalGAN.configure(info(num_classes=7))
    assert config.conditions == {"label": Label(num_classes=7)}
    assert SemiSupervisedGAN.configure(info(num_classes=7)).num_classes == 7
    assert SemiSupervisedGAN.configure(info(), num_classes=4).num_classes == 4


@pytest.mark.parametrize("cls", [ConditionalGAN, SemiSupervisedGAN])
def test_data_of_more_labels_than_are_known_are_refused(cls):
    model = cls(cls.configure(info(num_classes=3)))
    model.check_data(info(num_classes=2))
    with pytest.raises(DataError, match="have 4 classes, not 3"):
        model.check_data(info(num_classes=4))


def test_a_conditional_gan_needs_its_label():
    with pytest.raises(ConfigError, match="needs the condition label"):
        create_model("conditional-gan", event=Unit(shape=(1, 8, 8)))
    with pytest.raises(ConfigError, match="takes label conditions; text is"):
        example("conditional-gan", conditions={"label": Label(num_classes=3), "text": Text()})


def test_several_labels_go_side_by_side_in_the_order_of_their_names():
    spaces = {"label": Label(num_classes=3), "colour": Label(num_classes=2)}
    model, batch = example("conditional-gan", conditions=spaces)
    batch = {**batch, "colour": torch.arange(12) % 2}
    colour, label = torch.eye(2)[batch["colour"]], torch.eye(3)[batch["label"]]
    assert torch.equal(model.real(batch, None).y, torch.cat([colour, label], dim=1).double())
    given = {"label": 2, "colour": 1}
    assert model.decode(rows(3, 2), condition=given).shape == (3, 1, 3, 3)
    (loss, *_) = game("non-saturating", model).losses(batch, step())
    assert math.isfinite(loss.value.item())


@pytest.mark.parametrize("wrong", [-1, 3])
def test_rows_without_a_label_are_refused_with_the_model_that_takes_them(wrong):
    model, batch = example("conditional-gan")
    rows_of = {**batch, "label": torch.full((12,), wrong)}
    with pytest.raises(DataError, match=r"from 0 to 2.*semi-supervised GAN"):
        model.real(rows_of, None)


# Encoders


def test_the_critic_is_shown_pairs_of_both_ways():
    model, batch = example("bigan", inference="function")
    z = rows(12, 2)
    fake, real = model.fake(z, batch, step().generator, 1.0), model.real(batch, None)
    assert torch.equal(fake.z, z)
    torch.testing.assert_close(fake.x, model.decode(z))
    torch.testing.assert_close(real.z, model.encode(batch["x"]))


def test_a_gaussian_code_is_drawn_around_its_mean_and_through_its_draw_gradients_pass():
    """20,000 draws: mean and deviation within 5 standard errors."""
    model, batch = example("bigan", inference="gaussian")
    x = batch["x"][:1].expand(20_000, 1, 3, 3)
    z = model.encoder.draw(x, torch.Generator().manual_seed(0))
    assert torch.equal(z, model.draw_codes(x, generator=torch.Generator().manual_seed(0)))
    mean, log_variance = model.encoder.outputs(x[:1]).chunk(2, dim=1)
    sigma = (0.5 * log_variance).exp()
    assert bool(((z.mean(0) - mean).abs() < 5 * sigma / 20_000**0.5).all())
    assert bool(((z.std(0) / sigma - 1).abs() < 5 / 40_000**0.5).all())
    assert z.requires_grad
    torch.testing.assert_close(model.encode(x[:1]), mean)


def test_the_encoder_is_stored_with_the_model(tmp_path):
    model, batch = example("bigan")
    model = model.float()
    model.save_pretrained(tmp_path)
    x = batch["x"].float()
    torch.testing.assert_close(GenModel.from_pretrained(tmp_path).encode(x), model.encode(x))


# Classifying


def test_a_classifier_gives_the_share_of_each_label_among_real_rows():
    model, batch = example("semi-supervised-gan", noise=0.0)
    found = model.classify(batch["x"])
    torch.testing.assert_close(found.sum(1), torch.ones(12).double())
    logits = model.classifier(batch["x"])
    both = torch.cat([logits, torch.zeros(12, 1).double()], dim=1).softmax(1)  # K + 1 labels.
    torch.testing.assert_close(found, both[:, :3] / (1 - both[:, 3:]))


def test_a_classifiers_layers_can_be_others_than_the_generators():
    model = made(
        "semi-supervised-gan",
        event=Real(shape=(1, 8, 8)),
        num_classes=5,
        classifier_network="convolutional",
        classifier_hidden_dims=(4, 6),
    )
    assert model.classify(rows(3, 1, 8, 8)).shape == (3, 5)
    assert model.classifier.features.num_features == 24


def test_a_dataset_configures_a_model():
    config = SemiSupervisedGAN.configure(load_dataset("digits", labelled=20).info)
    assert (config.num_classes, config.event) == (10, Unit(shape=(1, 8, 8)))


@pytest.mark.parametrize("cls", ALL)
def test_what_is_between_two_levels_of_grey_is_taken_too(cls):
    """A generator meets no level exactly: its samples are rows like others."""
    digits = load_dataset("digits").info
    model = cls(cls.configure(digits))
    assert digits["x"].levels == 17
    assert model.event == Unit(shape=(1, 8, 8))
    model.check_data(digits)


# Values, and values that overflow


@pytest.mark.parametrize("space", [Unit, Real])
def test_rows_are_those_of_the_event(space):
    config = dataclasses.replace(BiGAN.example()[0], event=space(shape=(1, 3, 3)), output=None)
    model = BiGAN(config)
    x = torch.full((2, 1, 3, 3), 2.0)
    if space is Real:
        assert model.encode(x).shape == (2, 2)
        return
    with pytest.raises(DataError, match=r"in \[0, 1\]; row 0 holds 2\. Divide by 255"):
        model.encode(x)


def test_a_classifier_takes_images_and_draws_no_label_of_nan():
    model, batch = example("classifier")
    bright = 255 * batch["x"]
    with pytest.raises(DataError, match=r"^Classifier takes values in \[0, 1\]; row 0 holds"):
        model.classify(bright)
    with pytest.raises(ConditionError, match="x 0 holds"):
        model.sample(12, condition=bright)
    info = DataInfo(fields={"x": model.conditions["x"], "label": model.event})
    rows = ArrayDataset(batch["x"], info, "rows", batch["label"])
    for p in model.label.parameters():
        p.data.fill_(1e308)
    with pytest.raises(NotFiniteSampleError, match="The probability of a label is not finite"):
        model.sample(12, condition=batch["x"])
    with pytest.raises(NotFiniteFigureError, match="A label's probability is NaN"):
        evaluate(model, rows, ["accuracy"])


def test_both_domains_of_a_translator_are_checked_by_their_own_shape():
    model, batch = example("cyclegan")
    for domain, to in (("x", "y"), ("y", "x")):
        x = batch[domain].clone()
        x[3].view(-1)[0] = math.nan
        with pytest.raises(DataError, match=r"CycleGAN takes values in \[0, 1\]; row 3 holds nan"):
            model.translate(x, to=to)
        assert len(model.translate(x[:0], to=to)) == 0
