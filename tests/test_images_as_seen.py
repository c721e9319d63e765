"""Images are read as a person sees them: upright, on a background, with their colours."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, TiffImagePlugin

from genzoo.data import load_dataset
from genzoo.errors import ConfigError, DataError

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def read(folder, **config):
    """Return the rows of a folder in bytes, (N, C, H, W)."""
    dataset = load_dataset(str(folder), **config)
    x = dataset.batch(range(len(dataset)))["x"]
    assert x.shape[1:] == dataset.info["x"].event_shape
    return (x * 255).round().to(torch.uint8)


def png(width, height, depth, kind, rows, *, before=(), after=()):
    """Return a PNG, whose chunks Pillow would not write so."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    parts = [
        *(chunk(*c) for c in before),
        pixels,
        *(chunk(*c) for c in after),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(parts)


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found.tobytes()


# Orientation


def upright():
    """Return an image of 12 × 8 blocks whose four corners differ, height × width."""
    x = np.full((96, 64), 128, np.uint8)
    x[:48, :32], x[:48, 32:], x[48:, :32] = 0, 80, 200
    return x


STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.T,
    6: lambda x: np.rot90(x),
    7: lambda x: np.rot90(x, 2).T,
    8: lambda x: np.rot90(x, -1),
}
"""How upright pixels are stored for each orientation of EXIF."""


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_photographs_are_turned_upright(tmp_path, kind, orientation):
    stored = np.ascontiguousarray(STORED[orientation](upright()))
    options = {"quality": 95} if kind == "jpeg" else {"lossless": True} if kind == "webp" else {}
    image = Image.fromarray(stored)
    image.save(tmp_path / f"a.{kind}", exif=exif(orientation), **options)
    found = read(tmp_path)
    assert found.shape[2:] == (96, 64)
    assert (found[0, 0].int() - torch.from_numpy(upright()).int()).abs().max() <= 3


def test_a_jpeg_that_lies_on_its_side_is_stood_up(tmp_path):
    Image.new("RGB", (12, 8)).save(tmp_path / "a.jpg", exif=exif(8))
    assert read(tmp_path).shape == (1, 3, 12, 8)


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_exif_of_a_png_counts_wherever_it_stands(tmp_path, place):
    rows = [bytes([10, 20, 30]), bytes([40, 50, 60])]
    chunk = (b"eXIf", exif(6)[6:])
    (tmp_path / "a.png").write_bytes(png(3, 2, 8, 0, rows, **{place: [chunk]}))
    assert read(tmp_path)[0, 0].tolist() == [[40, 10], [50, 20], [60, 30]]


def test_other_chunks_after_the_pixels_decode_nothing(tmp_path, monkeypatch):
    after = [(b"tEXt", b"date:create\0today")]
    (tmp_path / "a.png").write_bytes(png(3, 2, 8, 0, [bytes(3)] * 2, after=after))

    def load(self):
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    assert load_dataset(str(tmp_path)).info["x"].event_shape == (1, 2, 3)


@pytest.mark.parametrize(
    "damage", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(99)]
)
def test_exif_that_says_nothing_is_ignored(tmp_path, damage):
    Image.new("L", (12, 8)).save(tmp_path / "a.jpg", exif=damage)
    assert read(tmp_path).shape == (1, 1, 8, 12)


# Transparency


def hidden_noise(mode="RGBA"):
    """Return an image whose left half is transparent and holds noise; the right half is red."""
    x = np.random.default_rng(0).integers(0, 256, (4, 6, 4), dtype=np.uint8)
    x[:, :3, 3] = 0
    x[:, 3:] = (*RED, 255)
    return Image.fromarray(x, "RGBA").convert(mode)


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
def test_what_is_transparent_shows_the_background(tmp_path, kind):
    hidden_noise().save(tmp_path / f"a.{kind}", **({"lossless": True} if kind == "webp" else {}))
    found = read(tmp_path)[0].permute(1, 2, 0)
    assert (found[:, :3] == 255).all()
    assert (found[:, 3:] == torch.tensor(RED)).all()
    found = read(tmp_path, background="#102030")[0].permute(1, 2, 0)
    assert (found[:, :3] == torch.tensor([16, 32, 48])).all()
    assert (found[:, 3:] == torch.tensor(RED)).all()


def test_half_transparent_parts_are_mixed_and_that_is_said(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 200, 51)).save(tmp_path / "a.png")
    assert read(tmp_path)[0, :, 0, 0].tolist() == [204, 204, 244]
    (note,) = load_dataset(str(tmp_path)).notes
    assert note.startswith("With an alpha channel, shown on white: 1 of 1 images.")


def test_grey_with_transparency_stays_grey_on_a_grey_background(tmp_path):
    Image.new("LA", (2, 2), (100, 0)).save(tmp_path / "a.png")
    assert read(tmp_path)[0].tolist() == [[[255, 255], [255, 255]]]
    assert read(tmp_path, background="#070707")[0].tolist() == [[[7, 7], [7, 7]]]
    assert read(tmp_path, background="blue")[0, :, 0, 0].tolist() == list(BLUE)


