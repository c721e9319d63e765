"""Defaults that follow from the data: networks for a space, and how long they are trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genzoo.plugin import Component, Space, Stage
from genzoo_gan.outputs import OUTPUTS, fitting
from genzoo_gan.sizes import halved

_FEW = 8
_LARGE_SIDE, _SMALLEST_SIDE = 16, 7
_CHANNELS, _MOST_CHANNELS = 32, 256
_MOST_CODES = 64
_PENALTY = {"r1": 0.1, "r1_fade": 0.5}


def suited(event: Space, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the generator's fields for data, without those that are given.

    - Codes have as many numbers as the data, at most 64: more would only be mapped away, and in
      the plane they blur the modes (benchmarks/README.md). A category counts as K numbers.
    - Images with sides of at least 16 get transposed convolutions with batch normalisation, as in
      DCGAN: 32 channels before the last doubling and twice as many before each earlier one, up to
      256, from an image whose smaller side is at most 7. Fully connected layers learn smaller
      images as well, and several times faster on a CPU.
    - Up to 8 numbers get three layers of 128 units, other data two layers of 256 units.

    Widths that are given without a network are those of fully connected layers.

    | Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
    | (Radford, Metz, Chintala, 2016)

    Arguments:
        event: The space of the data.
        given: Fields of the config that the user sets.
    """
    shape = OUTPUTS[fitting(event)](event).shape
    large = len(shape) == 3 and min(shape[1:]) >= _LARGE_SIDE
    kind = "convolutional" if large and "hidden_dims" not in given else "flat"
    network = given.get("network", kind)
    fields = {
        "latent_dim": min(_MOST_CODES, math.prod(shape)),
        "network": network,
        "hidden_dims": _widths(shape) if network == "flat" else _channels(shape),
        "batch_norm": network == "convolutional",
    }
    return {name: value for name, value in fields.items() if name not in given}


def _widths(shape: Sequence[int]) -> tuple[int, ...]:
    return (128,) * 3 if math.prod(shape) <= _FEW else (256,) * 2


def _channels(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the channels before each doubling, from the code to the image.

    >>> _channels((1, 28, 28)), _channels((3, 32, 32)), _channels((3, 64, 64))
    ((64, 32), (128, 64, 32), (256, 128, 64, 32))
    """
    if len(shape) != 3:
        return (256,) * 2  # The network says that it is for images.
    times = 1
    while min(halved(shape[1], shape[2], times)[-1]) > _SMALLEST_SIDE:
        times += 1
    return tuple(min(_CHANNELS << i, _MOST_CHANNELS) for i in reversed(range(times)))


def game(network: str) -> Stage:
    """Return a stage of the non-saturating game.

    The R1 penalty, without which the game need not converge (Mescheder et al., 2018), falls to 0
    over half of the updates: it leads the generator to all modes, but blurs them. A critic of
    fully connected layers learns at twice the generator's rate (Heusel et al., 2017). Rates fall
    linearly to 0, and the published weights are averages (Yazıcı et al., 2019).

    | Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018)
    | GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium
    | (Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017)
    | The Unusual Effectiveness of Averaging in GAN Training (Yazıcı et al., 2019)

    Arguments:
        network: The generator's kind of layers.
    """
    flat = network == "flat"
    rates = {"lr": 1e-3, "critic_lr": 2e-3} if flat else {"lr": 5e-4}
    return Stage(
        objective=Component(name="non-saturating", config={**rates, **_PENALTY}),
        trainer={
            "max_steps": 7_000 if flat else 6_000,
            "batch_size": 128 if flat else 64,
            "lr_scheduler": "linear",
            "ema_decay": 0.995 if flat else 0.999,
        },
    )


def num_codes(event: Space) -> int:
    """Return a sixth of the data's numbers, at least 2 and at most 64: codes that are inferred.

    A critic of pairs distinguishes long codes instead of the data, and samples stay blurred.
    """
    most = event.num_dims
    return min(_MOST_CODES, most, max(2, most // 6))


def inference_game(network: str) -> Stage:
    """Return the stage of `game` for pairs of data and codes.

    Fully connected layers learn pairs at about three times the rates, with a penalty that is
    smaller and fades later: until then it keeps all modes.

    Arguments:
        network: The generator's kind of layers.
    """
    stage = game(network)
    if network != "flat":
        return stage
    values = {"lr": 3e-3, "critic_lr": 5e-3, "r1": 0.05, "r1_fade": 0.8}
    return replace(stage, objective=Component(name=stage.objective.name, config=values))
