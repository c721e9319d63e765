"""Defaults that follow from the data: hidden units, filters, and how machines learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genzoo.plugin import Binary, Component, Space, Stage

MOST_HIDDEN = 500
DEEP_HIDDEN = (500, 500)
_HIDDEN_PER_VISIBLE = 4
_MOST_RATE, _RATE_TIMES_VISIBLE = 0.35, 80.0
_SWEEPS, _WEIGHT_DECAY = 5, 1e-4
_MOST_ABOVE = 2000
_LATER_STEPS, _LATER_RATE, _UP_DOWN_STEPS = 5000, 0.3, 1500
_MOST_COMPLETE, _LEAST_MIXING, _GENERAL_STEPS = 32, 16, 18_000
_IMAGE_PER_FILTER, _LEAST_FILTER, _POOLS = 4, 3, (2, 3)
_SMALL_SIDE, _FILTERS_OF_SMALL = 12, 128


def num_hidden(event: Space) -> int:
    """Return four hidden units for each visible one, at most 500.

    More units would let chains of small data mix worse and make each sweep slower.
    """
    return min(MOST_HIDDEN, _HIDDEN_PER_VISIBLE * event.num_dims)


def rate(event: Space) -> float:
    """Return the learning rate: 80 over the number of visible units, at most 0.35.

    A hidden unit's field is a sum over the visible units, so an update changes it in proportion to
    their number. For binarised MNIST that is 0.1, which learns more in ten epochs than 0.05 and
    still mixes well (benchmarks/README.md).
    """
    return min(_MOST_RATE, _RATE_TIMES_VISIBLE / event.num_dims)


def learning(event: Space, max_steps: int = 15_000) -> Stage:
    """Return a stage of centred persistent contrastive divergence with a falling learning rate.

    It begins at `rate`. Five sweeps an update keep the chains near the
    machine at such rates, where one leaves whole kinds of data out; a weight decay of 1e-4 keeps
    them mixing (Hinton, 2010).

    | A Practical Guide to Training Restricted Boltzmann Machines (Hinton, 2010)

    Arguments:
        event: The space of the data.
        max_steps: The number of updates.
    """
    values = {"lr": rate(event), "num_steps": _SWEEPS, "weight_decay": _WEIGHT_DECAY}
    return Stage(
        objective=Component(name="pcd", config=values),
        trainer={"max_steps": max_steps, "batch_size": 100, "lr_scheduler": "linear"},
    )


def num_mixing(event: Space) -> int:
    """Return four hidden units for each real visible one, at least 16 and at most 500.

    A mixture of 2^16 normal densities is exact and can follow the modes of data in the plane.
    """
    return max(_LEAST_MIXING, num_hidden(event))


def real_learning() -> Stage:
    """Return a stage of centred persistent contrastive divergence for real data of any unit.

    At twice the rate, samples are clearer from some seeds and leave out kinds of data from others:
    σ² falls so far that chains stay in one mode.
    """
    return Stage(
        objective=Component(name="pcd", config={"lr": 0.01}),
        trainer={"max_steps": 40_000, "batch_size": 100, "lr_scheduler": "linear"},
    )


def general(event: Space, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the graph and the hidden units of a general machine, without those that are given.

    Up to 32 visible units are all connected, with each other and with 8 hidden units. A sweep of
    such a machine takes as many steps as there are units, so more visible units get the graph
    "restricted" and as many hidden units as an RBM has.

    Arguments:
        event: The space of the data.
        given: Fields of the config that the user sets.
    """
    small = event.num_dims <= _MOST_COMPLETE
    if not small and not {"graph", "edges"} & given.keys():
        return {"graph": "restricted", "num_hidden": num_hidden(event), **given}
    return dict(given)


def general_learning(event: Space) -> Stage:
    """Return the stage of `learning` at 1.4 times its rate, and with more updates.

    It is for restricted graphs.

    Arguments:
        event: The space of the data.
    """
    return _at(learning(event, _GENERAL_STEPS), 1.4)


def hidden_dims(event: Space) -> tuple[int, int]:
    """Return as many units as an RBM has, and at least the visible ones, at most 2,000, above.

    So the second machine can start from the first one transposed.

    Arguments:
        event: The space of the data.
    """
    num = num_hidden(event)
    return num, min(_MOST_ABOVE, max(num, event.num_dims))


