"""Samples in blocks of one size, so that a seed gives the same samples for every number."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from genzoo import conditions, process_group, registry, seeds
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


class Blocks:
    """The blocks of a request, by number; what they share is checked once.

    Block k is seeded from (seed, k), block 0 with ``seed`` itself. The last block is padded to the
    size of the others, because another number of rows would change its noise and the order in
    which a kernel sums.

    Arguments:
        model: The model.
        request: The request.
        seed: The seed; None uses a fresh one, the same on all processes that divide the work.
        runs: Whether k rows of a condition may stand for ``num / k`` successive samples each.

    Attributes:
        size: The number of samples per block.
        num: The number of blocks.
        seed: The seed.

    Raises:
        GenzooError: As for `GenerativeModel.sample`.
    """

    def __init__(
        self, model: Model, request: Request, seed: int | None, *, runs: bool = False
    ) -> None:
        num = positive("num", request.num)
        if request.batch_size is not None:
            positive("batch_size", request.batch_size)
        condition = conditions.spread_later(model, request.condition, num, runs=runs)
        if request.start is not None:
            _check_start(model, request.start, num)
        check_weights(model)
        checked = None if seed is None else seeds.checked(seed)
        self.seed = process_group.from_main(seeds.fresh) if checked is None else checked
        self.num_states = checked_sampler(request.sampler).num_states(model)
        self.model, self.request = model, replace(request, condition=condition)
        self.size = request.block_size(model)
        self.num = -(-num // self.size)

    @contextlib.contextmanager
    def drawing(self, num: int) -> Iterator[Watch]:
        """Prepare the model for ``num`` blocks, and show a bar of their states.

        Yields:
            The function that each block tells its states.
        """
        total = None if self.num_states is None else self.num_states * num
        with (
            torch.no_grad(),
            evaluating(self.model),
            trusted(),
            progress_bar("Sampling", "state", total) as shown,
        ):
            yield lambda k, state: shown.update()

    def block(self, k: int, watch: Watch) -> Tensor:
        """Return block ``k`` on the model's device, (size, *event_shape), inside of `drawing`."""
        request = self.request
        # The last row is repeated, because another number of rows would give other samples.
        index = torch.arange(k * self.size, (k + 1) * self.size).clamp_(max=request.num - 1)
        spaces = self.model.conditions
        condition = conditions.rows_at(request.condition, spaces, index, request.num)
        start = None if request.start is None else request.start[index.to(request.start.device)]
        block_seed = self.seed if k == 0 else seeds.derive_seed(self.seed, k)

        def run(look: Callable[[Tensor], Tensor]) -> Tensor:
            def seen(state: Tensor) -> Tensor:
                watch(k, state)
                return look(state)

            generator = seeds.generator(block_seed, self.model.device)
            states = request.sampler.trajectory(
                self.model, self.size, start=start, condition=condition, generator=generator
            )
            state = last_of(map(seen, states), type(request.sampler).__name__)
            return look(self.model.to_data(state))

        total = RunningTotal()
        x = run(total)
        if total.suspects():
            _blame(self.model, run)
        return x


def draw(model: Model, request: Request, seed: int | None, watch: Watch | None = None) -> Tensor:
    """Draw samples; they are a function of the seed and the block size.

    ``num`` only says how many of them are returned. Sampling that takes more than a second shows a
    bar of the states. Inside of `divided_work` the processes divide the blocks, unless the states
    are watched.
    """
    blocks = Blocks(model, request, seed)
    if watch is not None or process_group.num_processes() == 1:
        with blocks.drawing(blocks.num) as tell:

            def told(k: int, state: Tensor) -> None:
                tell(k, state)
                if watch is not None:
                    watch(k, state)

            x = torch.cat([blocks.block(k, told) for k in range(blocks.num)])
    else:
        with blocks.drawing(process_group.share_of(blocks.num)) as tell:
            drawn = process_group.map_blocks(lambda k: blocks.block(k, tell).cpu(), blocks.num)
            x = torch.cat(drawn).to(model.device)
    return x[: request.num]


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
