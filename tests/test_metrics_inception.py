"""Inception's distances, and what is said where it is not installed."""

import importlib.util

import pytest

import families
from genzoo.data import from_array, load_dataset
from genzoo.errors import CapabilityError
from genzoo.evaluation import evaluate, inception
from genzoo.evaluation.features import Extractor
from genzoo.evaluation.inception import InceptionDistance
from judges import Replay, case


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_inception_is_not_judged_unless_it_is_named():
    assert not InceptionDistance.is_default


@pytest.mark.skipif(importlib.util.find_spec("torch_fidelity"), reason="it is installed")
def test_inception_says_what_to_install(digits):
    model = Replay(digits.head(10)["x"])
    with pytest.raises(
        CapabilityError, match=r"torch-fidelity.*pip install 'genzoo\[inception\]'"
    ):
        evaluate(model, digits, ["inception-distance"])


def test_inception_is_for_images():
    rows = families.rows(100, 4)
    reason = InceptionDistance().unavailable_reason(Replay(rows), from_array(rows, "rows"))
    assert reason == "it is for images of one or three channels, not data of shape (4,)"


def test_inceptions_distances_are_called_fid_and_kid(digits, monkeypatch):
    def stand_in(device):
        return Extractor("stand-in", "0", lambda x: x.flatten(1)[:, 20:30], device)

    monkeypatch.setattr(inception, "_inception", stand_in)
    found = InceptionDistance().compute(case(Replay(digits.head(1500)["x"]), digits, 200))
    assert set(found) == {"fid", "kid"}
    assert all(figure.provenance["extractor"] == "stand-in" for figure in found.values())
    assert found["fid"].value == pytest.approx(found["fid"].reference.value, rel=2)
