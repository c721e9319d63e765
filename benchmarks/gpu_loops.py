"""The loops of benchmarks/gpu.py: genzoo's Trainer, diffusers' example, and by hand."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import diffusers
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from gpu_measuring import Loop, OnStep
from torch import Tensor, nn

import genzoo
from genzoo.training import Callback
from genzoo_diffusion.conditioning import Signal

DECAY, CLIP, LR = 0.999, 1.0, 1e-4


class Steps(Callback):
    """Calls a function after each update.

    Arguments:
        on_step: The function.
    """

    def __init__(self, on_step: OnStep) -> None:
        self.call = on_step

    def on_step(self, state: Any, row: Any) -> None:
        """Call it with the number of the update."""
        self.call(state.step)


def through_the_trainer(
    make_model: Callable[[], Any], data: Any, stage: Any, batch: int, **config: Any
) -> Loop:
    """Return a loop by `genzoo.Trainer`; the model is made once, so it is compiled once.

    Arguments:
        make_model: Makes the model.
        data: The rows.
        stage: The objective.
        batch: The batch size.
        config: Training values.
    """
    made: list[Any] = []

    def loop(steps: int, on_step: OnStep) -> None:
        if not made:
            made.append(make_model())
        values = genzoo.TrainerConfig(
            max_steps=steps, batch_size=batch, progress=False, sample_steps=0, **config
        )
        genzoo.Trainer(made[0], data, stage, values, callbacks=[Steps(on_step)]).fit()
        made[0].to("cpu")  # So that it does not count as the memory of the next loop.

    return loop


def autocast(device: torch.device, precision: str) -> Any:
    """Return autocast to bfloat16, or a context that does nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def denoising_by_hand(
    network: nn.Module, x: Tensor, batch: int, device: torch.device, precision: str
) -> Loop:
    """Return a plain loop that trains a denoising network on images in [0, 1].

    It clips the gradient, averages the weights and reads the loss, as genzoo does.
    """
    alpha_bar = diffusers.DDPMScheduler().alphas_cumprod.to(device)
    a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def loop(steps: int, on_step: OnStep) -> None:
        net = copy.deepcopy(network).to(device).train()
        parameters = list(net.parameters())
        average = [p.detach().clone() for p in parameters]
        optimizer = torch.optim.Adam(parameters, lr=LR, fused=True)
        for step in range(1, steps + 1):
            rows = x[torch.randint(len(x), (batch,))].to(device)
            x_0, t = 2 * rows - 1, torch.randint(len(a), (batch,), device=device)
            noise = torch.randn_like(x_0)
            noisy = a[t].view(-1, 1, 1, 1) * x_0 + s[t].view(-1, 1, 1, 1) * noise
            with autocast(device, precision):
                predicted = net(noisy, t, Signal())
                loss = F.mse_loss(predicted.float(), noise)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - DECAY)
            loss.item()
            on_step(step)

    return loop


def diffusers_example(network: Any, x: Tensor, batch: int, precision: str) -> Loop:
    """Return the loop of diffusers' example for unconditional images, around its `UNet2DModel`.

    The example is examples/unconditional_image_generation/train_unconditional.py, read at commit
    00769f6 (2022), with its default values: AdamW, a cosine schedule after 500 updates, clipping,
    `EMAModel`, a `DataLoader` without workers, and a loss that is read in each update. Images are
    in memory, noise is drawn on the device, and nothing is logged or shown.
    """

    class Images(torch.utils.data.Dataset[Tensor]):
        def __len__(self) -> int:
            return len(x)

        def __getitem__(self, index: int) -> Tensor:
            return 2 * x[index] - 1

    def updates(accelerator: Accelerator, steps: int, on_step: OnStep) -> None:
        unet = copy.deepcopy(network.unet).train()
        scheduler = diffusers.DDPMScheduler(num_train_timesteps=1000)
        optimizer = torch.optim.AdamW(
            unet.parameters(), lr=LR, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
        )
        loader = torch.utils.data.DataLoader(Images(), batch_size=batch, shuffle=True)
        schedule = get_scheduler(
            "cosine", optimizer, num_warmup_steps=500, num_training_steps=10_000
        )
        unet, optimizer, loader, schedule = accelerator.prepare(unet, optimizer, loader, schedule)
        average = EMAModel(unet.parameters(), decay=DECAY, use_ema_warmup=True)
        average.to(accelerator.device)
        endless = (rows for _ in itertools.count() for rows in loader)
        for step, clean in zip(range(1, steps + 1), endless, strict=False):
            noise = torch.randn_like(clean)
            t = torch.randint(0, 1000, (len(clean),), device=clean.device)
            with accelerator.accumulate(unet):
                predicted = unet(scheduler.add_noise(clean, noise, t), t).sample
                loss = F.mse_loss(predicted.float(), noise)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(unet.parameters(), CLIP)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            average.step(unet.parameters())
            loss.detach().item()
            on_step(step)

    def loop(steps: int, on_step: OnStep) -> None:
        try:
            updates(Accelerator(mixed_precision=precision), steps, on_step)
        finally:
            # Its precision would be that of all accelerators of this process.
            AcceleratorState._reset_state(reset_partial_state=True)

    return loop


def vae_by_hand(
    make: Callable[[], nn.Module], x: Tensor, batch: int, device: torch.device, precision: str
) -> Loop:
    """Return a plain loop that trains a VAE, whose forward returns its loss, on flat rows."""

    def loop(steps: int, on_step: OnStep) -> None:
        net = make().to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        for step in range(1, steps + 1):
            rows = x[torch.randint(len(x), (batch,))].to(device)
            with autocast(device, precision):
                loss = net(rows.float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            on_step(step)

    return loop


def repeated(draw: Callable[[], object]) -> Loop:
    """Return a loop whose step is one call of a function."""

    def loop(steps: int, on_step: OnStep) -> None:
        for step in range(1, steps + 1):
            draw()
            on_step(step)

    return loop
