"""A small file takes little memory: what it would unpack to is known before it is unpacked."""

import gzip
import io
import os
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from folders import write_header
from genzoo.data import load_dataset
from genzoo.data.images import FORMATS, MAX_PIXELS, Look, decode
from genzoo.data.unpacking import MAX_BYTES, size_of
from genzoo.errors import DataError
from watched import peak, reset_peak

MEGABYTE = 2**20
ROWS = np.random.default_rng(0).integers(0, 256, (6, 4), dtype=np.uint8)


@pytest.fixture
def unpacked(monkeypatch):
    """What is read by the libraries, which a test may forbid."""
    seen, load = [], np.load

    def watched(path, **options):
        seen.append(str(path))
        return load(path, **options)

    monkeypatch.setattr("genzoo.data.arrays.file.np.load", watched)
    return seen


def npy(shape, descr="|u1", size=None, version=1):
    """Return an array of zeros with that header, of which ``size`` bytes follow."""
    head = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    length = struct.pack("<H" if version == 1 else "<I", len(head) + 1)
    begin = b"\x93NUMPY" + bytes([version, 0]) + length + head + b"\n"
    return begin + bytes(int(np.prod(shape)) if size is None else size)


def npz(path, members, method=zipfile.ZIP_DEFLATED, **options):
    with zipfile.ZipFile(path, "w", method, **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(path)


def zeros_npz(path, megabytes):
    """Write zeros piece by piece, so that the test itself takes no memory."""
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("x.npy", "w") as file:
        file.write(npy((megabytes, MEGABYTE), size=0))
        for _ in range(megabytes):
            file.write(bytes(MEGABYTE))
    return str(path)


def refused(path, match, **options):
    before = reset_peak()
    with pytest.raises(DataError, match=match) as caught:
        load_dataset(str(path), **options)
    assert peak() - before < 50 * MEGABYTE
    assert "\n" not in str(caught.value)


def test_what_a_file_takes_is_told_by_its_headers(tmp_path):
    np.savez(tmp_path / "a.npz", x=ROWS, label=np.arange(6, dtype=np.uint8))
    assert size_of(tmp_path / "a.npz") == 8 * 6  # Labels become 64-bit integers.
    np.savez_compressed(tmp_path / "b.npz", x=ROWS, y=np.arange(6, dtype=np.uint8))
    assert size_of(tmp_path / "b.npz") == 24 + 8 * 6
    np.savez_compressed(tmp_path / "c.npz", x=ROWS.astype(np.float16))
    assert size_of(tmp_path / "c.npz") == 2 * 24
    for name, kind in (("a", "u1"), ("b", "<f8"), ("c", ">f8")):
        np.save(tmp_path / f"{name}.npy", ROWS.astype(kind))
    sizes = [size_of(tmp_path / f"{name}.npy") for name in "abc"]
    assert sizes == [0, 0, 8 * 24]  # Another byte order cannot be mapped.
    save_file({"x": torch.from_numpy(ROWS), "y": torch.arange(6)}, tmp_path / "a.safetensors")
    assert size_of(tmp_path / "a.safetensors") == 8 * 6


def test_the_limit_is_exact_and_can_be_raised(tmp_path, unpacked):
    path = npz(tmp_path / "a.npz", {"x.npy": npy((6, 200))})
    size = size_of(Path(path))
    refused(
        path, rf"would take {size:,} bytes.*{size - 1:,} are.*max-bytes {size}", max_bytes=size - 1
    )
    assert unpacked == []
    assert len(load_dataset(path, max_bytes=size)) == 6


def test_what_is_mapped_is_not_limited(tmp_path):
    path = npz(tmp_path / "a.npz", {"x.npy": npy((6, 200))}, zipfile.ZIP_STORED)
    assert len(load_dataset(path, max_bytes=1)) == 6
    np.save(tmp_path / "a.npy", ROWS)
    save_file({"x": torch.from_numpy(ROWS)}, tmp_path / "a.safetensors")
    for end in ("npy", "safetensors"):
        assert len(load_dataset(str(tmp_path / f"a.{end}"), max_bytes=1, space="unit")) == 6


def test_a_megabyte_of_zeros_that_is_gigabytes_is_refused(tmp_path, unpacked):
    """With a limit of a tenth, so that the test is quick."""
    assert MAX_BYTES == 2**30
    path = zeros_npz(tmp_path / "a.npz", 101)
    assert Path(path).stat().st_size < MEGABYTE
    refused(path, "once it is unpacked; 104,857,600 are allowed", max_bytes=100 * MEGABYTE)
    assert unpacked == []


def test_what_is_unpacked_is_held_once(tmp_path):
    load_dataset(zeros_npz(tmp_path / "first.npz", 1))
    path, before = zeros_npz(tmp_path / "a.npz", 32), reset_peak()
    load_dataset(path, max_bytes=33 * MEGABYTE)
    assert peak() - before < (33 + 30) * MEGABYTE


def test_many_arrays_count_together(tmp_path, unpacked):
    path = npz(tmp_path / "a.npz", {f"x{i}.npy": npy((2, 300)) for i in range(9)})
    refused(path, "would take", max_bytes=9 * 600 - 1)
    assert unpacked == []


HEADERS = [
    npy((2**40, 8), size=16),
    npy((2**20, 2**20), "<f8", size=16),
    npy((1, 1), "|V2000000000", size=16),
    npy((2**40, 8), size=16, version=2),
    npy((2**70, 2**70), size=16),
]


@pytest.mark.parametrize("data", HEADERS)
def test_headers_that_tell_of_more_than_follows_are_refused(tmp_path, data, unpacked):
    (tmp_path / "a.npy").write_bytes(data)
    refused(tmp_path / "a.npy", "but 16 bytes follow")
    refused(npz(tmp_path / "a.npz", {"x.npy": data}), "but 16 bytes follow")
    assert unpacked == []


@pytest.mark.parametrize(
    ("name", "data", "size"),
    [
        ("x.npy", npy((6, 1000), "<f2", size=12_000), 12_000),
        ("label.npy", npy((6000,)), 48_000),
        ("x", bytes(6000), 6000),
    ],
)
def test_what_numbers_become_counts_and_what_is_no_array_too(tmp_path, name, data, size, unpacked):
    path = npz(tmp_path / "a.npz", {name: data})
    refused(path, f"would take {size:,} bytes", max_bytes=size - 1)
    assert unpacked == []


@pytest.mark.parametrize("data", [npy((-1, -8), size=8), npy((6, 4), size=24, version=3)])
def test_headers_that_are_none_are_refused(tmp_path, data, unpacked):
    (tmp_path / "a.npy").write_bytes(data)
    refused(tmp_path / "a.npy", "cannot be read")
    assert unpacked == []


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_numpy_does_not_pack_is_not_unpacked(tmp_path, method, unpacked):
    path = npz(tmp_path / "a.npz", {"x.npy": npy((6, 4))}, method)
    refused(path, "packed in a way that numpy does not use")
    assert unpacked == []


def test_a_long_list_of_arrays_is_not_read(tmp_path, unpacked):
    """The list of a zip is read at once by Python, at a hundred times its size."""
    refused(npz(tmp_path / "a.npz", {f"{i}": b"" for i in range(1001)}), "it holds 1001 arrays")
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 40 * MEGABYTE, 0, 0)
    (tmp_path / "b.npz").write_bytes(b"PK\3\4" + bytes(40 * MEGABYTE - 4) + end)
    refused(tmp_path / "b.npz", "its list of arrays has over 1,048,576 bytes")
    assert unpacked == []