@pytest.mark.parametrize(
    ("depth", "kind", "row", "hidden", "right"),
    [
        (1, 0, bytes([0b01000000]), 1, [0, 7, 0]),
        (1, 0, bytes([0b01000000]), 0, [7, 255, 7]),
        (2, 0, bytes([0b00100100]), 2, [0, 7, 85]),
        (4, 0, bytes([0x0F, 0x70]), 15, [0, 7, 119]),
        (8, 0, bytes([0, 5, 9]), 5, [0, 7, 9]),
        (16, 0, struct.pack(">3H", 0, 258, 65535), 258, [0, 7, 255]),
    ],
)
def test_the_transparent_value_of_a_grey_png_is_found_at_every_depth(
    tmp_path, depth, kind, row, hidden, right
):
    before = [(b"tRNS", struct.pack(">H", hidden))]
    (tmp_path / "a.png").write_bytes(png(3, 1, depth, kind, [row], before=before))
    assert read(tmp_path, background="#070707")[0, 0, 0].tolist() == right


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_a_png_is_found(tmp_path, depth):
    colours = [(1, 2, 3), (200, 100, 50)]
    pack = (
        (lambda c: bytes(c))
        if depth == 8
        else (lambda c: struct.pack(">3H", *(257 * v for v in c)))
    )
    stored = colours[0] if depth == 8 else [257 * v for v in colours[0]]
    before = [(b"tRNS", struct.pack(">3H", *stored))]
    row = b"".join(map(pack, colours))
    (tmp_path / "a.png").write_bytes(png(2, 1, depth, 2, [row], before=before))
    assert read(tmp_path)[0, :, 0].T.tolist() == [list(WHITE), [200, 100, 50]]


@pytest.mark.parametrize("wrong", ["no colour", "#12345678", "", "rgb(1,2"])
def test_a_background_is_an_opaque_colour(tmp_path, wrong):
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="background is not an opaque colour"):
        load_dataset(str(tmp_path), background=wrong)


# Palettes and modes


def palette(colours, **info):
    image = Image.new("P", (len(colours), 1))
    image.putpalette([v for colour in colours for v in colour])
    image.putdata(range(len(colours)))
    image.info.update(info)
    return image


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "tiff"])
def test_palettes_are_read_by_their_colours(tmp_path, kind):
    palette([RED, BLUE, WHITE]).save(tmp_path / f"a.{kind}")
    found = read(tmp_path)
    assert found[0, :, 0].T.tolist() == [list(RED), list(BLUE), list(WHITE)]


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "tiff"])
def test_a_palette_of_greys_is_grey(tmp_path, kind):
    palette([(9, 9, 9), (200, 200, 200), (0, 0, 0)]).save(tmp_path / f"a.{kind}")
    assert read(tmp_path).tolist() == [[[[9, 200, 0]]]]


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_a_transparent_entry_of_a_palette_shows_the_background(tmp_path, kind):
    palette([RED, BLUE]).save(tmp_path / f"a.{kind}", transparency=0)
    assert read(tmp_path)[0, :, 0].T.tolist() == [list(WHITE), list(BLUE)]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "jpeg"), ("CMYK", "tiff"), ("1", "png"), ("1", "tiff"), ("L", "pgm")],
)
def test_other_modes_are_converted(tmp_path, mode, kind):
    Image.new("RGB", (8, 8), WHITE).convert(mode).save(tmp_path / f"a.{kind}")
    assert (read(tmp_path) == 255).all()


@pytest.mark.parametrize(
    "name",
    ["a.TIF", "a.tiff", "a.gif", "a.jfif", "a.JPE", "a.pgm", "a.ppm", "a.pnm", "a.WebP", "a.dib"],
)
def test_many_endings_are_read_in_any_case(tmp_path, name):
    kinds = {
        "pgm": "ppm",
        "pnm": "ppm",
        "jfif": "jpeg",
        "jpe": "jpeg",
        "tif": "tiff",
        "dib": "bmp",
    }
    ending = name.lower().rpartition(".")[2]
    Image.new("L", (4, 3), 255).save(tmp_path / name, format=kinds.get(ending, ending))
    assert read(tmp_path)[0, 0].tolist() == [[255] * 4] * 3


# More than 8 bits


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_scaled_from_their_full_range(tmp_path, kind):
    values = np.array([[0, 128, 129], [257 * 7, 65534, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{kind}")
    assert read(tmp_path)[0, 0].tolist() == [[0, 0, 1], [7, 255, 255]]
    assert load_dataset(str(tmp_path)).notes == (
        "With 16 bits, scaled from their full range to 8: 1 of 1 images.",
    )


def test_a_pgm_of_sixteen_bits_is_scaled_by_its_own_greatest_value(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 1000\n" + struct.pack(">3H", 0, 500, 1000))
    assert read(tmp_path)[0, 0].tolist() == [[0, 128, 255]]


def test_sixteen_bits_whose_white_is_zero_are_inverted(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    values = np.array([[0, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo=tags)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[262] == 0
    assert read(tmp_path)[0, 0].tolist() == [[255, 0]]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_without_a_range_are_refused_from_the_header(tmp_path, dtype):
    Image.fromarray(np.ones((2, 3), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a.tif cannot be read.*range is not known.*8 or 16 bits"):
        load_dataset(str(tmp_path))


def test_lab_colours_are_refused_from_the_header(tmp_path):
    lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    ImageCms.applyTransform(Image.new("RGB", (2, 2)), lab).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"Lab colours\. Save it as RGB"):
        load_dataset(str(tmp_path))


# Frames


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_of_several_frames_the_first_is_read_and_that_is_said(tmp_path, kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    options = {"lossless": True} if kind == "webp" else {}
    frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:], **options)
    dataset = load_dataset(str(tmp_path))
    assert read(tmp_path)[0, :, 0, 0].tolist() == list(RED)
    assert "With several frames, of which the first is read: 1 of 1 images." in dataset.notes


def test_the_preview_in_a_photograph_of_a_phone_is_not_a_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8)), Image.new("RGB", (4, 4))]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="MPO", save_all=True, append_images=frames[1:])
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    dataset = load_dataset(str(tmp_path))
    assert dataset.info["x"].event_shape == (3, 8, 8)
    assert not dataset.notes
