"""What the package `datasets` holds or wrote: in memory, save_to_disk, Parquet with features."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import as_dataset, find_source, load_dataset
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Label, Unit

datasets = pytest.importorskip("datasets")

NUMBERS = {
    "v": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.75]],
    "kind": ["b", None, "a"],
    "big": [2**53 + 1, 0, 1],
}
FEATURES = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}


def numbers():
    return datasets.Dataset.from_dict(NUMBERS)


def pictures(num=4):
    images = [Image.new("RGB", (4, 3), (10 * i, 0, 0)) for i in range(num)]
    columns = {"image": images, "label": [i % 2 for i in range(num)]}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(FEATURES))


def everything(dataset):
    return dataset.batch(range(len(dataset)))


# In memory.


def test_rows_of_numbers_are_columns():
    dataset = as_dataset(numbers(), label="kind", drop=["big"])
    torch.testing.assert_close(everything(dataset)["x"], torch.tensor(NUMBERS["v"]))
    assert everything(dataset)["label"].tolist() == [1, -1, 0]
    assert dataset.info["label"].names == ("a", "b")


def test_selected_and_formatted_rows_are_those_that_are_seen():
    rows = numbers().select([2, 0]).with_format("torch")
    dataset = as_dataset(rows, label="kind")
    torch.testing.assert_close(everything(dataset)["x"], torch.tensor([[0.5, 0.75], [0.1, 0.2]]))
    assert everything(dataset)["label"].tolist() == [0, 1]
    (note,) = dataset.notes
    assert note.startswith("'big' is left out: ")


def test_features_give_shapes_and_names_of_classes():
    features = datasets.Features(
        x=datasets.Array2D((2, 2), "float32"), y=datasets.ClassLabel(names=["no", "yes", "maybe"])
    )
    x = np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float32)
    rows = datasets.Dataset.from_dict({"x": x, "y": [1, 0, 1]}, features=features)
    dataset = as_dataset(rows)
    assert torch.equal(everything(dataset)["x"], torch.from_numpy(x))
    assert dataset.info["label"] == Label(num_classes=3, names=("no", "yes", "maybe"))
    assert everything(dataset)["label"].tolist() == [1, 0, 1]


def test_rows_with_a_transform_are_read_item_by_item():
    rows = numbers().with_transform(lambda batch: {"x": [np.array(v) * 2 for v in batch["v"]]})
    torch.testing.assert_close(everything(as_dataset(rows))["x"], 2 * torch.tensor(NUMBERS["v"]))


def test_rows_with_images_are_images():
    dataset = as_dataset(pictures())
    assert dataset.info["x"] == Unit(shape=(3, 3, 4), levels=256)
    assert dataset.info["label"].names == ("cat", "dog")
    assert dataset[3]["x"][0, 0, 0] == 30 / 255


def test_what_images_do_not_take_is_refused():
    with pytest.raises(ConfigError, match="leave label and space out"):
        as_dataset(pictures(), label=[0, 1, 0, 1], space="unit")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: datasets.DatasetDict(a=numbers(), b=numbers()),
            r"the splits 'a', 'b'.*data\['a'\]",
        ),
        (lambda: numbers().to_iterable_dataset(), "is streamed"),
        (lambda: numbers().select([]), "is empty"),
        (lambda: datasets.Dataset.from_dict({"text": ["a", "b"]}), "has no column to model"),
        (lambda: datasets.Dataset.from_dict({"v": [[1.5], [1.0, 2.0]]}), "'v' of .* in row 0"),
    ],
)
def test_other_rows_are_answered_in_a_sentence(make, message):
    with pytest.raises(DataError, match=message):
        as_dataset(make())


# On a disk.


def test_a_saved_folder_is_its_rows(tmp_path):
    numbers().save_to_disk(tmp_path / "one")
    dataset = load_dataset(tmp_path / "one", label_column="kind", drop=["big"])
    torch.testing.assert_close(everything(dataset)["x"], torch.tensor(NUMBERS["v"]))
    assert everything(dataset)["label"].tolist() == [1, -1, 0]
    assert (dataset.name, dataset.split) == ("one", "train")


def test_saved_splits_share_classes_and_the_training_split_is_first(tmp_path):
    other = datasets.Dataset.from_dict({"v": [[0.5, 0.25]], "kind": ["c"]})
    both = datasets.DatasetDict(test=other, train=numbers().remove_columns("big"))
    both.save_to_disk(tmp_path / "two")
    train = load_dataset(tmp_path / "two", label_column="kind")
    test = load_dataset(tmp_path / "two", None, label_column="kind")
    assert train.info["label"].names == test.info["label"].names == ("a", "b", "c")
    assert everything(test)["label"].tolist() == [2]
    with pytest.raises(DataError, match="no split 'valid'"):
        load_dataset(tmp_path / "two", "valid")


def test_saved_images_are_images_and_are_read_as_the_config_says(tmp_path):
    pictures().save_to_disk(tmp_path / "pictures")
    dataset = load_dataset(tmp_path / "pictures")
    assert dataset.info["x"] == Unit(shape=(3, 3, 4), levels=256)
    assert dataset.info["label"].names == ("cat", "dog")
    small = load_dataset(tmp_path / "pictures", size=2, mode="L", drop=["label"])
    assert small.info.fields == {"x": Unit(shape=(1, 2, 2), levels=256)}


def test_parquet_with_features_is_read_with_them(tmp_path):
    pictures().to_parquet(str(tmp_path / "p.parquet"))
    dataset = load_dataset(tmp_path / "p.parquet")
    assert dataset.info["x"] == Unit(shape=(3, 3, 4), levels=256)
    assert everything(dataset)["label"].tolist() == [0, 1, 0, 1]
    assert dataset.info["label"].names == ("cat", "dog")


def test_a_clone_of_a_repository_of_the_hub_has_its_splits(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    pictures(4).to_parquet(str(data / "train-00000-of-00002.parquet"))
    pictures(3).to_parquet(str(data / "train-00001-of-00002.parquet"))
    pictures(2).to_parquet(str(data / "test-00000-of-00001.parquet"))
    (tmp_path / "README.md").write_text("about")
    assert len(load_dataset(tmp_path)) == 7
    assert len(load_dataset(tmp_path, None)) == 2


def test_what_a_folder_holds_decides_the_source(tmp_path):
    numbers().save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=numbers()).save_to_disk(tmp_path / "two")
    numbers().to_parquet(str(tmp_path / "a.parquet"))
    numbers().to_pandas()[["big"]].to_parquet(tmp_path / "b.parquet")
    found = {p.name: find_source(p)[0].__name__ for p in tmp_path.iterdir()}
    assert found == {"one": "Saved", "two": "Saved", "a.parquet": "Saved", "b.parquet": "Tables"}


def damage_state(folder):
    (folder / "state.json").write_text("{")


def damage_info(folder):
    (folder / "dataset_info.json").write_text("[]")


def damage_fields(folder):
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": 3}]}))


def damage_rows(folder):
    (rows,) = folder.glob("*.arrow")
    rows.write_bytes(rows.read_bytes()[:50])


def damage_gone(folder):
    (rows,) = folder.glob("*.arrow")
    rows.unlink()


@pytest.mark.parametrize(
    "damage", [damage_state, damage_info, damage_fields, damage_rows, damage_gone]
)
def test_a_damaged_folder_is_a_sentence(tmp_path, damage):
    numbers().save_to_disk(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=r"cannot be read: .* Write it again with save_to_disk"):
        load_dataset(tmp_path)
