"""Texts are read within bounds, and from plain files alone."""

import os
from pathlib import Path

import pytest

from genzoo.files import read_text


def test_a_text_is_read_up_to_its_bound_and_not_beyond(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("é" * 10, "utf-8")
    assert read_text(path, 20) == "é" * 10
    with pytest.raises(ValueError, match="it is larger than 19 bytes"):
        read_text(path, 19)


def test_lines_end_as_everywhere(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\r\nb\rc\n")
    assert read_text(tmp_path / "a.txt", 100) == "a\nb\nc\n"


def test_a_file_that_says_it_is_empty_is_bounded_too():
    """Files of the system's own have a size of 0, whatever can be read from them."""
    if not Path("/proc/self/maps").is_file():
        pytest.skip("this system has no /proc")
    assert os.stat("/proc/self/maps").st_size == 0
    with pytest.raises(ValueError, match="it is larger than 100 bytes"):
        read_text(Path("/proc/self/maps"), 100)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_what_is_no_plain_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "a.txt"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(ValueError, match="it is not a file"):
        read_text(path, 100)
