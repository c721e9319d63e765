"""Fingerprints of random streams: whether a seed draws the same samples here as elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.evaluation.conditions import lacking_condition
from genzoo.evaluation.metric import Case, rows_of

NUM_SAMPLES = 8
MAX_BATCH_SIZE = 10_000
_WITHIN = 1e-3


def stream_of(case: Case, batch_size: int | None = None) -> dict[str, Any]:
    """Return the mean and the standard deviation of each of the case's first eight samples.

    Where no metric draws samples, which may take long, eight rows of standard normal noise from
    the case's seed take their place. The same seed draws other samples on another kind of device,
    with another block size, or with a library that draws its random numbers in another order. The
    fingerprint shows that.

    Arguments:
        case: What is judged. Samples that it has drawn already are used.
        batch_size: The block size of samples that are drawn for the fingerprint; None takes the
            samples that the case has drawn, or noise.

    Returns:
        ``mean`` and ``std`` as texts of at most eight numbers, what they are ``of``, the block
        size and the device; empty where the model needs a condition that the data lack.
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
        "device": case.model.device.type,
    }


def same_stream(stated: Any, found: Mapping[str, Any]) -> bool:
    """Whether two fingerprints agree, each number within 1e-3 of the scale of all.

    Arguments:
        stated: A fingerprint from anywhere, whatever it holds.
        found: One that was made here.
    """
    if not isinstance(stated, Mapping) or not found:
        return False
    if any(stated.get(key) != found[key] for key in ("of", "batch_size", "device")):
        return False
    theirs, ours = ([_numbers(f.get(key)) for key in ("mean", "std")] for f in (stated, found))
    if any(len(a) != len(b) or not a for a, b in zip(theirs, ours, strict=True)):
        return False
    scale = max(abs(m) + s for m, s in zip(*ours, strict=True))
    pairs = [pair for a, b in zip(theirs, ours, strict=True) for pair in zip(a, b, strict=True)]
    return all(abs(a - b) <= _WITHIN * scale for a, b in pairs)


def stated_batch_size(stated: Any) -> int | None:
    """Return the block size of samples that a fingerprint from anywhere states, or None."""
    samples = isinstance(stated, Mapping) and stated.get("of") == "samples"
    size = stated.get("batch_size") if samples else None
    return size if type(size) is int and 1 <= size <= MAX_BATCH_SIZE else None


def _samples(case: Case, batch_size: int | None) -> tuple[int, Tensor]:
    """Return the block size and the first samples of the case's seed."""
    if case.has_samples and batch_size in (None, case.batch_size):
        return case.batch_size, case.samples
    given = case.held_out if len(case.held_out["x"]) else case.batch
    size = min(batch_size or NUM_SAMPLES, len(given["x"]))
    first = rows_of(given, torch.arange(size))
    x = case.model.sample(
        size,
        condition=case.model.conditions_of(first),
        sampler=case.sampler,
        seed=seeds.derive(case.seed, "samples"),
        batch_size=size,
    )
    return size, x.cpu()


def _noise(case: Case) -> Tensor:
    generator = seeds.generator(seeds.derive(case.seed, "samples"), case.model.device)
    num = max(2, math.prod(case.model.event_shape))
    return torch.randn(NUM_SAMPLES, num, generator=generator, device=case.model.device).cpu()


def _text(values: Tensor) -> str:
    return " ".join(f"{value:.6g}" for value in values.tolist())


def _numbers(text: Any) -> list[float]:
    """Return the numbers of a text; none where it holds anything else."""
    try:
        found = [float(word) for word in str(text).split()[: NUM_SAMPLES + 1]]
    except ValueError:
        return []
    return found if all(map(math.isfinite, found)) else []
