"""Streamed shards that are damaged, missing, slow or do not fit: one sentence for each."""

import logging
import pickle
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from genzoo.data import load_dataset, pair
from genzoo.errors import DataError
from genzoo.training.batches import BatchPartition, batches
from shards import (
    folder_of,
    nested,
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


def write_floats(path, rows):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    pq.write_table(pa.table({"x": lists}), path)


def test_each_part_is_converted_as_it_needs(tmp_path):
    """What is off by less than a hundred-thousandth is clipped, in the second shard alone."""
    rows = np.random.default_rng(0).random((8, 3)).astype(np.float32)
    write_floats(tmp_path / "train-0.parquet", rows[:4])
    rows[5, 1] = 1.000002
    write_floats(tmp_path / "train-1.parquet", rows[4:])
    data = stream(tmp_path)
    data.expect([0, 1], [])
    assert torch.equal(data.head(8)["x"], torch.from_numpy(rows).clamp(0, 1))


def test_a_list_that_is_missing_is_named_with_its_row(tmp_path):
    table = pa.table({"x": pa.array([[0.5, 0.2], [0.1, 0.3], None, [0.2, 0.2]])})
    pq.write_table(table, tmp_path / "train-0.parquet")
    with pytest.raises(
        DataError, match=r"the column 'x' of train-0.parquet has no value in row 2"
    ):
        stream(tmp_path)


def damaged(folder, how):
    """Break the second shard of a folder."""
    path = folder / "train-01.parquet"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "missing":
        path.unlink()
    elif how == "column":
        write_parquet(path, 10, 12, label=None)
    elif how == "class":
        label = np.r_[np.zeros(9, int), 7, 0, 0]
        table = pq.read_table(path).set_column(1, "label", pa.array(label))
        pq.write_table(table, path, row_group_size=4, write_statistics=False)
    elif how == "value":
        rows = values(10, 12).astype(np.float32) / 255
        rows[5, 0, 0] = np.nan
        write_parquet(path, 10, 12, x=nested(rows))
    else:
        write_parquet(path, 10, 12, x=nested(np.zeros((12, 3, 3), np.uint8)))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", r"'train-01.parquet' cannot be read as Parquet: .*Write or download it again"),
        ("column", r"'train-01.parquet' has no column 'label', which the first shards have"),
        ("class", r"train-01.parquet has the class 7 in row 9; the first shards have 3 classes"),
        ("value", r"train-01.parquet .*row 5"),
        ("shape", r"train-01.parquet"),
    ],
)
def test_a_shard_that_does_not_fit_is_named_with_its_row(folder, how, said):
    damaged(folder, how)
    with pytest.raises(DataError, match=said):
        read(stream(folder, window_bytes=2**16))


@pytest.mark.parametrize(("how", "said"), [("missing", "is missing"), ("shape", "has changed")])
def test_a_shard_that_changes_while_it_is_read_is_named(folder, how, said):
    data = stream(folder)
    damaged(folder, how)
    with pytest.raises(DataError, match=rf"The shard 'train-01.parquet' {said}"):
        read(data)


def test_a_reader_recovers_when_the_shard_is_repaired(folder):
    data, path = stream(folder), folder / "train-01.parquet"
    kept = folder.parent / "kept"
    shutil.move(path, kept)
    for _ in range(2):
        with pytest.raises(DataError, match="is missing"):
            data.batch(data.order(0).indices(range(36)))
    shutil.move(kept, path)
    assert sorted(read(data)) == list(range(36))


def test_no_shards_and_no_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no shards \(.parquet, .tar, .safetensors\)"):
        stream(tmp_path)
    with pytest.raises(DataError, match="has no split 'test'"):
        stream(folder_of(tmp_path / "train", [3]), "test")
    write_tar(tmp_path / "test-0.tar", [])
    write_parquet(tmp_path / "train-0.parquet", 0, 3)
    with pytest.raises(DataError, match=r"The split 'test' .* is empty"):
        stream(tmp_path, "test")


