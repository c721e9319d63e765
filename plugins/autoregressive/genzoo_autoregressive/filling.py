"""Filling in the places of rows in a model's order: samples, and the rest of given rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import DataError, NotFiniteSampleError, evaluating
from genzoo_autoregressive.chains import Chain, Steps, log_probs
from genzoo_autoregressive.choosing import DRAWS, ChoosingConfig, chosen
from genzoo_autoregressive.ends import Known

if TYPE_CHECKING:
    from genzoo_autoregressive.model import Autoregressive


def fill_in(
    model: Autoregressive[Any],
    found: Sequence[Chain],
    x: Tensor,
    kept: Tensor,
    given: Tensor | None,
    generator: torch.Generator,
) -> Tensor:
    """Return rows (B, *event_shape) with values drawn by some chains where ``kept`` is false.

    Raises:
        DataError: What is kept is not the beginning of a row in the order of each chain.
        NotFiniteSampleError: A parameter is not finite.
    """
    if not len(x):
        return x
    kept = kept.flatten(1)
    check_beginning(found, kept, type(model).__name__)
    with evaluating(model):
        states = filled(model, found, x.flatten(1), kept, given, DRAWS, generator)
        return deque(states, maxlen=1)[0].view(x.shape)


def check_beginning(found: Sequence[Chain], kept: Tensor, who: str) -> None:
    """Raise DataError unless what is kept is the beginning of each row in each chain's order.

    Arguments:
        found: The chains.
        kept: Which values are given, (B, D) bool.
        who: The name of the model's class.
    """
    for chain in found:
        ordered = kept[:, chain.order]
        wrong = (ordered[:, 1:] & ~ordered[:, :-1]).nonzero()
        if len(wrong):
            row, index = wrong[0].tolist()
            raise DataError(
                f"{who} draws values given those before them: in row {row}, place "
                f"{int(chain.order[index])} is to be filled in and place "
                f"{int(chain.order[index + 1])}, the next one in its order, is given. Give the "
                "beginning of the row in the model's order, such as the top of an image."
            )


@torch.no_grad()
def filled(
    model: Autoregressive[Any],
    found: Sequence[Chain],
    x: Tensor,
    kept: Tensor,
    given: Tensor | None,
    how: ChoosingConfig,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Yield rows (B, D) after each place is filled in, the same tensor each time.

    Places that are still to be filled in have zeros, or padding if the space has it.

    Each row is drawn from one chain of the mixture, by the chains' probabilities of what is given.

    Arguments:
        model: The model.
        found: Its chains.
        x: Rows (B, D) in canonical form; values that are not kept are replaced.
        kept: Which values are given, (B, D) bool: the beginning of a row in each chain's order.
        given: The vectors of the conditions, (B, W).
        how: How values are drawn.
        generator: The generator, on the model's device.

    Raises:
        NotFiniteSampleError: A parameter is not finite.
    """
    x = torch.where(kept, x, torch.full_like(x, model.output.padding or 0))
    device, dtype = model.device, model.dtype
    u = torch.rand(len(x), model.num_places, generator=generator, device=device, dtype=dtype)
    groups = [
        _Group(
            chain,
            rows,
            chain.steps(x[rows], _rows(given, rows)),
            kept[rows],
            Known.nothing(model.output, rows, model.num_places),
        )
        for chain, rows in _groups(model, found, x, kept, given, generator)
    ]
    total = torch.zeros((), device=device)
    for index in range(model.num_places):
        for group in groups:
            place, rows = group.places[index], group.rows
            values = x[rows, place]
            if not group.given[place]:
                parameters = group.steps.parameters(index)
                total = total + parameters.float().sum()
                parameters = group.known.limited(parameters, place)
                drawn = chosen(model.output.log_probs(parameters), u[rows, index], how)
                new = model.output.values(drawn, dtype)
                values = torch.where(kept[rows, place], values, new)
                x[rows, place] = values
            group.steps.put(index, values)
            group.known.put(place, values)
        yield x
    _check_finite(total)


class _Group:
    """The rows that are drawn from one chain.

    Arguments:
        chain: The chain.
        rows: Their indices, (B,).
        steps: The parameters of one place after another.
        kept: Which values of the rows are given, (B, D) bool.
        known: What is known of their ends.
    """

    def __init__(
        self, chain: Chain, rows: Tensor, steps: Steps, kept: Tensor, known: Known
    ) -> None:
        self.rows, self.steps, self.known = rows, steps, known
        # Read once, so that no place waits for the device.
        self.places: list[int] = chain.order.tolist()
        self.given: list[bool] = kept.all(0).tolist()


def _groups(
    model: Autoregressive[Any],
    found: Sequence[Chain],
    x: Tensor,
    kept: Tensor,
    given: Tensor | None,
    generator: torch.Generator,
) -> Iterator[tuple[Chain, Tensor]]:
    """Yield each chain with the rows that are drawn from it, if there are any."""
    if len(found) == 1:
        yield found[0], torch.arange(len(x), device=x.device)
        return
    log_w = torch.stack(
        [
            log_probs(chain, model.output, x, given).where(kept, torch.zeros(())).sum(-1)
            for chain in found
        ],
        dim=-1,
    )
    u = torch.rand(len(x), generator=generator, device=x.device, dtype=log_w.dtype)
    which = chosen(log_w.log_softmax(-1), u, DRAWS)
    for index, chain in enumerate(found):
        rows = (which == index).nonzero()[:, 0]
        if len(rows):
            yield chain, rows


def _rows(given: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if given is None else given[rows]


def _check_finite(total: Tensor) -> None:
    """Raise if a parameter is not finite: categories are whole numbers and cannot show it."""
    if not bool(torch.isfinite(total)):
        raise NotFiniteSampleError(
            "The probability of a value is not finite. The weights may be damaged, or training "
            "may have diverged."
        )
