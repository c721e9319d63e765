"""What every source's rows go through: a limit, zeros and ones, and the training split's mean."""

import numpy as np
import pytest
import torch

from genzoo import seeds
from genzoo.data import ArrayDataset, DataConfig, load_dataset, load_split
from genzoo.data.dataset import DataSource
from genzoo.data.transforms import prepare
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Binary, Categorical, Text, Unit
from genzoo.spec import DataInfo


def digits(split="train", **config):
    return load_dataset("digits", split, **config)


def x(dataset, seed=None):
    generator = None if seed is None else seeds.generator(seed)
    return dataset.batch(range(len(dataset)), generator)["x"]


def greys(rows=2000):
    """Rows of the same nine greys, from 0 to 1."""
    return torch.linspace(0, 1, 9).expand(rows, 9).contiguous()


def grey_info(**facts):
    return DataInfo(fields={"x": Unit(shape=(9,))}, range={"x": (0.0, 1.0)}, **facts)


def grey_dataset(values=None):
    return ArrayDataset(greys() if values is None else values, grey_info(), "greys")


# Zeros and ones.


@pytest.mark.parametrize("how", ["static", "dynamic", "threshold"])
def test_binarised_rows_are_zeros_and_ones_with_the_rest_as_it_was(how):
    grey, dataset = digits(), digits(binarize=how)
    batch = dataset.batch([5, 3])
    assert set(batch["x"].unique().tolist()) == {0.0, 1.0}
    assert batch["x"].dtype == torch.float32
    assert torch.equal(batch["label"], grey.batch([5, 3])["label"])
    assert (dataset.info["x"], dataset.info.range["x"]) == (Binary(shape=(1, 8, 8)), (0, 1))
    assert dataset.info["label"] == grey.info["label"]
    assert len(dataset) == 1500
    assert dataset.name == f"digits/train ({how} binarisation)"


def test_captions_survive_the_static_draw():
    text = [f"row {i}" for i in range(70)]
    info = grey_info().with_field("text", Text())
    dataset = prepare(
        ArrayDataset(greys(70), info, "greys", text=text), DataConfig(binarize="static")
    )
    assert dataset.batch([69, 2])["text"] == ["row 69", "row 2"]


def test_threshold_is_above_one_half():
    values = torch.tensor([[0.0, 0.25, 0.5, 0.5 + 1e-6, 0.75, 1.0, 0.0, 0.0, 0.0]])
    dataset = prepare(grey_dataset(values), DataConfig(binarize="threshold"))
    assert x(dataset).tolist() == [[0, 0, 0, 1, 1, 1, 0, 0, 0]]
    assert torch.equal(x(digits(binarize="threshold")), (x(digits()) > 0.5).float())


@pytest.mark.parametrize("how", ["static", "dynamic"])
def test_drawn_rows_equal_the_grey_ones_in_expectation(how):
    """Within 5 standard errors, √(p(1 − p)/n), of each grey; nought at black and white."""
    dataset = prepare(grey_dataset(), DataConfig(binarize=how))
    found, p = x(dataset, seed=1).double().mean(0), greys(1)[0].double()
    assert ((found - p).abs() <= 5 * (p * (1 - p) / 2000).sqrt()).all()


def test_pixels_and_rows_are_drawn_apart():
    """Correlations of n draws are within 5/√n."""
    values = torch.full((2000, 9), 0.5)
    for how in ("static", "dynamic"):
        drawn = x(prepare(grey_dataset(values), DataConfig(binarize=how)), seed=2)
        pixels = torch.corrcoef(drawn.T) - torch.eye(9)
        assert pixels.abs().max() < 5 / 2000**0.5
        for lag in (1, 64):  # 64 rows share a generator.
            rows = torch.corrcoef(torch.stack([drawn[lag:].flatten(), drawn[:-lag].flatten()]))
            assert rows[0, 1].abs() < 5 / (9 * (2000 - lag)) ** 0.5


