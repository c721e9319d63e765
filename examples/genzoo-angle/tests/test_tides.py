"""The data are what they say, and a model of them comes close to the truth."""

import math

import pytest
import torch

import genzoo
from genzoo_angle.angle import Angle, points, wrap
from genzoo_angle.mixture import VonMises
from genzoo_angle.tides import DELAYS, PORTS
from genzoo_angle.von_mises import log_density

KAPPA = 8.0


def test_the_fields_are_angles_and_a_label():
    data = genzoo.load_dataset("tides", num=100)
    angle = Angle(shape=(1,))
    label = genzoo.Label(num_classes=4, names=PORTS)
    assert data.info.fields == {"x": angle, "label": label, "moon": angle}
    batch = data.head(100)
    for name, space in data.info.fields.items():
        space.require(batch[name], "It")
    assert batch["x"].shape == batch["moon"].shape == (100, 1)


def test_a_seed_decides_the_rows_and_each_split_has_its_own():
    first, again, other, test = (
        genzoo.load_dataset("tides", split, num=50, seed=seed).head(50)["x"]
        for split, seed in (("train", 1), ("train", 1), ("train", 2), ("test", 1))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, test)


def test_high_water_follows_the_moon_by_the_delay_of_the_port():
    """The mean of N angles around their centre has the deviation √((1 − A²) / N) or less."""
    rows = genzoo.load_dataset("tides", num=8000, concentration=KAPPA).head(8000)
    late = wrap(rows["x"] - rows["moon"] - DELAYS[rows["label"]][:, None])
    mean = points(late)[:, 0].mean(0)
    assert mean.tolist() == pytest.approx([0.9352, 0.0], abs=5 / math.sqrt(8000))  # A(8) = 0.9352.


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of nothing, of labels, and of labels and the moon; 400 steps each."""
    data = genzoo.load_dataset("tides")
    config = genzoo.TrainerConfig(max_steps=400, threads=1, progress=False)
    found = {}
    for names in ((), ("label",), ("label", "moon")):
        torch.manual_seed(0)
        model = VonMises(VonMises.configure(data.info, names))
        folder = tmp_path_factory.mktemp("run")
        genzoo.Trainer(model, data, config=config, output_dir=folder).fit()
        found[names] = genzoo.GenModel.from_pretrained(folder)
    return found


def test_what_a_model_is_told_makes_it_better_and_none_is_better_than_the_truth(trained):
    test = genzoo.load_dataset("tides", "test")
    rows = test.head(len(test))
    mean = rows["moon"] + DELAYS[rows["label"]][:, None]
    truth = log_density(KAPPA * points(mean)[:, 0], points(rows["x"])[:, 0])
    figures = [
        genzoo.evaluate(model, test, metrics=["log-likelihood"]).figures["log-likelihood"]
        for model in trained.values()
    ]
    nothing, label, both = (figure.value for figure in figures)
    assert nothing < label - 0.2 < both - 0.6
    assert truth.mean() - 0.02 < both < truth.mean() + 0.01
    assert {figure.kind for figure in figures} == {"exact"}


def test_the_circular_error_is_that_of_two_independent_draws(trained):
    """Given all, 1 − E cos(x − x') of two draws is 1 − A(8)², and of other rows about 1."""
    test = genzoo.load_dataset("tides", "test")
    given = trained["label", "moon"]
    found = genzoo.evaluate(given, test, metrics=["circular-error"]).figures["circular-error"]
    assert found.value == pytest.approx(1 - 0.9352**2, abs=0.02)
    assert found.reference.value == pytest.approx(1, abs=0.1)
    assert found.kind == "stochastic estimate"
    plain = genzoo.evaluate(trained[()], test, metrics=["circular-error"])
    assert plain.figures["circular-error"].value == pytest.approx(1, abs=0.1)
    ring = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=2)
    digits = genzoo.load_dataset("digits", "test", binarize="threshold")
    with pytest.raises(genzoo.CapabilityError, match="it is for angle data, not binary"):
        genzoo.evaluate(ring, digits, metrics=["circular-error"])


def test_other_models_refuse_angles_and_this_one_refuses_other_data():
    tides, ring = genzoo.load_dataset("tides", num=10), genzoo.load_dataset("ring", num=10)
    rbm = type(genzoo.create_model("rbm", event=genzoo.Binary(shape=(2,))))
    with pytest.raises(genzoo.DataError, match="RBM models binary data; these are angle, in"):
        rbm.configure(tides.info)
    with pytest.raises(genzoo.DataError, match=r"models angle data; these are real.*wrap"):
        VonMises.configure(ring.info)
