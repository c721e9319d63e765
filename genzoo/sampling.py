"""Samples in blocks of one size, so that a seed gives the same samples for every number."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from genzoo import conditions, registry, seeds
from genzoo.config import positive, shown
from genzoo.errors import ConfigError, DataError, NotFiniteSampleError
from genzoo.finite import RunningTotal, check_weights, name_broken
from genzoo.progress import progress_bar
from genzoo.sampler import Sampler, last_of
from genzoo.spaces import Real
from genzoo.values import trusted

if TYPE_CHECKING:
    from genzoo.model import Model

_VALUES = 2**21
_MOST = 1024
Watch = Callable[[int, Tensor], None]
"""Receives each state of a block's trajectory, and the block's number."""


@dataclass(frozen=True)
class Request:
    """A request for samples; see `GenerativeModel.sample`."""

    num: int
    condition: Any
    sampler: Sampler
    start: Tensor | None
    batch_size: int | None

    def block_size(self, model: Model) -> int:
        """Return the number of samples per block."""
        return self.batch_size or block_size(model, self.num)


def block_size(model: Model, num: int) -> int:
    """Return the default block size for ``num`` samples of a model.

    Blocks are equal, and as few as the model's ``default_batch_size`` allows. So a single sample
    is drawn alone, and k blocks waste fewer than k rows.

    Raises:
        ConfigError: ``num``, or the model's ``default_batch_size``, is not a whole number of at
            least 1.
    """
    num = positive("num", num)
    most = positive(f"{type(model).__name__}.default_batch_size", model.default_batch_size)
    return -(-num // -(-num // most))


def batch_size_for(num_values: int) -> int:
    """Return a `default_batch_size` for networks by the values of their widest layer per sample.

    It is the power of two at which that layer holds about 2²¹ values, and at most 1024. With fewer
    rows, the overhead of each layer dominates; with more, values no longer fit the processor's
    cache. So a block takes about the same memory for every size of images. Measured on a CPU with
    ``benchmarks/sampling_blocks.py``.

    >>> batch_size_for(500), batch_size_for(16 * 28 * 28), batch_size_for(128 * 512 * 512)
    (1024, 128, 1)
    """
    fitting = _VALUES // positive("num_values", num_values)
    return min(_MOST, 1 << max(0, fitting.bit_length() - 1))


def own_sampler(model: Model) -> Sampler:
    """Return the model's default sampler."""
    sampler: Sampler = registry.make("samplers", model.default_sampler(model.config))
    return sampler


def checked_sampler(sampler: Any) -> Sampler:
    """Return a sampler that a user gives.

    Raises:
        ConfigError: It is not a sampler.
    """
    if isinstance(sampler, Sampler):
        return sampler
    raise ConfigError(
        f"A sampler is an instance of genzoo.plugin.Sampler, got {shown(sampler)}. Make one by "
        "its name: genzoo.plugin.make('samplers', genzoo.Component(name='gibbs'))."
    )


def preview_sampler(model: Model) -> Sampler:
    """Return the model's sampler of pictures during training."""
    sampler: Sampler = registry.make("samplers", model.preview_sampler(model.config))
    return sampler


@torch.no_grad()
def draw(model: Model, request: Request, seed: int | None, watch: Watch | None = None) -> Tensor:
    """Draw samples; block k is seeded from (seed, k), block 0 with ``seed`` itself.

    The last block is padded to the size of the others, because another number of rows would change
    its noise and the order in which a kernel sums. So the samples are a function of the seed and
    the block size, and ``num`` only says how many of them are returned.

    Sampling that takes more than a second shows a bar of the states.
    """
    num = positive("num", request.num)
    if request.batch_size is not None:
        positive("batch_size", request.batch_size)
    condition = conditions.spread(model, request.condition, num)
    start = request.start
    if start is not None:
        _check_start(model, start, num)
    check_weights(model)
    seed = seeds.fresh() if seed is None else seeds.checked(seed)
    states = checked_sampler(request.sampler).num_states(model)
    num_blocks = -(-num // request.block_size(model))
    total = None if states is None else states * num_blocks
    with evaluating(model), trusted(), progress_bar("Sampling", "state", total) as shown:

        def come(k: int, state: Tensor) -> Tensor:
            shown.update()
            if watch is not None:
                watch(k, state)
            return state

        blocks = [
            _block(model, request, condition, start, seed, k, come) for k in range(num_blocks)
        ]
    return torch.cat(blocks)[:num]


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a module into eval mode, and restore the mode of each of its parts afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    if any(mode for _, mode in modes):  # Setting modules takes time in every block.
        model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            if module.training != mode:
                module.training = mode


def _check_start(model: Model, start: Tensor, num: int) -> None:
    if len(start) != num:
        raise DataError(f"{num} samples need {num} states to start from, got {len(start)}.")
    rows = start if start.ndim > 1 else start[:, None]
    Real(shape=tuple(rows.shape[1:])).require(rows, type(model).__name__, noun="start")


def _block(
    model: Model,
    request: Request,
    condition: conditions.Conditions,
    start: Tensor | None,
    seed: int,
    k: int,
    come: Callable[[int, Tensor], Tensor],
) -> Tensor:
    sampler, size = request.sampler, request.block_size(model)
    block_seed = seed if k == 0 else seeds.derive_seed(seed, k)
    # The last row is repeated, because another number of rows would give other samples.
    index = torch.arange(k * size, (k + 1) * size).clamp_(max=request.num - 1)
    condition = conditions.condition_rows(condition, model.conditions, index)
    start = None if start is None else start[index.to(start.device)]

    def run(look: Callable[[Tensor], Tensor]) -> Tensor:
        generator = seeds.generator(block_seed, model.device)
        states = sampler.trajectory(
            model, size, start=start, condition=condition, generator=generator
        )
        state = last_of((look(come(k, s)) for s in states), type(sampler).__name__)
        return look(model.to_data(state))

    seen = RunningTotal()
    x = run(seen)
    if seen.suspects():
        _blame(model, run)
    return x


def _blame(model: Model, run: Any) -> None:
    """Run once more with all checks, and name the first module that goes wrong.

    Nothing is raised if everything is finite: the sum of large finite values can overflow.

    Raises:
        NotFiniteSampleError: A state or the sample is not finite.
        NotFiniteWeightsError: A parameter or a buffer is not finite.
    """
    name_broken(model)
    culprits: list[str] = []
    broken: list[Tensor] = []

    def look(x: Tensor) -> Tensor:
        if not torch.isfinite(x).all():
            broken.append(x)
        return x

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                culprits.append(f"{name or 'model'} ({type(module).__name__})")

        return hook

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    try:
        run(look)
    finally:
        for hook in hooks:
            hook.remove()
    if not broken:
        return
    culprit = culprits[0] if culprits else f"{type(model).__name__} itself, or its sampler"
    raise NotFiniteSampleError(
        f"A sample or a state of its trajectory is not finite, but the weights are. The first "
        f"to give NaN or infinity was {culprit}. The weights may be damaged, so that values "
        "overflow, or training may have diverged."
    )