def test_a_static_draw_is_frozen():
    first, again = digits(binarize="static"), digits(binarize="static")
    assert torch.equal(x(first, seed=1), x(first, seed=2))
    assert torch.equal(x(first), x(again))
    assert torch.equal(first.batch([700, 3])["x"], x(first)[[700, 3]])
    assert not torch.equal(x(first), x(digits(binarize="static", binarize_seed=1)))


@pytest.mark.parametrize("limit", [1, 64, 100, 1499])
def test_a_static_draw_does_not_depend_on_the_limit(limit):
    whole, rows = x(digits(binarize="static")), digits(limit=limit).rows
    part = digits(binarize="static", limit=limit)
    assert torch.equal(x(part), whole[rows])
    assert torch.equal(part.labels(), digits().labels()[rows])


def test_captions_and_columns_of_a_part_stay_with_their_rows():
    text = [f"row {i}" for i in range(200)]
    info = grey_info().with_field("text", Text())
    columns = {"place": torch.arange(200)}
    grey = ArrayDataset(greys(200), info, "greys", text=text, columns=columns)
    found = prepare(grey, DataConfig(binarize="static", limit=150)).head(150)
    assert found["text"] == [f"row {i}" for i in found["place"].tolist()]
    assert len(found["place"].unique()) == 150
    assert found["place"].tolist() != sorted(found["place"].tolist())


def test_splits_are_drawn_apart():
    splits = {"train": torch.full((100, 9), 0.5), "test": torch.full((100, 9), 0.5)}
    drawn = [x(load_split(Kept(DataConfig(binarize="static"), splits), s)) for s in splits]
    assert not torch.equal(*drawn)


def test_a_dynamic_draw_is_new_at_each_presentation_and_its_generators():
    dataset = digits(binarize="dynamic")
    generator = seeds.generator(0)
    one, two = (dataset.batch(range(20), generator)["x"] for _ in range(2))
    assert not torch.equal(one, two)
    assert torch.equal(one, dataset.batch(range(20), seeds.generator(0))["x"])
    before = torch.get_rng_state()
    dataset.batch(range(20), generator)
    dataset.head(20)
    assert torch.equal(before, torch.get_rng_state())


def test_the_static_draw_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    digits(binarize="static", limit=10)
    assert torch.equal(before, torch.get_rng_state())


def test_binary_data_stay_as_they_are_whatever_is_asked():
    plain = load_dataset("bars-and-stripes")
    for how in ("static", "dynamic", "threshold"):
        assert torch.equal(x(load_dataset("bars-and-stripes", binarize=how)), x(plain))


def test_data_that_are_not_grey_cannot_be_binarised(tmp_path):
    with pytest.raises(DataError, match=r"in \[-inf, inf\], not in \[0, 1\]. Rescale them"):
        load_dataset("ring", num=10, binarize="static")
    np.savez(tmp_path / "a.npz", x=np.array([[0, 16.0]]))
    with pytest.raises(DataError, match=r"Divide by 16\? Give --data.scale 16"):
        load_dataset(str(tmp_path / "a.npz"), binarize="dynamic")


def test_an_unknown_way_is_refused():
    with pytest.raises(ConfigError, match="binarize"):
        digits(binarize="stochastic")


# The limit.


def test_a_limit_draws_rows_by_its_seed():
    dataset = digits(limit=7)
    assert len(dataset) == 7
    assert torch.equal(x(dataset), x(digits())[dataset.rows])
    assert dataset.name == "digits/train (7 of 1500 rows, seed 0)"
    assert len(dataset.head(100)["x"]) == 7
    other = digits(limit=7, limit_seed=4)
    assert not torch.equal(other.rows, dataset.rows)
    assert other.name == "digits/train (7 of 1500 rows, seed 4)"


@pytest.mark.parametrize("limit", [1500, 10**6])
def test_a_limit_that_all_rows_are_within_changes_nothing(limit):
    assert digits(limit=limit).name == "digits/train"
    assert torch.equal(x(digits(limit=limit)), x(digits()))


def test_two_sets_of_one_size_get_limits_of_their_own(tmp_path):
    """So that rows that belong together do not come as pairs to a model of unpaired data."""
    rows = []
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", x=np.arange(200)[:, None] / 200)
        rows.append(load_dataset(str(tmp_path / f"{name}.npz"), limit=50).rows)
    assert not torch.equal(*rows)