def greedy(event: Space, dims: Sequence[int]) -> tuple[Stage, ...]:
    """Return a stage of `learning` for each machine of a deep belief net, and one of `up-down`.

    A machine that starts as the one below it, transposed, is already as good: fewer updates at a
    third of the rate improve it, while the full rate would undo what it starts with.

    Arguments:
        event: The space of the data.
        dims: The numbers of hidden units, from below.
    """
    events = (event, *(Binary(shape=(num,)) for num in dims[:-1]))
    names = [f"rbms.{level}" for level in range(len(dims))]
    sizes = (event.num_dims, *dims)
    stages = []
    for level, (its, name) in enumerate(zip(events, names, strict=True)):
        stage = learning(its)
        if level and sizes[level + 1] >= sizes[level - 1]:
            stage = _at(learning(its, _LATER_STEPS), _LATER_RATE)
        stages.append(replace(stage, model=name, inputs=tuple(names[:level])))
    last = {"lr": rate(event), "weight_decay": _WEIGHT_DECAY}
    fine = Stage(
        objective=Component(name="up-down", config=last),
        trainer={"max_steps": _UP_DOWN_STEPS, "batch_size": 100, "lr_scheduler": "linear"},
    )
    return (*stages, _at(fine, _LATER_RATE))


def _at(stage: Stage, factor: float) -> Stage:
    """Return a stage with its learning rate times a factor."""
    values = {**stage.objective.config, "lr": factor * stage.objective.config["lr"]}
    return replace(stage, objective=Component(name=stage.objective.name, config=values))


def filters(
    image: tuple[int, ...], filter_size: int | None = None, pool: int | None = None
) -> dict[str, int]:
    """Return ``filter_size`` and ``pool`` of a convolutional machine; those given are kept.

    Filters are a quarter as high as the image and at least 3 × 3, or as close to it as leaves maps
    that blocks of 2 × 2, or else of 3 × 3, divide. Without such a size, as when height and width
    differ by one, units are not pooled. Filters of `small` images are one less than the image, so
    that they see the whole of it.

    Arguments:
        image: The shape of the images, (channels, height, width).
        filter_size: The height and width of a filter.
        pool: The height and width of a block.
    """
    _, height, width = image
    side = min(height, width)
    part = side - 1 if small(image) else round(side / _IMAGE_PER_FILTER)
    wanted = min(side, max(_LEAST_FILTER, part))
    sizes = sorted(
        range(min(2, side), min(2 * wanted, side) + 1),
        key=lambda size: (abs(size - wanted), -size),
    )
    for p in [pool] if pool else _POOLS:
        for size in [filter_size] if filter_size else sizes:
            if (height - size + 1) % p == 0 == (width - size + 1) % p:
                return {"filter_size": size, "pool": p}
    return {"filter_size": filter_size or wanted, "pool": pool or 1}


def small(image: tuple[int, ...]) -> bool:
    """Whether images are at most 12 pixels high or wide, so that filters can see all of them."""
    return min(image[1:]) <= _SMALL_SIDE


def num_filters(image: tuple[int, ...]) -> dict[str, int]:
    """Return ``num_filters`` of a convolutional machine for `small` images; else its default."""
    return {"num_filters": _FILTERS_OF_SMALL} if small(image) else {}


def convolution(image: tuple[int, ...]) -> Stage:
    """Return a stage of centred persistent contrastive divergence for shared filters.

    Their gradient is a mean over all places of all images, so it has little noise and takes a
    large rate and few images. Filters that see the whole of `small` images have few places, and
    learn as an RBM does.

    Arguments:
        image: The shape of the images, (channels, height, width).
    """
    values: dict[str, Any] = {"lr": 10.0}
    if small(image):
        values = {"lr": 3.0, "num_steps": _SWEEPS, "weight_decay": _WEIGHT_DECAY}
    return Stage(
        objective=Component(name="pcd", config=values),
        trainer={
            "max_steps": 16_000 if small(image) else 10_000,
            "batch_size": 100 if small(image) else 50,
            "lr_scheduler": "linear",
        },
    )


def deep_dims(event: Space) -> tuple[int, ...]:
    """Return two hidden layers for a deep machine, each as large as an RBM's."""
    return tuple(min(most, num_hidden(event)) for most in DEEP_HIDDEN)


def deep_learning(event: Space) -> tuple[Stage, ...]:
    """Return greedy pretraining of a deep machine's layers, and joint learning of all of them.

    Arguments:
        event: The space of the data.
    """
    pretraining = Stage(
        objective=Component(name="dbm-pretraining"),
        trainer={"max_steps": 2000, "batch_size": 100, "lr_scheduler": "linear"},
    )
    return pretraining, learning(event)
