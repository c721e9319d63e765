"""Every fetched file is held against what the Hub states: no damage gets by."""

import logging
import os
import random

import pytest

from folders import machine
from genzoo import GenModel
from genzoo.errors import HubIntegrityError, HubOfflineError
from genzoo.hub import retry
from genzoo.hub.file_metadata import Stated
from genzoo.hub.integrity import Record
from hub_server import Fault
from hubs import REPOSITORY, WEIGHTS, asked, fetched, put_machine, same


@pytest.fixture
def cached(hub, tmp_path):
    """A machine that has been loaded once: the model, its commit, and its folder in the cache."""
    model, sha = put_machine(hub, tmp_path)
    GenModel.from_pretrained(REPOSITORY)
    hub.requests.clear()
    return model, sha, fetched(sha)


def damage(path, position=-1, bit=0):
    """Flip one bit of a file of the cache, behind its links."""
    path = path.resolve()
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def last_byte_flipped(hub):
    """A fault behind the header, which is asked for first, and by itself."""
    return Fault(corrupt=len(hub.files(REPOSITORY)[WEIGHTS]) - 1)


def fetches(hub, name=WEIGHTS):
    return [r for r in asked(hub, method="GET", path=name) if not r.range]


def test_a_damaged_file_of_the_cache_is_named_and_fetched_again(hub, cached, caplog):
    model, sha, folder = cached
    damage(folder / WEIGHTS)
    with caplog.at_level(logging.WARNING):
        assert same(GenModel.from_pretrained(REPOSITORY, revision=sha), model)
    assert "model.safetensors is damaged or truncated. Fetching it again." in caplog.text
    assert len(fetches(hub)) == 1


@pytest.mark.parametrize("size", [0, 7, 100])
def test_a_file_that_is_cut_short_in_the_cache_is_fetched_again(size, hub, cached):
    model, sha, folder = cached
    os.truncate((folder / WEIGHTS).resolve(), size)
    assert same(GenModel.from_pretrained(REPOSITORY, revision=sha), model)


def test_a_damaged_config_is_fetched_again(hub, cached):
    model, sha, folder = cached
    damage(folder / "config.json", position=20)
    assert same(GenModel.from_pretrained(REPOSITORY, revision=sha), model)


def test_a_file_that_is_unchanged_is_not_read_again_unless_asked(hub, cached, monkeypatch):
    _, sha, _ = cached
    read = []
    whole = Stated.holds_for
    monkeypatch.setattr(Stated, "holds_for", lambda s, path: read.append(path) or whole(s, path))
    GenModel.from_pretrained(REPOSITORY, revision=sha)
    assert read == []
    GenModel.from_pretrained(REPOSITORY, revision=sha, verify=True)
    assert {path.name for path in read} == {"config.json", WEIGHTS}


def test_verify_finds_damage_that_left_size_and_time_as_they_were(hub, cached):
    model, sha, folder = cached
    path = (folder / WEIGHTS).resolve()
    before = path.stat()
    damage(folder / WEIGHTS)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not same(GenModel.from_pretrained(REPOSITORY, revision=sha), model)
    assert same(GenModel.from_pretrained(REPOSITORY, revision=sha, verify=True), model)


def test_what_verify_found_damaged_stays_so_for_later_loads(hub, cached, monkeypatch):
    """Offline nothing mends it, and no load may take it for what was checked once."""
    _, sha, folder = cached
    path = (folder / WEIGHTS).resolve()
    before = path.stat()
    damage(folder / WEIGHTS)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for verify in (True, False):
        with pytest.raises(HubIntegrityError, match="is damaged"):
            GenModel.from_pretrained(REPOSITORY, revision=sha, verify=verify)


def test_damage_on_the_way_is_mended_by_a_second_fetch(hub, tmp_path):
    model, _ = put_machine(hub, tmp_path)
    hub.fault(last_byte_flipped(hub), path="safetensors|lfs", times=1)
    assert same(GenModel.from_pretrained(REPOSITORY), model)


def test_what_is_damaged_at_each_fetch_is_an_error_that_names_it(hub, tmp_path):
    put_machine(hub, tmp_path)
    hub.fault(last_byte_flipped(hub), path="safetensors|lfs", times=100)
    with pytest.raises(HubIntegrityError, match=r"model\.safetensors of ada/tiny .* also after"):
        GenModel.from_pretrained(REPOSITORY)


