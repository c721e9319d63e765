"""One GPU: training and sampling by genzoo, next to diffusers' example and to loops by hand.

    python benchmarks/gpu.py --minutes 8

Four groups: a U-Net that denoises images of 3 × 32 × 32, a VAE of 784-400-20 units, a transformer
over patches of 3 × 32 × 32, and 50 steps of DDIM with the U-Net. Each has genzoo's loop in
float32, in bf16, and with channels last, `compile` and `compile_regions`; next to it a loop by
hand, and for the U-Net the loop of diffusers' example. All draw their batches from random rows in
the memory of the host; the Trainer also logs, checks that losses are finite and seeds each move.

Every loop is run once, which compiles. Then all loops of a group are measured in turn, round after
round, for as long as the group's share of the time lasts, and at least three times. A rate is the
median over rounds; a ratio is the median of the ratios within a round, with its 95 % interval from
the order statistics. Updates that follow a start are not counted. How often and how long the host
waits is looked at in five further updates. Lines are printed when their group is finished.

`--tiny` runs everything on a CPU with tiny networks and without a compiler, to see that it runs.
"""

from __future__ import annotations

import argparse
import copy
import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import accelerate
import diffusers
import torch
from gpu_loops import (
    CLIP,
    DECAY,
    denoising_by_hand,
    diffusers_example,
    repeated,
    through_the_trainer,
    vae_by_hand,
)
from gpu_measuring import Row, heading, line, look_inside, measure, prepare
from timing import circumstances, say
from torch import Tensor, nn
from vae_training_speed import LATENT, Net

import genzoo
from genzoo.data import from_array
from genzoo.training.compiling import regions
from genzoo_diffusion.samplers import DDIM, DDIMConfig

SEED = 0
FEWEST_ROUNDS = 3
PRECISIONS = {"no": "float32", "bf16": "bf16"}


@dataclass(frozen=True)
class Sizes:
    """The sizes of everything.

    Arguments:
        image: The shape of an image.
        unet: The config of the U-Net.
        transformer: The config of the transformer.
        rows: The number of rows of the data.
        batch: The batch size; that of the VAE is 128.
        samples: The number of samples drawn at once.
        inference_steps: The steps of DDIM.
        warm: The updates that are not counted.
        seconds: How long a measurement takes about.
        most: The most updates of a measurement.
    """

    image: tuple[int, int, int]
    unet: dict[str, Any]
    transformer: dict[str, Any]
    rows: int
    batch: int
    samples: int
    inference_steps: int
    warm: int
    seconds: float
    most: int


FULL = Sizes(
    image=(3, 32, 32),
    unet={"channels": (128, 256, 256), "layers_per_block": 2},
    transformer={"patch_size": 4, "hidden_dim": 384, "num_layers": 12, "num_heads": 6},
    rows=20_000,
    batch=128,
    samples=64,
    inference_steps=50,
    warm=5,
    seconds=1.0,
    most=1_000,
)
TINY = Sizes(
    image=(3, 8, 8),
    unet={"channels": (8, 8), "layers_per_block": 1},
    transformer={"patch_size": 4, "hidden_dim": 8, "num_layers": 2, "num_heads": 2},
    rows=32,
    batch=4,
    samples=2,
    inference_steps=2,
    warm=1,
    seconds=0.0,
    most=2,
)

VARIANTS = {
    "": {},
    ", channels last": {"channels_last": True},
    ", channels last, compile_regions": {"channels_last": True, "compile_regions": True},
    ", channels last, compile": {"channels_last": True, "compile": True},
}
"""What is switched on besides bf16, in this order."""


def images(sizes: Sizes) -> Tensor:
    """Return random images in [0, 1]."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.rand(sizes.rows, *sizes.image, generator=generator)


def denoiser(sizes: Sizes, network: str) -> Any:
    """Return a DDPM that has learned nothing."""
    torch.manual_seed(SEED)
    config = sizes.unet if network == "image" else sizes.transformer
    event = genzoo.Unit(shape=sizes.image)
    return genzoo.create_model("ddpm", event=event, network=network, **config)


def denoising(sizes: Sizes, device: torch.device, network: str) -> Iterator[Row]:
    """Yield the loops that train a denoiser, those that compile last."""
    x, make = images(sizes), functools.partial(denoiser, sizes, network)
    data, plain = from_array(x, "random"), make().network
    trainer = functools.partial(
        through_the_trainer,
        make,
        data,
        "denoising",
        sizes.batch,
        max_grad_norm=CLIP,
        ema_decay=DECAY,
    )
    for precision, title in PRECISIONS.items():
        by_hand = denoising_by_hand(plain, x, sizes.batch, device, precision)
        yield Row(f"by hand, {title}", by_hand)
        if network == "image":
            example = diffusers_example(plain, x, sizes.batch, precision)
            yield Row(f"diffusers' example, {title}", example, f"by hand, {title}")
    yield Row("genzoo, float32", trainer(), "by hand, float32")
    for name, config in _variants(convolutions=network == "image"):
        loop = trainer(mixed_precision="bf16", **config)
        yield Row(f"genzoo, bf16{name}", loop, "by hand, bf16", compiles="compile" in name)


def _variants(*, convolutions: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, config in VARIANTS.items():
        if convolutions:
            yield name, config
        elif name != ", channels last":
            rest = {key: value for key, value in config.items() if key != "channels_last"}
            yield name.replace(", channels last", ""), rest


def vae(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Yield the loops that train a VAE of bits."""
    generator = torch.Generator().manual_seed(SEED)
    bits = (torch.rand(sizes.rows, 1, 28, 28, generator=generator) < 0.15).to(torch.uint8)
    data, batch = from_array(bits, "bits"), min(128, sizes.rows)
    event = genzoo.Binary(shape=(1, 28, 28))

    def make() -> Any:
        torch.manual_seed(SEED)
        return genzoo.create_model("vae", event=event, latent_dim=LATENT, hidden_dims=(400,))

    for precision, title in PRECISIONS.items():
        by_hand = vae_by_hand(Net, bits.flatten(1), batch, device, precision)
        yield Row(f"by hand, {title}", by_hand)
        loop = through_the_trainer(make, data, "elbo", batch, mixed_precision=precision)
        yield Row(f"genzoo, {title}", loop, f"by hand, {title}")
    loop = through_the_trainer(make, data, "elbo", batch, compile=True)
    yield Row("genzoo, float32, compile", loop, "by hand, float32", compiles=True)


