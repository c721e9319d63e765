"""Shards of the tests: numbered rows, so that it can be told which ones were read."""

import io
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.numpy import save_file

from genzoo.data import load_dataset
from genzoo.training.batches import BatchPartition, batches

SHAPE = (2, 3)


def stream(path, split="train", **config):
    return load_dataset(path, split, streaming=True, **config)


def read(data, **options):
    """Return the numbers of the rows in the order of an epoch of training."""
    num = len(data) // 4
    shares = BatchPartition(4, 1, 1, 0)
    feed = batches(data, shares, seed=1, first=0, last=num, **options)
    return torch.cat([numbers_in(batch["x"]) for (batch,) in feed]).tolist()


def values(first, num):
    """Return rows whose bytes tell their numbers, and one more byte of 255."""
    numbers = np.arange(first, first + num, dtype=np.uint32)
    bytes_ = numbers.view(np.uint8).reshape(num, 4)
    return np.concatenate([bytes_, np.full((num, 2), 255, np.uint8)], 1).reshape(num, *SHAPE)


def numbers_in(x):
    """Return the numbers of rows in [0, 1] of shape (B, 1, 2, 3)."""
    bytes_ = (x.reshape(len(x), -1)[:, :4] * 255).round().long()
    return (bytes_ * torch.tensor([1, 2**8, 2**16, 2**24])).sum(1)


def nested(rows):
    """Return an array (N, H, W) as nested lists of pyarrow."""
    lines = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[2])
    return pa.FixedSizeListArray.from_arrays(lines, rows.shape[1])


def write_parquet(path, first, num, group=4, **columns):
    label = np.arange(first, first + num) % 3
    columns = {"x": nested(values(first, num)), "label": label, **columns}
    kept = {name: column for name, column in columns.items() if column is not None}
    pq.write_table(pa.table(kept), path, row_group_size=group)


def write_safetensors(path, first, num):
    label = (np.arange(first, first + num) % 3).astype(np.int64)
    save_file({"x": values(first, num), "label": label}, path)


def write_tar(path, samples):
    """Write samples: the content of each file by its ending."""
    with tarfile.open(path, "w") as tar:
        for number, sample in enumerate(samples):
            for ending, content in sample.items():
                member = tarfile.TarInfo(f"row-{number:04d}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def png(value, size=(4, 3)):
    file = io.BytesIO()
    Image.new("L", size, value).save(file, "PNG")
    return file.getvalue()


def folder_of(path, sizes, split="train", group=4):
    """Write shards of these sizes into a folder, with numbered rows; return the folder."""
    path.mkdir(exist_ok=True)
    first = 0
    for shard, num in enumerate(sizes):
        write_parquet(path / f"{split}-{shard:02d}.parquet", first, num, group)
        first += num
    return path
