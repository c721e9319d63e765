"""Shards at URLs and on the Hub: fetched once into a cache with a budget, with logged retries."""

import logging
import types

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from genzoo.data import find_source, load_dataset
from genzoo.data.streams import disk
from genzoo.data.streams.export import export
from genzoo.data.streams.locations import find_shards
from genzoo.errors import DataError
from shards import folder_of, numbers_in, write_safetensors


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Shards in a store in memory, whose requests are noted; return its URL and the requests."""
    monkeypatch.setattr(disk, "DELAYS", (0.0, 0.0))
    local = folder_of(tmp_path / "local", [10, 12, 6, 8])
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    store.put(str(local), "/shards", recursive=True)
    fetched = []
    plain = MemoryFileSystem.get_file

    def get_file(self, path, target, **options):
        fetched.append(path.rpartition("/")[2])
        plain(self, path, target, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    yield "memory://shards", fetched
    store.store.clear()


def opened(url, tmp_path, **config):
    return load_dataset(url, cache_dir=str(tmp_path / "cache"), **config)


def test_shards_at_a_url_are_those_of_the_folder(remote, tmp_path):
    url, fetched = remote
    for location in (url, f"{url}/*.parquet", f"{url}/train-{{00..03}}.parquet"):
        assert find_source(location)[0].__name__ == "Stream"
        data = opened(location, tmp_path)
        assert numbers_in(data.head(36)["x"]).tolist() == list(range(36))
        assert data.order(1).indices(range(9)).tolist() == (
            load_dataset(tmp_path / "local", streaming=True).order(1).indices(range(9)).tolist()
        )
    # Parquet is counted from the ends of files; each is fetched once, in three openings.
    assert sorted(fetched) == [f"train-{shard:02d}.parquet" for shard in range(4)]


def test_only_the_first_shards_are_fetched_at_the_start(remote, tmp_path):
    url, fetched = remote
    assert len(opened(url, tmp_path)) == 36
    assert fetched == ["train-00.parquet"]


def test_shards_that_need_all_of_a_file_are_counted_once(remote, tmp_path):
    _, fetched = remote
    store = fsspec.filesystem("memory")
    for shard in range(2):
        write_safetensors(tmp_path / "a.safetensors", 5 * shard, 5)
        store.put(str(tmp_path / "a.safetensors"), f"/more/train-{shard}.safetensors")
    for _ in range(2):
        assert len(opened("memory://more", tmp_path, cache_bytes=0)) == 10
    # What is not kept for long is fetched again to be read, not to be counted.
    assert fetched.count("train-1.safetensors") == 1


def test_the_cache_keeps_its_budget_and_what_was_used_last(remote, tmp_path):
    url, fetched = remote
    size = (tmp_path / "local" / "train-00.parquet").stat().st_size
    data = opened(url, tmp_path, cache_bytes=int(2.5 * size), window_bytes=2**16)
    for first in (0, 10, 22, 28):
        data.batch([first])
        kept = [p for p in (tmp_path / "cache").iterdir() if p.suffix == ".parquet"]
        assert sum(path.stat().st_size for path in kept) <= 2.5 * size
    assert len(kept) == 2
    assert len(fetched) == 4


def test_a_request_is_tried_again_and_each_try_is_logged(remote, tmp_path, monkeypatch, caplog):
    url, _ = remote
    plain, left = MemoryFileSystem.get_file, [2]

    def failing(self, path, target, **options):
        if left[0]:
            left[0] -= 1
            raise ConnectionResetError("the peer went away")
        plain(self, path, target, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", failing)
    with caplog.at_level(logging.WARNING, "genzoo"):
        assert len(opened(url, tmp_path)) == 36
    said = [r.getMessage() for r in caplog.records if "Trying again" in r.getMessage()]
    text = "memory:///shards/train-00.parquet: the peer went away. Trying again in 0 s."
    assert said == [text, text]


def test_the_last_try_is_one_sentence(remote, tmp_path, monkeypatch):
    url, _ = remote

    def failing(self, path, target, **options):
        raise TimeoutError("no answer")

    monkeypatch.setattr(MemoryFileSystem, "get_file", failing)
    with pytest.raises(DataError, match=r"cannot be read: no answer. That was try 3;.* resumed"):
        opened(url, tmp_path)


def test_a_shard_that_arrives_cut_is_not_kept(remote, tmp_path, monkeypatch):
    url, _ = remote
    plain = MemoryFileSystem.get_file

    def cut(self, path, target, **options):
        plain(self, path, target, **options)
        with open(target, "r+b") as file:
            file.truncate(100)

    monkeypatch.setattr(MemoryFileSystem, "get_file", cut)
    with pytest.raises(DataError, match="it was cut: 100 of"):
        opened(url, tmp_path)
    assert not [p for p in (tmp_path / "cache").iterdir() if p.suffix == ".parquet"]


def test_a_missing_shard_is_said_at_once(remote, tmp_path, caplog):
    url, _ = remote
    with pytest.raises(DataError, match=r"'train-99.parquet' is missing"):
        opened(f"{url}/train-99.parquet", tmp_path)
    assert "Trying again" not in caplog.text


def test_a_url_of_an_unknown_kind_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"'nosuch://a/b.parquet' cannot be opened"):
        opened("nosuch://a/b.parquet", tmp_path)


def test_spaces_are_stated_next_to_remote_shards_too(remote, tmp_path):
    digits = load_dataset("digits")
    export({"train": digits}, tmp_path / "digits", "parquet", 500)
    fsspec.filesystem("memory").put(str(tmp_path / "digits"), "/digits", recursive=True)
    data = opened("memory://digits", tmp_path)
    assert data.info.fields == digits.info.fields
    assert (data.head(1500)["x"] == digits.head(1500)["x"]).all()


@pytest.fixture
def on_hub(hub, tmp_path):
    folder = tmp_path / "digits"
    splits = {split: load_dataset("digits", split) for split in ("train", "test")}
    export(splits, folder, "parquet", 500)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return hub.put("datasets/ada/digits", files)


def test_a_repository_is_streamed_at_its_commit(on_hub, tmp_path):
    commit = on_hub
    data = load_dataset("ada/digits", streaming=True, cache_dir=str(tmp_path / "cache"))
    digits = load_dataset("digits")
    assert (len(data), data.name) == (1500, "ada/digits/train")
    assert data.info.fields == digits.info.fields
    assert (data.batch([1499, 3])["x"] == digits.batch([1499, 3])["x"]).all()
    assert all(commit in shard.location for shard in data.shards)
    test = load_dataset("ada/digits", "test", streaming=True, cache_dir=str(tmp_path / "cache"))
    assert len(test) == 297


def test_a_repository_without_shards_is_refused(hub, tmp_path):
    hub.put("datasets/ada/empty", {"README.md": b"# nothing"})
    with pytest.raises(DataError, match="ada/empty"):
        load_dataset("ada/empty", streaming=True, cache_dir=str(tmp_path / "cache"))


def test_subset_and_revision_are_passed_on(monkeypatch):
    import datasets

    from genzoo.data.streams.config import StreamConfig

    asked = []

    def builder(*args, **options):
        asked.append((args, options))
        files = {"test": ["hf://d/test-0.parquet"], "train": ["hf://d/train-0.parquet"]}
        return types.SimpleNamespace(config=types.SimpleNamespace(data_files=files))

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    found, _ = find_shards("ada/x", StreamConfig(subset="small", revision="v1"))
    assert asked == [(("ada/x", "small"), {"revision": "v1"})]
    assert list(found) == ["train", "test"]