def test_a_limit_of_nought_is_refused():
    with pytest.raises(ConfigError, match="limit"):
        digits(limit=0)


# The mean.


class Kept(DataSource):
    """Splits that are handed over, training split first."""

    Config = DataConfig

    def __init__(self, config, splits, mean=None):
        super().__init__(config)
        self.kept, self.mean = splits, mean

    def splits(self):
        return tuple(self.kept)

    def load(self, split):
        info = grey_info().with_mean(self.mean)
        return ArrayDataset(self.kept[split], info, f"kept/{split}")


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_mean_is_the_training_splits_whichever_is_asked_for(split):
    expected = x(digits()).double().mean(0).float()
    torch.testing.assert_close(digits(split).info.mean["x"], expected)
    assert not torch.allclose(x(digits("test")).mean(0), expected, atol=1e-3)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_mean_is_of_the_rows_as_they_are_prepared(split):
    for how in ("static", "threshold"):
        expected = x(digits(binarize=how, limit=200)).mean(0)
        torch.testing.assert_close(digits(split, binarize=how, limit=200).info.mean["x"], expected)
    torch.testing.assert_close(
        digits(split, limit=200).info.mean["x"], x(digits(limit=200)).mean(0)
    )


def test_the_mean_of_a_dynamic_draw_is_its_expectation():
    torch.testing.assert_close(digits(binarize="dynamic").info.mean["x"], digits().info.mean["x"])


def test_a_mean_that_the_source_knows_is_kept():
    known = torch.full((9,), 0.25)
    source = Kept(None, {"train": greys(5)}, known)
    assert torch.equal(load_split(source).info.mean["x"], known)


def test_the_mean_of_many_rows_is_summed_in_float64():
    rows = 1000 + torch.randn(70_000, 9, generator=seeds.generator(0))
    assert torch.equal(grey_dataset(rows).mean(), rows.double().mean(0).float())


# Levels.


def test_greys_are_rounded_to_levels_which_may_be_categories():
    grey = x(digits())
    for split in ("train", "test"):
        data = digits(split, levels=8)
        assert data.info["x"] == Unit(shape=(1, 8, 8), levels=8)
        assert data.name == f"digits/{split} (8 levels)"
        torch.testing.assert_close(data.info.mean["x"], x(digits(levels=8)).mean(0))
    level = (grey * 7 + 0.5).floor()
    assert torch.equal(x(digits(levels=8)), level / 7)
    data = digits(levels=8, space="categorical", limit=100)
    assert data.info["x"] == Categorical(shape=(1, 8, 8), num_categories=8)
    assert torch.equal(x(data), (x(digits(limit=100)) * 7 + 0.5).floor().long())
    assert data.info.mean == {}


def test_bytes_of_a_file_are_rounded_before_they_become_categories(tmp_path):
    rows = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, 0)
    np.save(tmp_path / "bytes.npy", rows)
    data = load_dataset(str(tmp_path / "bytes.npy"), levels=8, space="categorical")
    expected = [(2 * k * 7 + 255) // 510 for k in range(256)]
    assert x(data)[0].flatten().tolist() == expected


def test_what_cannot_be_rounded_is_refused():
    with pytest.raises(DataError, match=r"17 levels.*fewer levels than 18\. Leave --data\.levels"):
        digits(levels=18)
    with pytest.raises(ConfigError, match="rounded to 8 levels or binarised, not both"):
        digits(levels=8, binarize="threshold")
    with pytest.raises(ConfigError, match=r"levels must be in \[2, 65536\], got 1"):
        digits(levels=1)
    letters = DataInfo(fields={"x": Categorical(shape=(1,), num_categories=2)})
    data = ArrayDataset(torch.zeros(3, 1), letters, "letters")
    with pytest.raises(DataError, match=r"^letters: 1: whole.*'binary'\. Leave --data\.binarize"):
        prepare(data, DataConfig(binarize="threshold"))
    with pytest.raises(DataError, match=r"^letters: 1: whole.*rounded to 3 levels\. Leave --data"):
        prepare(data, DataConfig(levels=3))