def test_damage_is_named_when_requests_are_switched_off(hub, cached, monkeypatch):
    _, sha, folder = cached
    damage(folder / WEIGHTS)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubIntegrityError, match="offline: HF_HUB_OFFLINE is set"):
        GenModel.from_pretrained(REPOSITORY, revision=sha)


def test_the_record_survives_being_damaged(hub, cached):
    model, sha, folder = cached
    record = folder.parent.parent / "genzoo" / f"{sha}.json"
    brackets = ("{" * 10**5, "[" * 10**5, '{"commit": {"files":' + "[" * 10**5)
    for text in ("", "[]", '{"commit": 3}', *brackets, f"[{' ' * 2**24}]"):
        record.write_text(text)
        assert same(GenModel.from_pretrained(REPOSITORY, revision=sha), model)


def test_a_record_is_read_up_to_16_mib(hub, cached):
    _, sha, folder = cached
    storage = folder.parent.parent
    path = storage / "genzoo" / f"{sha}.json"
    text = path.read_text()
    path.write_text(text.ljust(2**24))
    assert Record.read(storage, sha).commit.sha == sha
    path.write_text(text.ljust(2**24 + 1))
    assert Record.read(storage, sha) is None


def test_a_cache_that_the_client_alone_has_filled_is_checked_offline_by_its_names(
    hub, tmp_path, monkeypatch
):
    from huggingface_hub import snapshot_download

    model, sha = put_machine(hub, tmp_path)
    folder = snapshot_download(REPOSITORY)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert same(GenModel.from_pretrained(REPOSITORY), model)
    damage(fetched() / WEIGHTS)
    with pytest.raises(HubIntegrityError, match="is damaged"):
        GenModel.from_pretrained(REPOSITORY)
    assert sha in folder


def test_six_hundred_of_six_hundred_flipped_bits_are_found(hub, cached):
    """At the first load: with no record of a check, each file is read against its checksum."""
    _, sha, folder = cached
    path, draws = (folder / WEIGHTS).resolve(), random.Random(0)
    sound, record = path.read_bytes(), Record.read(folder.parent.parent, sha)
    stated, found = record.commit.files[WEIGHTS], 0
    for _ in range(600):
        position, bit = draws.randrange(len(sound)), draws.randrange(8)
        damage(folder / WEIGHTS, position, bit)
        fresh = Record(None, record.commit)
        found += fresh.holds(WEIGHTS, path, stated, in_full=False) is False
        path.write_bytes(sound)
    assert found == 600
    assert Record(None, record.commit).holds(WEIGHTS, path, stated, in_full=False)


def test_a_record_that_says_all_is_not_written_again(hub, cached):
    _, sha, folder = cached
    record = folder.parent.parent / "genzoo" / f"{sha}.json"
    before = record.stat().st_ino
    GenModel.from_pretrained(REPOSITORY)
    GenModel.from_pretrained(REPOSITORY, revision=sha)
    assert record.stat().st_ino == before


def test_a_cache_that_cannot_be_written_still_loads(hub, cached, monkeypatch):
    model, sha, folder = cached
    record = folder.parent.parent / "genzoo"
    for path in record.iterdir():
        path.unlink()
    record.rmdir()
    record.write_text("a file where the folder would be")
    assert same(GenModel.from_pretrained(REPOSITORY, revision=sha), model)


def test_offline_a_model_loads_without_a_request_and_a_missing_one_is_named(
    hub, cached, monkeypatch
):
    model, _, folder = cached
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert same(GenModel.from_pretrained(REPOSITORY), model)
    assert hub.requests == []
    with pytest.raises(HubOfflineError, match=r"ada/other is not in the cache.*offline"):
        GenModel.from_pretrained("ada/other")
    (folder / WEIGHTS).unlink()
    with pytest.raises(HubOfflineError, match=r"model\.safetensors of ada/tiny.*offline"):
        GenModel.from_pretrained(REPOSITORY)


def test_a_hub_that_is_away_is_done_without_where_the_cache_has_the_branch(
    hub, cached, caplog, monkeypatch
):
    monkeypatch.setattr(retry.time, "sleep", lambda seconds: None)
    model, sha, _ = cached
    hub.fault(Fault(status=503), method="GET", path="/api/models/", times=100)
    with caplog.at_level(logging.WARNING):
        assert same(GenModel.from_pretrained(REPOSITORY), model)
    assert f"Continuing with commit {sha[:8]} of the cache" in caplog.text


def test_a_model_with_other_weights_is_not_taken_for_it(hub, cached):
    _, sha, _ = cached
    assert not same(GenModel.from_pretrained(REPOSITORY, revision=sha), machine(seed=1))