def test_shards_of_two_formats_are_refused(tmp_path):
    write_parquet(tmp_path / "a.parquet", 0, 3)
    write_safetensors(tmp_path / "b.safetensors", 0, 3)
    with pytest.raises(DataError, match="shards of several formats"):
        stream(tmp_path)


def test_a_compressed_tar_file_is_no_shard(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"Unpack it"):
        load_dataset(str(tmp_path / "*.tar.gz"))


def test_row_groups_larger_than_a_window_are_refused_with_the_budget(tmp_path):
    write_parquet(tmp_path / "train-0.parquet", 0, 9000, group=9000)
    with pytest.raises(DataError, match=r"--data.window-bytes 252000, or write it with smaller"):
        stream(tmp_path, window_bytes=2**17)
    assert len(stream(tmp_path, window_bytes=252000)) == 9000


def test_empty_shards_are_left_out(tmp_path):
    folder = folder_of(tmp_path / "some", [4, 0, 4])
    assert numbers_in(stream(folder).head(8)["x"]).tolist() == list(range(8))


def test_two_domains_may_be_streams(folder, tmp_path):
    other = folder_of(tmp_path / "other", [5, 6])
    both = pair(stream(folder), stream(other))
    shares = BatchPartition(4, 1, 1, 0)
    feed = list(batches(both, shares, seed=1, first=0, last=9))
    assert sorted(torch.cat([numbers_in(b["x"]) for (b,) in feed]).tolist()) == list(range(36))


def test_fewer_shards_than_processes_are_said_with_what_happens(folder, caplog):
    shares = [BatchPartition(10, 1, 5, rank) for rank in range(5)]
    with caplog.at_level(logging.WARNING, "genzoo"):
        feeds = [batches(stream(folder), s, seed=1, first=0, last=3) for s in shares]
        rows = [batch["x"] for feed in zip(*feeds, strict=True) for (batch,) in feed]
    said = [r.getMessage() for r in caplog.records if "processes" in r.getMessage()]
    text = "4 shards for 5 processes: each reads every shard and uses its own rows."
    assert said == [f"shards/train has {text}"]
    right = stream(folder).order(1).indices(range(30)).tolist()
    assert numbers_in(torch.cat(rows)).tolist() == right


@pytest.mark.parametrize("kind", ["numbers", "images"])
def test_a_stream_can_be_sent_to_another_process(folder, tmp_path, kind):
    if kind == "images":
        folder = tmp_path / "images"
        folder.mkdir()
        write_tar(folder / "train-0.tar", [{"png": png(n), "cls": b"1"} for n in range(9)])
    data = stream(folder)
    data.batch([0])  # It has a thread and a lock by now.
    order, again = pickle.loads(pickle.dumps((data.order(1), data)))
    index = order.indices(range(8))
    assert torch.equal(again.batch(index)["x"], data.batch(index)["x"])


def test_a_location_that_is_not_there_has_no_shards(tmp_path):
    with pytest.raises(DataError, match="has no shards"):
        stream(f"{tmp_path}/nothing/")


def test_a_slow_shard_is_named_while_it_is_waited_for(folder, monkeypatch, caplog):
    import threading

    from genzoo.data.streams import reader

    monkeypatch.setattr(reader, "_SLOW", 0.01)
    data, ready = stream(folder), threading.Event()
    plain = type(data.shards[0]).read

    def slow(shard, chunk):
        ready.wait(10)
        return plain(shard, chunk)

    class Handler(logging.Handler):
        def emit(self, record):
            if "Waiting for train-0" in record.getMessage():
                ready.set()

    monkeypatch.setattr(type(data.shards[0]), "read", slow)
    handler = Handler()
    logging.getLogger("genzoo").addHandler(handler)
    try:
        rows = data.batch(data.order(0).indices(range(4)))
    finally:
        logging.getLogger("genzoo").removeHandler(handler)
    assert ready.is_set()
    assert len(rows["x"]) == 4
