"""Streamed shards: their rows are those of whole data."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import genzoo
from genzoo.data import find_source, keep_labels, load_dataset, subset
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Real, Text, Unit
from genzoo.training.batches import BatchPartition, batches
from shards import (
    SHAPE,
    folder_of,
    numbers_in,
    png,
    read,
    stream,
    values,
    write_parquet,
    write_safetensors,
    write_tar,
)


@pytest.fixture
def folder(tmp_path):
    return folder_of(tmp_path / "shards", [10, 12, 6, 8])


def test_rows_are_those_of_the_array_in_every_field(folder):
    data = stream(folder)
    x = np.concatenate([values(0, 36)])
    whole = genzoo.as_dataset((x, np.arange(36) % 3))
    assert data.info.fields == whole.info.fields
    assert (len(data), data.split, data.name) == (36, "train", "shards/train")
    index = [35, 0, 10, 9, 22, 22]
    rows, right = data.batch(index), whole.batch(index)
    assert torch.equal(rows["x"], right["x"])
    assert rows["label"].tolist() == right["label"].tolist()
    assert not data.draws
    assert data.batch([])["x"].shape == (0, 1, *SHAPE)
    assert numbers_in(torch.stack([row["x"] for row in data])).tolist() == list(range(36))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_reads_each_row_once_an_epoch_whoever_reads(folder, num_workers):
    data = stream(folder, window_bytes=2**16)
    rows = read(data, num_workers=num_workers)
    assert sorted(rows) == list(range(36))
    assert rows == data.order(1).indices(range(36)).tolist()


def test_a_process_holds_two_windows_and_reads_each_chunk_once_an_epoch(tmp_path, monkeypatch):
    folder = folder_of(tmp_path / "many", [4000] * 6, group=500)
    data = stream(folder, window_bytes=2**16)
    most, chunks = 0, len(data.chunks.rows)
    read_ones = []
    plain = type(data.shards[0]).read

    def counted(shard, chunk):
        read_ones.append((shard.name, chunk))
        return plain(shard, chunk)

    monkeypatch.setattr(type(data.shards[0]), "read", counted)
    reader = data._reader
    expect = reader.expect

    def measured(now, later):
        nonlocal most
        expect(now, later)
        held = {*reader._held, *reader._ahead}
        most = max(most, sum(int(data.chunks.num_bytes[chunk]) for chunk in held))

    monkeypatch.setattr(reader, "expect", measured)
    shares = BatchPartition(100, 1, 1, 0)
    for (_,) in batches(data, shares, seed=0, first=0, last=240):
        pass
    assert 2**15 < most <= 2**16
    assert len(set(read_ones[:chunks])) == chunks


def test_rows_in_any_order_keep_the_budget(tmp_path):
    data = stream(folder_of(tmp_path / "many", [4000] * 6, group=500), window_bytes=2**16)
    for first in range(0, 24000, 1500):
        assert numbers_in(data.batch([first, 23999 - first])["x"]).tolist() == [
            first,
            23999 - first,
        ]
        held = sum(int(data.chunks.num_bytes[chunk]) for chunk in data._reader._held)
        assert held <= 2**16


def test_the_first_shards_decide_the_kind_and_the_ends_of_files_the_classes(tmp_path):
    folder = folder_of(tmp_path / "sorted", [8, 8])
    for shard in (0, 1):
        label = np.full(8, 4 * shard)
        write_parquet(folder / f"train-{shard:02d}.parquet", 8 * shard, 8, label=label)
    data = stream(folder)
    assert data.info["label"].num_classes == 5
    assert data.batch([0, 15])["label"].tolist() == [0, 4]
    assert "8 of the 16 rows of 'train' decide their kind" in data.notes[0]


def test_shards_without_the_name_of_a_split_are_read_alone_and_named_next_to_others(tmp_path):
    folder = folder_of(tmp_path / "some", [8, 8])
    write_parquet(folder / "more.parquet", 16, 8, label=np.zeros(8, int))
    data = stream(folder)
    assert len(data) == 16
    assert "no split has the rows of more.parquet." in data.notes


def test_means_and_draws_are_of_the_first_shards(folder):
    data = stream(folder)
    assert torch.allclose(data.info.mean["x"], data.batch(range(10))["x"].mean(0))
    wide = stream(folder, first_shards=2)
    assert torch.allclose(wide.info.mean["x"], wide.batch(range(22))["x"].mean(0))
    some = subset(data, 8, seed=3)
    assert len(set(numbers_in(some.head(8)["x"]).tolist()) & set(range(10))) == 8
    assert some.how == "among the first rows"
    more = numbers_in(subset(data, 20, seed=3).head(20)["x"]).tolist()
    assert len(set(more)) == 20
    assert max(more) < 24  # In as many chunks as are needed.
    assert numbers_in(subset(data, 99).head(99)["x"]).tolist() == list(range(36))


def test_large_first_shards_are_looked_at_in_evenly_spaced_parts(tmp_path):
    folder = folder_of(tmp_path / "large", [8000, 8000], group=100)
    data = stream(folder, window_bytes=2**16, first_shards=2)
    rows = data.first_rows()
    assert rows[0] == 0
    assert rows[-1] == 15999
    assert len(rows) * 14 <= 2**16 // 8


def test_binarisation_captions_and_levels_wrap_as_ever(tmp_path):
    folder = folder_of(tmp_path / "shards", [])
    for shard in range(3):
        kind = pa.array(["cat", "dog", "emu"] * 4)
        write_parquet(folder / f"train-{shard}.parquet", 12 * shard, 12, label=None, kind=kind)
    data = stream(folder, binarize="dynamic", captions=True, label_column="kind")
    assert data.info["x"].describe().endswith("zeros and ones")
    assert isinstance(data.info["text"], Text)
    batch = data.head(2)
    assert set(batch["x"].unique().tolist()) <= {0.0, 1.0}
    assert len(batch["text"]) == 2
    assert data.order(0).indices(range(36)).tolist() != list(range(36))
    assert data.identity()["shards"]
    assert stream(folder, levels=2).info["x"] == Unit(shape=(1, *SHAPE), levels=2)


def test_a_named_space_holds_for_all_shards(tmp_path):
    for shard, most in enumerate((5, 9)):
        rows = np.random.default_rng(0).integers(0, most + 1, (20, 3))
        rows[0] = most
        pq.write_table(
            pa.table({"x": pa.array(rows.tolist(), pa.list_(pa.int64()))}),
            tmp_path / f"train-{shard}.parquet",
        )
    with pytest.raises(DataError, match=r"row 0.*|9"):
        stream(tmp_path, space="categorical").batch([20])
    data = stream(tmp_path, space="categorical", first_shards=2)
    assert data.info["x"].num_values == 10
    assert int(data.batch([20])["x"].max()) == 9


def test_splits_are_named_by_files_and_by_folders(tmp_path):
    folder_of(tmp_path / "train", [4, 4], split="part")
    folder_of(tmp_path / "validation", [4], split="part")
    write_parquet(tmp_path / "test-00000-of-00001.parquet", 0, 5, label=None)
    data = stream(tmp_path)
    assert (len(data), len(stream(tmp_path, "val")), len(stream(tmp_path, "test"))) == (8, 4, 5)
    assert "label" in data.info
    assert "label" not in stream(tmp_path, "test").info  # A test set may lack the answers.
    assert stream(tmp_path, "test").info["x"] == data.info["x"]


def test_the_last_shards_are_held_out(folder):
    train, held = stream(folder, valid_shards=2), stream(folder, "held-out", valid_shards=2)
    assert numbers_in(train.head(99)["x"]).tolist() == list(range(22))
    assert numbers_in(held.head(99)["x"]).tolist() == list(range(22, 36))
    assert held.info.fields == train.info.fields
    with pytest.raises(DataError, match="4 shards to train on, so 4 cannot be held out"):
        stream(folder, valid_shards=4)


@pytest.mark.parametrize(
    ("values_", "remedy"),
    [
        ({"limit": 5}, "fewer shards"),
        ({"valid_fraction": 0.1}, "--data.valid-shards N"),
        ({"labelled": 3}, "labels of −1"),
        ({"binarize": "static"}, "dynamic or threshold"),
    ],
)
def test_what_draws_among_all_rows_is_refused_with_what_to_use(folder, values_, remedy):
    with pytest.raises(ConfigError, match=remedy):
        stream(folder, **values_)


def test_labels_of_a_stream_cannot_be_kept_by_a_draw_among_all(folder):
    with pytest.raises(DataError, match="needs the labels of all rows"):
        keep_labels(stream(folder), 3)


def test_patterns_and_ranges_name_shards(folder, tmp_path, monkeypatch):
    assert len(load_dataset(str(folder / "train-0[01].parquet"))) == 22
    assert len(load_dataset(str(folder / "train-{01..03}.parquet"))) == 26
    assert len(stream(folder / "train-02.parquet")) == 6
    assert find_source(f"{folder}/*.parquet")[0].__name__ == "Stream"
    assert find_source(str(folder))[0].__name__ == "Tables"
    with pytest.raises(DataError, match="'digits' has no shards to stream"):
        load_dataset("digits", streaming=True)
    monkeypatch.chdir(tmp_path)
    odd = folder_of(tmp_path / "a[1]", [4])  # A folder of that name is a folder.
    assert find_source(str(odd))[0].__name__ == "Tables"


def test_formats_have_the_same_rows(tmp_path):
    whole = values(0, 8)
    write_safetensors(tmp_path / "a-0.safetensors", 0, 5)
    write_safetensors(tmp_path / "a-1.safetensors", 5, 3)
    npy = [{"npy": saved(row), "cls": str(n % 3).encode()} for n, row in enumerate(whole)]
    write_tar(tmp_path / "b-0.tar", npy[:5])
    write_tar(tmp_path / "b-1.tar", npy[5:])
    right = genzoo.as_dataset((whole, np.arange(8) % 3))
    for pattern in ("a-*.safetensors", "b-*.tar"):
        data = load_dataset(str(tmp_path / pattern))
        assert data.info.fields == right.info.fields
        assert torch.equal(data.head(8)["x"], right.head(8)["x"])
        assert data.head(8)["label"].tolist() == right.head(8)["label"].tolist()


def saved(row):
    import io

    file = io.BytesIO()
    np.save(file, row)
    return file.getvalue()


def test_images_of_tar_files_have_labels_and_captions(tmp_path):
    samples = [
        {"png": png(10 * n), "cls": str(n % 2).encode(), "txt": f"row {n}".encode()}
        for n in range(6)
    ]
    write_tar(tmp_path / "train-0.tar", samples[:3])
    write_tar(tmp_path / "train-1.tar", samples[3:])
    data = stream(tmp_path)
    assert data.info["x"] == Unit(shape=(1, 3, 4), levels=256)
    batch = data.batch([4, 1])
    assert (batch["x"][:, 0, 0, 0] * 255).tolist() == pytest.approx([40, 10])
    assert batch["label"].tolist() == [0, 1]
    assert batch["text"] == ["row 4", "row 1"]
    assert data.needs_workers(6)
    write_tar(tmp_path / "train-1.tar", [*samples[3:5], {**samples[5], "png": png(1, (5, 5))}])
    with pytest.raises(DataError, match=r"row 2 of train-1.tar has 5 × 5 pixels"):
        stream(tmp_path).batch([5])
    write_tar(tmp_path / "train-1.tar", [*samples[3:5], {**samples[5], "png": b"no image"}])
    with pytest.raises(DataError, match=r"row 2 of train-1.tar.* cannot be read as an image"):
        stream(tmp_path).batch([5])


def test_tables_are_read_as_tables(tmp_path):
    rng = np.random.default_rng(0)
    for shard in range(2):
        columns = {"a": rng.normal(size=9), "b": rng.normal(size=9), "kind": ["u", "v", "w"] * 3}
        pq.write_table(pa.table(columns), tmp_path / f"part-{shard}.parquet", row_group_size=2)
    data = stream(tmp_path, label_column="kind")
    assert data.info["x"] == Real(shape=(2,))
    assert data.info["label"].value_names() == ("u", "v", "w")
    assert data.batch([17, 0])["label"].tolist() == [2, 0]
