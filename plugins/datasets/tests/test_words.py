"""Words of a word list, from a small list of the test's own."""

import contextlib
import hashlib

import pytest

import genzoo_datasets.words
from genzoo import Categorical, ConfigError, DataError, load_dataset
from genzoo_datasets.words import split_of

LETTERS = "abcdefghij"
MANY = [a + b + c for a in LETTERS for b in LETTERS for c in LETTERS]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "list"


def words(path, split="train", **config):
    data = load_dataset("words", split, path=str(path), **config)
    rows = data.batch(range(len(data)))["x"]
    data.info["x"].require(rows, "It")
    return data.info["x"].lines(rows)


def every(path, **config):
    return {split: words(path, split, **config) for split in ("train", "valid", "test")}


def test_rows_are_letters_with_padding(path):
    path.write_text("\n".join(MANY))
    data = load_dataset("words", path=str(path))
    letters = tuple("abcdefghijklmnopqrstuvwxyz")
    assert data.info["x"] == Categorical(shape=(12,), num_categories=27, names=(*letters, ""))
    found = data.info["x"].lines(data.head(1)["x"])[0]
    indices = ["abcdefghijklmnopqrstuvwxyz".index(letter) for letter in found]
    assert data.head(1)["x"].tolist() == [indices + [26] * 9]
    assert (data.name, data.notes) == ("words of list/train", ())


def test_the_splits_hold_each_word_once_by_a_hash_of_the_word(path):
    path.write_text("\n".join(reversed(MANY)))
    found = every(path)
    assert sorted(word for split in found.values() for word in split) == MANY
    assert all(split == sorted(split) for split in found.values())
    for split, share in (("train", 0.8), ("valid", 0.1), ("test", 0.1)):
        assert abs(len(found[split]) - 1000 * share) < 5 * (1000 * share * (1 - share)) ** 0.5
    for split, inside in found.items():
        for word in inside[:40]:
            key = bytes(8)
            value = hashlib.blake2b(word.encode(), key=key, digest_size=8).hexdigest()
            tenth = int(int(value, 16) / 2**64 * 10)
            assert split == ("train" if tenth < 8 else "valid" if tenth == 8 else "test")


def test_the_split_of_a_word_depends_on_the_seed_and_not_on_other_words(path):
    path.write_text("\n".join(MANY))
    whole = every(path)
    path.write_text("\n".join(["zebra", *MANY[::3]]))
    part = every(path)
    for split, kept in part.items():
        assert set(kept) - {"zebra"} == set(whole[split]) & set(MANY[::3])
        assert all(split_of(word) == split for word in kept)
    other = every(path, split_seed=1)
    assert other != part
    data = load_dataset("words", path=str(path), split_seed=1)
    assert data.name == "words of list/train, split seed 1"


def whole(path, **config):
    """The words of all splits that have some."""
    found = set()
    for split in ("train", "valid", "test"):
        with contextlib.suppress(DataError):
            found |= set(words(path, split, **config))
    return found


def test_other_characters_other_lengths_and_repetitions_are_left_out(path):
    path.write_text(
        "Zoo\nzoo\nzoo\nzoo's\ncafé\nab\nAdam\nabc\n\nabcdefghijkl\nabcdefghijklm\n a-b \n",
        "utf-8",
    )
    found = whole(path)
    assert found == {"zoo", "abc", "abcdefghijkl"}
    data = load_dataset("words", split_of("zoo"), path=str(path))
    (note,) = data.notes
    assert note == (
        "of 11 words, 5 with other characters than a to z, 2 of other lengths than 3 to 12, 1 "
        "that occur again are left out."
    )
    longer = whole(path, min_length=2, max_length=13)
    assert longer == {*found, "ab", "abcdefghijklm"}


def test_a_list_is_looked_for_where_debian_puts_it(path, monkeypatch):
    path.write_text("\n".join(MANY))
    monkeypatch.setattr(genzoo_datasets.words, "LISTS", ("/nowhere/words", str(path)))
    assert len(load_dataset("words", "test")) == len(words(path, "test"))
    monkeypatch.setattr(genzoo_datasets.words, "LISTS", ("/nowhere/words",))
    said = (
        r"^There is no word list in /nowhere/words\. Install Debian's package wamerican, or give "
        r"--data\.path FILE with one word in each line\.$"
    )
    with pytest.raises(DataError, match=said):
        load_dataset("words")


def test_what_is_wrong_with_a_list_is_said(path):
    with pytest.raises(DataError, match=r"There is no file .*list'. Check the path"):
        load_dataset("words", path=str(path))
    path.write_text("a\n")
    with pytest.raises(DataError, match=r"train: no word is in this split\. Give a longer list"):
        load_dataset("words", path=str(path))
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"the byte 0xe9 in line 1"):
        load_dataset("words", path=str(path))
    with pytest.raises(ConfigError, match="min_length is 5, more than max_length, which is 4"):
        load_dataset("words", path=str(path), min_length=5, max_length=4)
