"""The small classifiers: how good they are, and which weights they have."""

import hashlib
from importlib import resources

import pytest
import torch

from genzoo import DataError, load_dataset
from genzoo.plugin import UnknownNameError
from genzoo_datasets import classifier
from genzoo_datasets.classifier import SHIPPED, load_classifier, sha256_of

LEAST = {
    ("digits-cnn", None): 0.96,
    ("digits-cnn", "threshold"): 0.93,
    ("fashion-cnn", None): 0.91,
    ("fashion-cnn", "threshold"): 0.85,
    ("fashion-cnn", "static"): 0.84,
}


def rows(name, split="test", binarize=None):
    try:
        data = load_dataset(SHIPPED[name].data, split, binarize=binarize, limit=5000)
    except DataError as error:
        pytest.skip(str(error))
    return data.info, data.head(5000)


def weights(name):
    file = resources.files("genzoo_datasets") / "weights" / f"{name}.safetensors"
    return file.read_bytes()


@pytest.mark.parametrize(
    ("name", "binarize"),
    [
        pytest.param(*pair, marks=pytest.mark.full if pair[0] == "fashion-cnn" and pair[1] else ())
        for pair in LEAST
    ],
)
def test_test_images_get_their_labels_grey_and_binarised(name, binarize):
    _, batch = rows(name, binarize=binarize)
    right = load_classifier(name).predict(batch["x"]) == batch["label"]
    assert right.double().mean() >= LEAST[name, binarize]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_classifier_is_one_of_its_datas_labels(name):
    info, batch = rows(name)
    assert info["x"].event_shape == SHIPPED[name].event_shape
    assert info["label"].names == SHIPPED[name].class_names
    judge = load_classifier(name)
    log_p, features = judge(batch["x"][:50]), judge.features(batch["x"][:50])
    assert log_p.shape == (50, 10)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(50))
    assert features.shape == (50, classifier.FEATURES)
    torch.testing.assert_close(judge.logits(features).log_softmax(1), log_p)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_hash_is_that_of_the_file_which_is_small(name):
    assert sha256_of(name) == hashlib.sha256(weights(name)).hexdigest()
    assert len(weights(name)) <= 500_000


@pytest.mark.parametrize("name", SHIPPED)
def test_a_classifier_judges_in_eval_mode_and_is_not_trained(name):
    judge = load_classifier(name)
    assert not any(module.training for module in judge.modules())
    assert not any(parameter.requires_grad for parameter in judge.parameters())


def test_loading_leaves_the_global_generator_as_it_was():
    before = torch.get_rng_state()
    load_classifier("digits-cnn")
    assert torch.equal(before, torch.get_rng_state())


def test_a_classifier_fits_by_shape():
    assert classifier.fitting((1, 8, 8)) == "digits-cnn"
    assert classifier.fitting((1, 28, 28)) == "fashion-cnn"
    assert classifier.fitting((3, 28, 28)) is None


@pytest.mark.parametrize("function", [load_classifier, sha256_of])
def test_an_unknown_classifier_is_refused_with_near_names(function):
    with pytest.raises(UnknownNameError, match=r"classifier 'digit-cnn'.*mean 'digits-cnn'"):
        function("digit-cnn")


def test_weights_that_were_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(classifier, "weights_file", lambda name: f"no-{name}")
    with pytest.raises(DataError, match="weights of digits-cnn are not in this installation"):
        load_classifier("digits-cnn")
