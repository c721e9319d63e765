"""Random transforms of other people's data, from the generator of a batch."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def seeded(generator: torch.Generator | None) -> Iterator[None]:
    """Seed the global streams of torch, numpy and Python from a generator, and restore them.

    Transforms of images draw from these streams. So a batch depends on its generator only, as
    resuming a run needs it. Without a generator nothing changes.
    """
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**32, (), generator=generator))
    python, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)
