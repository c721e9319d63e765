"""genzoo data export: what is written is streamed back equal, and other libraries read it."""

import io
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

import genzoo
from genzoo import cli
from genzoo.data import load_dataset, pair
from genzoo.data.streams.export import export
from genzoo.errors import DataError, GenzooError
from genzoo.spaces import Text

RNG = np.random.default_rng(0)


def command(*words, code=0):
    with pytest.raises(SystemExit) as left:
        cli.main(["data", "export", *map(str, words)])
    assert left.value.code == code


def images(channels):
    rows = RNG.integers(0, 256, (30, channels, 6, 5), dtype=np.uint8)
    return genzoo.as_dataset((rows, ["a", "b", "c"] * 10), name="images")


def fields():
    columns = {
        "x": RNG.integers(0, 256, (30, 6, 5), dtype=np.uint8),
        "label": np.r_[-1, RNG.integers(0, 4, 29)],
        "text": [f"row {i}, ü" for i in range(30)],
        "colour": ["red", "green"] * 15,
        "angle": RNG.normal(size=30).astype(np.float32),
    }
    return genzoo.as_dataset(columns, name="fields")


CASES = {
    "grey levels": lambda: load_dataset("digits"),
    "23 levels": lambda: genzoo.as_dataset(np.arange(69).reshape(23, 3) % 23, space="unit"),
    "grey images": lambda: images(1),
    "colour images": lambda: images(3),
    "real": lambda: genzoo.as_dataset(RNG.normal(size=(30, 3)).astype(np.float32)),
    "unit": lambda: genzoo.as_dataset(RNG.random((30, 2, 3)).astype(np.float32)),
    "binary": lambda: load_dataset("digits", "test", binarize="threshold"),
    "categories": lambda: genzoo.as_dataset(RNG.integers(0, 300, (40, 7)), space="categorical"),
    "fields": fields,
}


def equal(first, second):
    rows = [data.batch(range(len(data))) for data in (first, second)]
    assert rows[0].keys() == rows[1].keys()
    for name, values in rows[0].items():
        other = rows[1][name]
        if isinstance(values, torch.Tensor):
            assert values.dtype == other.dtype
            assert torch.equal(values, other), name
        else:
            assert list(values) == list(other)


@pytest.mark.parametrize("kind", ["parquet", "webdataset"])
@pytest.mark.parametrize("case", CASES)
def test_rows_and_spaces_that_are_streamed_back_are_equal(tmp_path, case, kind):
    data = CASES[case]()
    shards = export({"train": data}, tmp_path / "shards", kind, len(data) // 3 + 1)
    assert len(shards) == 3
    back = load_dataset(tmp_path / "shards", streaming=True)
    assert back.info.fields == data.info.fields
    equal(data, back)


def test_datasets_reads_the_parquet_with_classes_and_images(tmp_path):
    data = images(3)
    export({"train": data}, tmp_path / "shards", "parquet", 20)
    rows = datasets.load_dataset(str(tmp_path / "shards"), cache_dir=str(tmp_path / "c"))["train"]
    assert rows.features["label"].names == ["a", "b", "c"]
    picture = np.asarray(rows[29]["x"]).transpose(2, 0, 1)
    assert np.array_equal(picture, (data[29]["x"] * 255).round().numpy())


def test_samples_of_the_tar_file_lie_side_by_side(tmp_path):
    (path,) = export({"train": fields()}, tmp_path / "shards", "webdataset", 100)
    with tarfile.open(path) as tar:
        names = tar.getnames()
        content = tar.extractfile("train-000000003.npy").read()
    first = [name.partition(".")[2] for name in names[:5]]
    assert sorted(first) == ["angle.npy", "cls", "colour.cls", "npy", "txt"]
    assert [name.partition(".")[0] for name in names] == [
        f"train-{row:09d}" for row in range(30) for _ in range(5)
    ]
    assert np.load(io.BytesIO(content)).dtype == np.uint8


def test_the_command_writes_shards_and_a_card(tmp_path, capsys):
    folder = tmp_path / "shards"
    command("digits", "--output", folder, "--shard-rows", 500)
    said = capsys.readouterr().out
    assert said.startswith(f"1797 rows are in 4 shards in {folder}. Next steps:")
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "README.md",
        "genzoo-data.json",
        "test-00000-of-00001.parquet",
        *(f"train-{shard:05d}-of-00003.parquet" for shard in range(3)),
    ]
    card = Path(folder, "README.md").read_text()
    assert "| train | 1500 |" in card
    assert "Handwritten digits" in card
    assert "--data.streaming" in card
    command("digits", "--output", folder, code=2)
    assert "exists. Give another folder" in capsys.readouterr().err


def test_one_split_in_the_other_format(tmp_path):
    folder = tmp_path / "shards"
    command("digits", "--output", folder, "--split", "test", "--format", "webdataset")
    shards = [path.name for path in folder.glob("*.tar")]
    assert shards == ["test-00000-of-00001.tar"]
    equal(load_dataset("digits", "test"), load_dataset(folder, "test", streaming=True))


def test_two_domains_are_exported_one_by_one(tmp_path):
    both = pair(load_dataset("digits"), load_dataset("digits", "test"))
    with pytest.raises(DataError, match="Export each of them by itself"):
        export({"train": both}, tmp_path / "shards", "parquet", 10)
    assert not (tmp_path / "shards").exists()


def test_a_folder_that_exists_is_left_as_it_is(tmp_path):
    with pytest.raises(GenzooError, match="exists"):
        export({"train": images(1)}, tmp_path, "parquet", 10)


def test_captions_are_stored_with_their_templates(tmp_path):
    data = load_dataset("digits", "test", captions=True)
    export({"test": data}, tmp_path / "shards", "parquet", 100)
    back = load_dataset(tmp_path / "shards", "test", streaming=True)
    assert isinstance(back.info["text"], Text)
    assert back.info["text"] == data.info["text"]
    assert all(isinstance(text, str) for text in back.head(3)["text"])


@pytest.mark.parametrize("content", ["{", '{"version": 9}', '{"version": 1, "fields": {"x": 3}}'])
def test_a_damaged_sheet_is_one_sentence(tmp_path, content):
    export({"train": images(1)}, tmp_path / "shards", "parquet", 10)
    Path(tmp_path, "shards", "genzoo-data.json").write_text(content)
    with pytest.raises(DataError, match=r"genzoo-data.json' cannot be read: .*Export"):
        load_dataset(tmp_path / "shards", streaming=True)


def test_shards_that_are_read_without_streaming_are_refused_with_the_flag(tmp_path):
    export({"train": images(1)}, tmp_path / "shards", "parquet", 10)
    with pytest.raises(DataError, match=r"which are streamed\. Give --data\.streaming"):
        load_dataset(str(tmp_path / "shards"))
