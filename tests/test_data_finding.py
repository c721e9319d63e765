"""find_source: home folders, letter case, what is held in place of a name, unreadable folders."""

import os
from pathlib import Path

import numpy as np
import pytest

from genzoo.data import find_source, load_dataset
from genzoo.errors import ConfigError, DataError, UnknownNameError


def test_the_home_folder_is_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.csv").write_text("a,b\n1.5,2\n-1,3\n")
    assert find_source("~/mine/a.csv")[1] == str(tmp_path / "mine" / "a.csv")
    assert find_source("~/mine")[0].__name__ == "Tables"
    assert load_dataset("~/mine/a.csv").origin == ("~/mine/a.csv", {})


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("A.NPZ", "Arrays"),
        ("a.Npy", "Arrays"),
        ("a.SafeTensors", "Arrays"),
        ("a.CSV", "Tables"),
        ("a.Tsv", "Tables"),
        ("a.PARQUET", "Tables"),
    ],
)
def test_an_ending_may_be_in_any_letter_case(name, source):
    assert find_source(name)[0].__name__ == source
    assert find_source(Path(name))[0].__name__ == source


def test_a_path_is_taken(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(4, 2)))
    dataset = load_dataset(tmp_path / "a.npy")
    assert len(dataset) == 4
    assert dataset.origin == (str(tmp_path / "a.npy"), {})


@pytest.mark.parametrize("data", [[[1, 2]], np.zeros((2, 2)), None, 3, b"digits", {"x": [1]}])
def test_what_is_held_is_answered_with_as_dataset(data):
    for take in (load_dataset, find_source):
        with pytest.raises(ConfigError, match=rf"not a {type(data).__name__}\. .*as_dataset"):
            take(data)


def test_a_folder_that_may_not_be_read_is_a_sentence(tmp_path, monkeypatch):
    listed = os.listdir

    def refuse(path):
        if Path(path) == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(DataError, match=r"cannot be read: Permission denied. Check its permiss"):
        load_dataset(str(tmp_path))


def test_tables_next_to_images_describe_the_images(tmp_path):
    from PIL import Image

    (tmp_path / "train.csv").write_text("a\n1.5\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "0.png").write_bytes(b"")
    assert find_source(str(tmp_path))[0].__name__ == "Tables"
    (tmp_path / "pictures").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "pictures" / "0.PNG")
    assert find_source(str(tmp_path))[0].__name__ == "ImageFolder"


def test_a_name_that_is_none_of_these_is_unknown():
    for name in ("", "a\0b", "nothing", "~nobody-of-this-name/x/y"):
        with pytest.raises(UnknownNameError, match="no such path"):
            find_source(name)