def sampling(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Yield loops that draw samples by DDIM, in float32."""
    num, steps = sizes.samples, sizes.inference_steps
    sampler = DDIM(DDIMConfig(num_inference_steps=steps))
    pipeline = diffusers.DDIMPipeline(
        unet=copy.deepcopy(denoiser(sizes, "image").network.unet),
        scheduler=diffusers.DDIMScheduler(timestep_spacing="trailing"),
    ).to(device)
    pipeline.set_progress_bar_config(disable=True)

    def theirs() -> object:
        generator = torch.Generator(device).manual_seed(SEED)
        return pipeline(num, generator=generator, num_inference_steps=steps, output_type="np")

    title = "diffusers' pipeline"
    yield Row(title, repeated(theirs), per_update=num)
    for way in ("", ", compile_regions", ", compile"):
        model = denoiser(sizes, "image").to(device).eval()
        chosen = {"": [], ", compile": [model.network]}.get(way)
        for module in list(regions(model.network)) if chosen is None else chosen:
            module.compile()
        draw = functools.partial(model.sample, num, sampler=sampler, seed=SEED)
        yield Row(f"genzoo{way}", repeated(draw), title, compiles=bool(way), per_update=num)


def run(rows: list[Row], sizes: Sizes, device: torch.device, until: float) -> None:
    """Prepare the loops and measure them in turn until a time of the clock.

    A loop that fails is left out with its error, such as a compiler that is missing.
    """

    def attempt(row: Row, action: Callable[[], None]) -> None:
        if row.failure:
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the other loops are still measured
            row.failure = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"

    for row in rows:
        if row.compiles and time.perf_counter() > until:
            row.failure = "left out: no time"
        attempt(
            row,
            functools.partial(prepare, row, device, sizes.warm, sizes.seconds, sizes.most),
        )
        sys.stderr.write(f"{row.name}: {row.failure or f'{row.set_up:.1f} s'}\n")
    number = 0
    while number < FEWEST_ROUNDS or time.perf_counter() < until:
        # Each round begins with another loop.
        first = number % len(rows)
        for row in rows[first:] + rows[:first]:
            attempt(row, functools.partial(measure, row, device, sizes.warm))
        number += 1
        if sizes is TINY and number == FEWEST_ROUNDS:
            break
    for row in rows:
        attempt(row, functools.partial(look_inside, row, device, sizes.warm))


def on_a_cpu() -> None:
    """Let Accelerate take the CPU, and PyTorch trace networks without compiling them."""
    os.environ["ACCELERATE_USE_CPU"] = "true"
    compile = nn.Module.compile
    nn.Module.compile = functools.partialmethod(compile, backend="eager")  # type: ignore[assignment]


def main() -> None:
    """Print a table for each group."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="the time for everything")
    parser.add_argument("--tiny", action="store_true", help="tiny networks on a CPU")
    given = parser.parse_args()
    if not (given.tiny or torch.cuda.is_available()):
        parser.exit(2, "PyTorch finds no CUDA device. Give --tiny to try it on a CPU.\n")
    if given.tiny:
        on_a_cpu()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    sizes, device = (TINY, torch.device("cpu")) if given.tiny else (FULL, torch.device("cuda", 0))
    name = "CPU, tiny networks" if given.tiny else torch.cuda.get_device_name(device)
    versions = f"diffusers {diffusers.__version__}, accelerate {accelerate.__version__}"
    say(
        f"{circumstances(torch.get_num_threads())}; {versions}; CUDA {torch.version.cuda}; {name}",
        f"seed {SEED}, batches of {sizes.batch}, {given.minutes:g} minutes; rates and ratios are "
        "medians over rounds in turn",
    )
    groups: dict[str, tuple[str, float, Callable[[], Iterator[Row]]]] = {
        "U-Net": ("updates/s", 0.45, lambda: denoising(sizes, device, "image")),
        "VAE 784-400-20": ("updates/s", 0.1, lambda: vae(sizes, device)),
        "Transformer": ("updates/s", 0.2, lambda: denoising(sizes, device, "transformer")),
        f"DDIM, {sizes.inference_steps} steps, U-Net, float32": (
            "samples/s",
            0.25,
            lambda: sampling(sizes, device),
        ),
    }
    end, shares = time.perf_counter() + 60 * given.minutes, 1.0
    for title, (unit, share, make) in groups.items():
        now = time.perf_counter()
        # Looking inside follows the rounds, so a fifth is kept for it.
        until, shares = now + 0.8 * max(0.0, end - now) * share / shares, shares - share
        rows = list(make())
        run(rows, sizes, device, until)
        by_name = {row.name: row for row in rows}
        say("", f"{title}", "", heading(unit))
        say(*(line(row, by_name.get(row.reference)) for row in rows))


if __name__ == "__main__":
    main()
