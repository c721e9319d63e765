"""Text files as blocks of characters."""

import pytest
import torch

from genzoo import Categorical, ConfigError, DataError, load_dataset
from genzoo.data import find_source
from genzoo.data.texts import blocks
from genzoo.plugin import read_text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes.txt"


def rows(path, split="train", **config):
    data = load_dataset(path, split, **config)
    return data.info["x"].lines(data.batch(range(len(data)))["x"])


def test_a_file_is_cut_into_blocks_of_its_characters(path):
    path.write_text("banana bé\nabc", "utf-8")
    data = load_dataset(path, length=4)
    assert data.info["x"] == Categorical(shape=(4,), num_categories=7, names=tuple("\n abcné"))
    assert data.info["x"].padding is None
    assert rows(path, length=4) == ["bana", "na b", "é␊ab"]
    assert data.notes == ("1 character after the last block is left out.",)
    assert load_dataset(path, length=5).notes == (
        "3 characters after the last block are left out.",
    )
    assert data.batch([0])["x"].dtype == torch.int64
    assert load_dataset(path, length=13).notes == ()
    assert len(load_dataset(path, length=13)) == 1


def test_the_splits_are_parts_of_the_file_in_order(path):
    text = "".join(chr(0x4E00 + i) for i in range(69))
    path.write_text(text, "utf-8")
    data = {split: rows(path, split, length=3) for split in ("train", "valid", "test")}
    assert {split: len(found) for split, found in data.items()} == {
        "train": 19,
        "valid": 2,
        "test": 2,
    }
    assert "".join("".join(found) for found in data.values()) == text
    spaces = [load_dataset(path, split, length=3).info["x"] for split in data]
    assert spaces[0] == spaces[1] == spaces[2]
    with pytest.raises(DataError, match="has no split 'test'"):
        load_dataset(path, "test", length=7)
    assert len(rows(path, length=7)) == 9
    assert len(rows(path, "held-out", length=7, valid_fraction=0.3)) == 3


def test_an_alphabet_may_be_given_in_any_order(path):
    path.write_text("abab", "utf-8")
    data = load_dataset(path, length=2, alphabet="cba")
    assert data.info["x"].names == ("c", "b", "a")
    assert data.batch([0, 1])["x"].tolist() == [[2, 1], [2, 1]]


def test_more_than_256_characters_keep_their_places(path):
    text = "".join(chr(0x4E00 + i) for i in range(300))
    path.write_text(text, "utf-8")
    assert rows(path, length=300) == [text]


def test_line_ends_of_other_systems_and_a_byte_order_mark_are_read(path):
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(path) == "a\nb\nc\n"
    assert rows(path, length=6) == ["a␊b␊c␊"]


@pytest.mark.parametrize(
    ("content", "config", "said"),
    [
        (b"", {}, r"notes\.txt' is empty: it has no characters\. Give another file\."),
        (b"short", {}, r"notes\.txt has 5 characters, fewer than the 64 of a block\. Give --data"),
        (b"ab\ncd\xff", {}, r"UTF-8: the byte 0xff in line 2 is not part of a character\. Conv"),
        (
            b"aab\nab!b",
            {"length": 2, "alphabet": "ab\n"},
            r"^notes\.txt has '!' in line 2, which is not in the alphabet 'ab\\n'\. Add it to --d",
        ),
        (
            b"aa\nab",
            {"length": 2, "alphabet": "ab"},
            r"^notes\.txt has '\\n' in line 1, which is not in the alphabet 'ab'\. Add it",
        ),
        (b"abcdef", {"max_bytes": 5}, r"would take 6 bytes.*; 5 are allowed"),
    ],
)
def test_what_cannot_be_cut_is_refused(path, content, config, said):
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        load_dataset(path, **config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"length": 0}, r"length must be in \[1, 65536\], got 0"),
        ({"alphabet": ""}, r"alphabet must be a length in \[1, 10000\], got ''"),
        ({"alphabet": "abca"}, "alphabet 'abca' has 'a' 2 times. Give each character once"),
        ({"alphabet": "a\udcff"}, r"has '\\udcff', which is not a character of UTF-8\. Leave it"),
    ],
)
def test_wrong_lengths_and_alphabets_are_refused(path, config, said):
    path.write_text("abcd")
    with pytest.raises(ConfigError, match=said):
        load_dataset(path, **config)


def test_a_file_that_is_missing_or_is_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*none\.txt'. Check the path"):
        load_dataset(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot be read: it is not a plain file"):
        read_text(tmp_path)
    assert find_source("any.TXT")[0].__name__ == "TextFile"


def test_more_characters_than_a_space_can_name_are_refused(path, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_CHARACTERS", 3)
    path.write_text("abcd")
    with pytest.raises(DataError, match=r"^notes\.txt has 4 different characters; 3 are allowed"):
        load_dataset(path, length=2)
    path.write_text("abca")
    assert rows(path, length=2) == ["ab", "ca"]
