"""Extractors: which is taken for which data, what they give, and what is refused."""

import hashlib
import json

import pytest
import torch

import families
from genzoo import registry
from genzoo.data import from_array
from genzoo.errors import LoadError, MissingDependencyError, UnknownNameError
from genzoo.evaluation.features import (
    Extractor,
    FeatureConfig,
    FeatureExtractor,
    FeatureMetric,
    default_extractor,
    load_extractor,
    unfit,
)
from genzoo.spaces import Binary, Categorical, Real, Unit
from genzoo_datasets.classifier import load_classifier, sha256_of
from judges import Replay, case

IMAGES = families.rows(12, 1, 8, 8, seed=3)


class Some(FeatureMetric):
    """A metric on features."""

    def compute(self, case):
        return {}


# Which.


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (Unit(shape=(1, 8, 8)), "digits-cnn"),
        (Binary(shape=(1, 8, 8)), "digits-cnn"),
        (Real(shape=(1, 8, 8)), "pixels"),
        (Binary(shape=(1, 28, 28)), "fashion-cnn"),
        (Real(shape=(1, 28, 28)), None),
        (Real(shape=(2,)), "pixels"),
        (Binary(shape=(64,)), "pixels"),
        (Binary(shape=(65,)), None),
        (Unit(shape=(3, 28, 28)), None),
        (Categorical(shape=(1, 8, 8), num_categories=17), "pixels"),
        (Categorical(shape=(1, 28, 28), num_categories=256), None),
    ],
)
def test_the_default_is_the_shipped_classifier_else_pixels_where_they_are_few(space, name):
    assert default_extractor(space) == name
    assert (unfit(None, space) == "") == (name is not None)


@pytest.mark.parametrize(
    ("name", "space", "reason"),
    [
        (
            None,
            Real(shape=(65,)),
            "no extractor is registered for real data of shape (65,): name",
        ),
        ("pixels", Real(shape=(65,)), ""),
        ("digits-cnn", Unit(shape=(1, 8, 8)), ""),
        (
            "digits-cnn",
            Unit(shape=(1, 28, 28)),
            "digits-cnn is for images (1, 8, 8) in [0, 1], not for",
        ),
        ("digits-cnn", Real(shape=(1, 8, 8)), "not for"),
        (
            "digits-cnn",
            Categorical(shape=(1, 8, 8), num_categories=17),
            "not for",
        ),
        ("some/model", Unit(shape=(3, 28, 28)), ""),
        (
            "some/model",
            Unit(shape=(4, 28, 28)),
            "some/model is for images in [0, 1], not unit data",
        ),
        ("some/model", Unit(shape=(2,)), "some/model is for images"),
    ],
)
def test_an_extractor_that_does_not_fit_says_why(name, space, reason):
    found = unfit(name, space)
    assert found.startswith(reason) or reason in found
    assert bool(found) == bool(reason)


def test_a_metric_says_that_an_extractor_must_be_named():
    rows = families.rows(100, 65)
    data = from_array(rows, "wide rows")
    assert "name one by its config's field extractor" in Some().unavailable_reason(
        Replay(rows), data
    )
    assert Some(FeatureConfig(extractor="pixels")).unavailable_reason(Replay(rows), data) == ""


class Sums(FeatureExtractor):
    """The sum and the mean of three values."""

    is_default = True
    sha256 = "0" * 64

    def __init__(self, device="cpu"):
        pass

    @classmethod
    def inapplicable_reason(cls, space):
        return "" if space.event_shape == (3,) else f"sums is for three values, not {space}"

    def features(self, x):
        return torch.stack([x.sum(1), x.mean(1)], dim=1)


def test_a_registered_extractor_is_the_default_for_the_rows_that_it_takes(monkeypatch):
    space = Real(shape=(3,))
    monkeypatch.setitem(registry._local, ("extractors", "sums"), Sums)
    assert default_extractor(space) == "sums"
    assert default_extractor(Real(shape=(2,))) == "pixels"
    assert unfit("sums", Real(shape=(2,))).startswith("sums is for three values")
    extract = load_extractor("sums")
    assert (extract.name, extract.sha256) == ("sums", "0" * 64)
    assert extract(torch.ones(2, 3)).tolist() == [[3.0, 1.0], [3.0, 1.0]]
    monkeypatch.setattr(Sums, "is_default", False)
    assert default_extractor(space) == "pixels"


def test_of_two_defaults_none_is_picked(monkeypatch):
    for name in ("sums", "totals"):
        monkeypatch.setitem(registry._local, ("extractors", name), Sums)
    assert default_extractor(Real(shape=(3,))) is None
    reason = unfit(None, Real(shape=(3,)))
    assert reason.startswith("sums and totals are defaults for real data of shape (3,): name one")


def test_a_broken_extractor_breaks_no_other_and_is_named(monkeypatch, caplog):
    class Broken(Sums):
        @classmethod
        def inapplicable_reason(cls, space):
            raise ZeroDivisionError

    monkeypatch.setitem(registry._local, ("extractors", "broken"), Broken)
    with caplog.at_level("WARNING", logger="genzoo"):
        assert default_extractor(Unit(shape=(1, 8, 8))) == "digits-cnn"
    assert "The extractor broken is not used: ZeroDivisionError" in caplog.text