def test_a_header_of_safetensors_is_bounded(tmp_path):
    write_header(tmp_path / "a.safetensors", b"{}".ljust(2 * MEGABYTE))
    refused(tmp_path / "a.safetensors", "its header has 2,097,152 bytes; 1,048,576 are allowed")
    arrays = {"x": torch.zeros(6, 9), "label": torch.zeros(6, dtype=torch.uint8)}
    save_file(arrays, tmp_path / "b.safetensors")
    refused(tmp_path / "b.safetensors", "would take 48 bytes", max_bytes=47)
    assert len(load_dataset(str(tmp_path / "b.safetensors"), max_bytes=48)) == 6


# IDX


def idx(folder, shape, size, *, end=".gz"):
    """Write a split of images whose header tells of a shape, and ``size`` zeros behind it."""
    opener = gzip.open if end else open
    with opener(folder / f"train-images-idx3-ubyte{end}", "wb") as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, *shape))
        for _ in range(size // MEGABYTE):
            file.write(bytes(MEGABYTE))
        file.write(bytes(size % MEGABYTE))
    return str(folder)


def test_idx_files_that_tell_of_gigabytes_are_refused(tmp_path):
    refused(idx(tmp_path, (2**17, 128, 128), MEGABYTE), "would take 2,147,483,648 bytes")


@pytest.mark.parametrize("end", ["", ".gz"])
def test_an_idx_file_takes_no_more_than_it_holds(tmp_path, end):
    refused(idx(tmp_path, (2**10, 2**9, 2**10), MEGABYTE, end=end), "or more, but its header")


# Images


def test_a_postscript_by_the_name_of_an_image_starts_no_program(tmp_path, monkeypatch):
    """Pillow starts Ghostscript for one, which runs what stands in it."""
    programs, log = tmp_path / "bin", tmp_path / "started"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {log}\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None, raising=False)
    folder = tmp_path / "images"
    folder.mkdir()
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    (folder / "a.png").write_text(text)
    refused(folder, "cannot be read as an image")
    with pytest.raises(DataError, match="cannot be read as an image"):
        decode(io.BytesIO(text.encode()), "a row", Look("RGB", None, (255, 255, 255)))
    assert not log.exists()


@pytest.mark.parametrize("kind", ["ICO", "TGA", "PCX", "SGI", "JPEG2000", "PDF"])
def test_other_formats_than_those_of_the_list_are_not_decoded(tmp_path, kind):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", format=kind)
    refused(tmp_path, r"cannot be read as an image \(PNG, JPEG, WEBP, BMP, TIFF")


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_of_the_list_are_decoded_whatever_the_name(tmp_path, kind):
    Image.new("L", (8, 8)).save(tmp_path / "a.png", format=kind)
    assert load_dataset(str(tmp_path)).info["x"].event_shape[1:] == (8, 8)


def test_the_limit_on_pixels_can_be_raised(tmp_path):
    Image.new("1", (MAX_PIXELS // 4096 + 1, 4096)).save(tmp_path / "a.png")
    refused(tmp_path, rf"has 8193 × 4096 pixels; {MAX_PIXELS} in all.*max-pixels 33558528")
    raised = load_dataset(str(tmp_path), max_pixels=33558528, size=4)
    assert raised.info["x"].event_shape == (1, 4, 4)


# What is not a file


@pytest.mark.parametrize(
    "name", ["a.npz", "a.npy", "a.safetensors", "images/a.png", "idx/train-images-idx3-ubyte"]
)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path, name, kind):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    source = path if path.parent == tmp_path else path.parent
    found = []

    def load():
        try:
            load_dataset(str(source))
        except DataError as error:
            found.append(str(error))

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert found
    assert "it is not a plain file" in found[0]
