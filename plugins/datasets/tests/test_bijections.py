"""Fashion-MNIST and its image under a known bijection."""

import pytest
import torch

from fashion_files import write_fashion
from genzoo import Binary, ConfigError, Unit, load_dataset
from genzoo.plugin import TwoDomains
from genzoo_datasets.bijections import Coloured, Negative, Rotated

BIJECTIONS = [Negative(), Rotated(), Coloured()]
NAMES = ["negative", "rotated", "coloured"]


@pytest.fixture
def fashion(tmp_path):
    return write_fashion(tmp_path)


@pytest.mark.parametrize("bijection", BIJECTIONS, ids=NAMES)
def test_a_bijection_is_undone_exactly(bijection):
    """In whole numbers to the bit; in float32 up to one rounding of 1 − x."""
    whole = torch.arange(256).view(1, 1, 16, 16)
    assert torch.equal(bijection.inverse(bijection.forward(whole, 255), 255), whole)
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(bijection.inverse(bijection.forward(x)), x, atol=1e-7, rtol=0)


@pytest.mark.parametrize("bijection", BIJECTIONS, ids=NAMES)
def test_a_bijection_stays_in_range_and_moves(bijection):
    x = torch.linspace(0, 1, 16).view(1, 1, 4, 4)
    y = bijection.forward(x)
    assert 0 <= y.min() <= y.max() <= 1
    assert (y - x).abs().mean() > 0.1


def test_the_colours_are_those_of_iron():
    x = torch.tensor([0.0, 0.5, 0.75, 1.0]).view(4, 1, 1, 1)
    expected = [[0, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 0]]
    assert Coloured().forward(x).view(4, 3).tolist() == expected


def test_a_quarter_turn_is_to_the_left():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    assert Rotated().forward(x)[0, 0].tolist() == [[2.0, 4.0], [1.0, 3.0]]


@pytest.mark.parametrize("size", [14, 28])
@pytest.mark.parametrize(
    ("name", "bijection"), list(zip(NAMES, BIJECTIONS, strict=True)), ids=NAMES
)
def test_halves_are_disjoint_and_test_rows_aligned(fashion, name, bijection, size):
    data = load_dataset(f"fashion-mnist-{name}", folder=fashion, size=size)
    full = load_dataset("fashion-mnist", folder=fashion).head(12)["x"]
    if size == 14:
        full = torch.nn.functional.avg_pool2d(full, 2)
    found = data.head(12)
    assert len(data) == 6
    torch.testing.assert_close(found["x"], full[:6])
    torch.testing.assert_close(bijection.inverse(found["y"]), full[6:])
    assert found["label"].tolist() == [0, 1, 2, 3, 4, 5]
    assert data.y.head(6)["label"].tolist() == [6, 7, 8, 9, 0, 1]
    test = load_dataset(f"fashion-mnist-{name}", "test", folder=fashion, size=size).head(6)
    torch.testing.assert_close(test["y"], bijection.forward(test["x"]))


def test_the_info_says_what_both_domains_are(fashion):
    info = load_dataset("fashion-mnist-coloured", folder=fashion, size=14).info
    assert list(info.fields) == ["x", "label", "y", "y_label"]
    assert info["x"] == Unit(shape=(1, 14, 14), levels=1021)
    assert info["y"] == Unit(shape=(3, 14, 14), levels=1021)
    assert info["y_label"].num_classes == 10
    assert info.mean["x"].shape == (1, 14, 14)
    assert not {"y", "y_label"} & set(load_dataset("digits").info.fields)


def test_an_image_at_14_is_the_exact_mean_of_four(fashion):
    x = load_dataset("fashion-mnist-negative", folder=fashion, size=14).head(1)["x"]
    big = load_dataset("fashion-mnist", folder=fashion).head(1)["x"].double()
    exact = big.view(1, 1, 14, 2, 14, 2).mean((3, 5))
    assert (x.double() - exact).abs().max() < 1e-7
    levels = x.double() * 1020
    assert (levels - levels.round()).abs().max() < 1e-4


def test_a_limit_and_binarising_hold_for_both_domains(fashion):
    data = load_dataset(
        "fashion-mnist-negative", folder=fashion, limit=4, binarize="threshold", size=14
    )
    assert isinstance(data, TwoDomains)
    assert len(data.x) == len(data.y) == 4
    test = load_dataset("fashion-mnist-negative", "test", folder=fashion, limit=4, size=14)
    found = test.head(4)
    torch.testing.assert_close(found["y"], 1 - found["x"])
    assert set(data.head(4)["y"].unique().tolist()) == {0.0, 1.0}
    assert data.info["x"] == data.info["y"] == Binary(shape=(1, 14, 14))


def test_a_size_that_is_no_mean_is_refused(fashion):
    with pytest.raises(ConfigError, match="size got 20"):
        load_dataset("fashion-mnist-negative", folder=fashion, size=20)


def test_alignment_outlives_a_limit_and_is_the_test_splits_alone(tmp_path):
    folder = write_fashion(tmp_path)
    for split, known in (("train", False), ("test", True)):
        data = load_dataset("fashion-mnist-rotated", split, folder=folder, limit=3)
        assert data.info.aligned is known
