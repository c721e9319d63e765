"""Small IDX files in the form of Fashion-MNIST's."""

import gzip
import struct

import numpy as np


def write_fashion(folder, train=12, test=6):
    """Write IDX files of random images, each another one."""
    generator = np.random.default_rng(0)
    for stem, num in (("train", train), ("t10k", test)):
        images = generator.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        labels = (np.arange(num) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            with gzip.open(folder / f"{stem}-{kind}-ubyte.gz", "wb") as file:
                file.write(header + array.tobytes())
    return str(folder)