def test_a_metric_on_features_needs_a_hundred_rows():
    rows = families.rows(99, 4)
    reason = Some().unavailable_reason(Replay(rows), from_array(rows, "few rows"))
    assert reason == "at least 100 rows are needed; there are 99"


# What they give.


def test_pixels_are_the_values_themselves():
    extract = load_extractor("pixels")
    assert torch.equal(extract(IMAGES), IMAGES.flatten(1).double())
    assert extract.sha256 == hashlib.sha256(b"").hexdigest()


def test_a_shipped_extractor_gives_the_penultimate_features_of_the_shipped_weights():
    extract = load_extractor("digits-cnn")
    expected = load_classifier("digits-cnn").features(IMAGES).double()
    # In float32, and in another order of the channels.
    torch.testing.assert_close(extract(IMAGES), expected, rtol=0, atol=1e-5)
    assert torch.equal(extract(IMAGES[:0]), expected[:0])
    assert (extract.name, extract.sha256) == ("digits-cnn", sha256_of("digits-cnn"))


def test_examples_go_through_in_blocks():
    sizes = []

    def watched(x):
        sizes.append(len(x))
        return x.flatten(1)

    found = Extractor("watched", "", watched)(families.rows(600, 3))
    assert found.shape == (600, 3)
    assert found.dtype == torch.float64
    assert sizes == [250, 250, 100]


def test_features_are_extracted_once_for_all_metrics_with_a_provenance():
    rows = families.rows(100, 4)
    judged = case(Replay(rows), from_array(rows, "rows"))
    first, again = Some().compared(judged), Some().compared(judged)
    assert first is again
    other = Some(FeatureConfig(extractor="pixels")).compared(judged)
    assert other is first
    assert first.provenance == {
        "extractor": "pixels",
        "sha256": hashlib.sha256(b"").hexdigest(),
        "dimensions": 4,
        "samples": 50,
    }
    assert torch.equal(first.samples.float(), judged.samples)
    assert torch.equal(first.reference.float(), judged.reference["x"])
    assert torch.equal(first.held_out.float(), judged.held_out["x"])


def test_an_unknown_extractor_is_refused_with_near_names():
    with pytest.raises(UnknownNameError, match=r"extractor 'pixel'.*mean 'pixels'.*OWNER/NAME"):
        load_extractor("pixel")


# Models of the transformers library.


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A folder with a tiny vision transformer, and the transformer."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("vit")
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = transformers.ViTModel(config).eval()
    net.save_pretrained(folder)
    prepared = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 16, "width": 16},
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    return folder, net


@pytest.fixture
def copied(vit, tmp_path):
    """A copy of the folder, to be spoilt."""
    for path in vit[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def bytes_of(num):
    """Return images whose values are bytes over 255, which is what is prepared of any."""
    return (families.rows(num, 3, 16, 16) * 255).round() / 255


def spoil(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_an_image_model_gives_its_pooled_output(vit):
    folder, net = vit
    extract = load_extractor(str(folder))
    images = bytes_of(5)
    with torch.no_grad():
        expected = net(2 * images - 1).pooler_output.double()
    torch.testing.assert_close(extract(images), expected, atol=1e-5, rtol=1e-5)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (extract.name, extract.sha256) == (str(folder), digest)


def test_grey_images_are_shown_in_three_equal_channels(vit):
    extract = load_extractor(str(vit[0]))
    grey = families.rows(3, 1, 16, 16)
    assert torch.equal(extract(grey), extract(grey.expand(-1, 3, -1, -1)))


def test_where_pooling_was_not_learned_positions_are_averaged(copied, vit):
    from safetensors.torch import load_file, save_file

    file = copied / "model.safetensors"
    kept = {k: v for k, v in load_file(file).items() if not k.startswith("pooler.")}
    save_file(kept, file, metadata={"format": "pt"})
    images = bytes_of(3)
    with torch.no_grad():
        expected = vit[1](2 * images - 1).last_hidden_state.mean(1).double()
    found = load_extractor(str(copied))(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_a_model_with_code_of_its_own_is_refused(copied, file):
    spoil(copied / file, auto_map={"AutoModel": "modeling.Mine"})
    with pytest.raises(LoadError, match=rf"{file} names code \(auto_map\)"):
        load_extractor(str(copied))


def test_a_model_without_safetensors_is_refused(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(LoadError, match="no safetensors; nothing else is loaded"):
        load_extractor(str(copied))


def test_a_model_that_lacks_weights_is_refused(copied):
    from safetensors.torch import load_file, save_file

    file = copied / "model.safetensors"
    kept = {k: v for k, v in load_file(file).items() if not k.startswith("layernorm")}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(LoadError, match=r"lacks weights, the first of them layernorm"):
        load_extractor(str(copied))


def test_a_folder_without_a_config_is_refused(tmp_path):
    with pytest.raises(LoadError, match=r"has no config.json to read"):
        load_extractor(str(tmp_path))


def test_an_installation_without_transformers_says_what_to_install(vit, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'genzoo\[transformers\]'"):
        load_extractor(str(vit[0]))


def test_loading_an_image_model_leaves_the_global_generator_as_it_was(vit):
    before = torch.get_rng_state()
    load_extractor(str(vit[0]))
    assert torch.equal(before, torch.get_rng_state())
