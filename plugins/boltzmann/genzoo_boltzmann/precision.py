"""Computations without autocast and TF32, for figures and acceptance probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Enter a context in which products and convolutions keep the precision of their factors.

    In bfloat16 a field of 100 has an error of up to 0.25, and an energy has hundreds of fields.
    By default cuDNN rounds the factors of float32 convolutions to 10 bits (TF32).
    """
    flags = torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled,
        benchmark=torch.backends.cudnn.benchmark,
        deterministic=torch.backends.cudnn.deterministic,
        allow_tf32=False,
    )
    with torch.autocast(device.type, enabled=False), flags:
        yield
