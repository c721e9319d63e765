"""Fingerprints of random streams, which show whether a seed draws the same samples elsewhere."""

from __future__ import annotations

import functools
import hashlib
import math
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.evaluation.metric import Case, lacking_condition, rows_of

NUM_SAMPLES = 8
MAX_BATCH_SIZE = 10_000
MAX_THREADS = max(16, os.cpu_count() or 1)
"""The maximum number of threads, whatever a card states."""
_WITHIN = 1e-3
_EQUAL = ("of", "batch_size", "device", "threads", "processor", "arithmetic")
_SHAPES = ((8, 64, 256), (64, 784, 500), (148, 256, 64))
"""The shapes (B, N, M) of the matrix products of the digest."""


def stream_of(case: Case, batch_size: int | None = None) -> dict[str, Any]:
    """Return the mean and the standard deviation of each of the case's first eight samples.

    If no metric draws samples, which may take long, eight rows of standard normal noise from the
    case's seed take their place. The same seed draws other samples on another kind of device, with
    another block size, or with a library that draws numbers in another order. A CPU sums float32
    in an order that depends on its kind and on the number of threads, and a single different draw
    in a long chain changes all that follow. The fingerprint shows this.

    Arguments:
        case: The case. Samples that it has already drawn are used.
        batch_size: The block size of samples for the fingerprint; None uses the samples that the
            case has drawn, or noise.

    Returns:
        ``mean`` and ``std`` as texts of at most eight numbers, ``of`` (samples or noise), the
        block size and the device; for a CPU also the number of threads, the kind of processor,
        such as "AVX2", and a digest of some products; see `arithmetic`. It is empty if the model
        needs a condition that the data lack.
    """
    if batch_size is not None and lacking_condition(case.model, case.batch):
        return {}
    of = "noise" if batch_size is None and not case.has_samples else "samples"
    drawn, x = (NUM_SAMPLES, _noise(case)) if of == "noise" else _samples(case, batch_size)
    rows = x[:NUM_SAMPLES].double().flatten(1)
    return {
        "of": of,
        "mean": _text(rows.mean(1)),
        "std": _text(rows.std(1, correction=0)),
        "batch_size": drawn,
        **_where(case.model.device),
    }


def same_stream(stated: Any, actual: Mapping[str, Any]) -> bool:
    """Whether two fingerprints agree: equal facts, and numbers within 1e-3 of their scale.

    Arguments:
        stated: An untrusted fingerprint.
        actual: One that was made here.
    """
    if not isinstance(stated, Mapping) or not actual:
        return False
    if any(_differ(stated.get(key), actual.get(key)) for key in _EQUAL):
        return False
    theirs, ours = ([_numbers(f.get(key)) for key in ("mean", "std")] for f in (stated, actual))
    if any(len(a) != len(b) or not a for a, b in zip(theirs, ours, strict=True)):
        return False
    scale = max(abs(m) + s for m, s in zip(*ours, strict=True))
    pairs = [pair for a, b in zip(theirs, ours, strict=True) for pair in zip(a, b, strict=True)]
    return all(abs(a - b) <= _WITHIN * scale for a, b in pairs)


def stated_batch_size(stated: Any) -> int | None:
    """Return the block size in an untrusted fingerprint, or None."""
    samples = isinstance(stated, Mapping) and stated.get("of") == "samples"
    size = stated.get("batch_size") if samples else None
    return size if type(size) is int and 1 <= size <= MAX_BATCH_SIZE else None


def stated_threads(stated: Any) -> int | None:
    """Return the number of threads in an untrusted fingerprint, or None."""
    num = stated.get("threads") if isinstance(stated, Mapping) else None
    return num if type(num) is int and 1 <= num <= MAX_THREADS else None


def _where(device: torch.device) -> dict[str, Any]:
    """Return what determines the order of summation."""
    if device.type != "cpu":
        return {"device": device.type}
    threads = torch.get_num_threads()
    return {
        "device": "cpu",
        "threads": threads,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "arithmetic": arithmetic(threads),
    }


@functools.cache
def arithmetic(threads: int) -> str:
    """Return a digest of the bits of some float32 products and sums on the CPU.

    Processors of one kind may still sum in another order, since the library for matrix products
    chooses its code by the model of the processor. Equal digests show that it does not. A card
    without a digest was made before there was one.

    Arguments:
        threads: The number of threads, which the order depends on too; it is only a key.
    """
    generator, digest = torch.Generator().manual_seed(0), hashlib.sha256()
    for rows, inner, columns in _SHAPES:
        a = torch.randn(rows, inner, generator=generator)
        product = a @ torch.randn(inner, columns, generator=generator)
        for values in (product, product.sigmoid(), product.log_softmax(1), product.sum()):
            digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:8]


def _differ(stated: Any, actual: Any) -> bool:
    """Whether two facts differ, also in type: True is not 1."""
    return type(stated) is not type(actual) or stated != actual


def _samples(case: Case, batch_size: int | None) -> tuple[int, Tensor]:
    """Return the block size and the first samples of the case's seed."""
    if case.has_samples and batch_size in (None, case.batch_size):
        return case.batch_size, case.samples
    given = case.held_out if len(case.held_out["x"]) else case.batch
    size = min(batch_size or NUM_SAMPLES, len(given["x"]))
    first = rows_of(given, torch.arange(size))
    return size, case.drawn_for(first, "samples", size)


def _noise(case: Case) -> Tensor:
    generator = seeds.generator(seeds.derive_seed(case.seed, "samples"), case.model.device)
    num = max(2, math.prod(case.model.event_shape))
    return torch.randn(NUM_SAMPLES, num, generator=generator, device=case.model.device).cpu()


def _text(values: Tensor) -> str:
    return " ".join(f"{value:.6g}" for value in values.tolist())


def _numbers(text: Any) -> list[float]:
    """Return the numbers of a text; none if it contains anything else."""
    try:
        numbers = [float(word) for word in str(text).split()[: NUM_SAMPLES + 1]]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
