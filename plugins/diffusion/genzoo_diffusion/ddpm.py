"""The denoising diffusion probabilistic model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genzoo.plugin import Batch, Label, Layout, LogProb, Real, Space
from genzoo_diffusion.config import DiffusionConfig
from genzoo_diffusion.data_states import DataStates
from genzoo_diffusion.diffusion import Diffusion


@dataclass(frozen=True, kw_only=True)
class DDPMConfig(DiffusionConfig):
    """A denoising diffusion model."""

    event: Space
    """The data: `Unit`, scaled to [−1, 1], with a likelihood of grey levels if it has levels; or
    `Real`, not scaled."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fill_network(self.event.event_shape)
        self._check()


class DDPM(DataStates, Diffusion):
    """A denoising diffusion model whose states are the data, scaled from [0, 1] to [−1, 1].

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)

    Arguments:
        config: Shapes, network and schedule.
    """

    Config = DDPMConfig
    default_num_samples = 100
    papers = (
        (
            "Jonathan Ho, Ajay Jain, Pieter Abbeel. Denoising Diffusion Probabilistic Models. "
            "NeurIPS, 2020."
        ),
        (
            "Alex Nichol, Prafulla Dhariwal. Improved Denoising Diffusion Probabilistic Models. "
            "ICML, 2021."
        ),
        "Jonathan Ho, Tim Salimans. Classifier-Free Diffusion Guidance. 2022.",
    )
    limits = (
        (
            "Its likelihood is a lower bound for the chain of all T times; samplers that take "
            "fewer steps draw from other distributions, whose likelihood is not known. The "
            "default sampler ends at the mean of the last step, without that step's noise and "
            "between the grey levels; --sampler.exact draws from the likelihood's distribution."
        ),
        (
            "Guidance above 1 does not draw from the model's distribution: samples fit their "
            "condition better and vary less."
        ),
        "A sample needs as many runs of the network as its sampler has steps.",
    )

    def __init__(self, config: DDPMConfig) -> None:
        super().__init__(config, config.event.event_shape)

    @classmethod
    def example(cls) -> tuple[DDPMConfig, Batch]:
        """Return a small conditional U-Net, and twelve rows."""
        generator = torch.Generator().manual_seed(0)
        config = DDPMConfig(
            event=Real(shape=(1, 4, 4)),
            channels=(8, 8),
            num_train_timesteps=10,
            schedule="cosine",
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.randn(12, 1, 4, 4, generator=generator)
        return config, {"x": x, "label": torch.arange(12) % 3}

    def layout(self) -> Layout:
        """Return diffusers' layout: a `DDPMPipeline` of images, or the parts of one."""
        from genzoo_diffusion.diffusers_layout import pipeline_layout

        return pipeline_layout(self)

    # Capabilities

    @property
    def log_prob_kind(self) -> Literal["lower bound"]:
        """A lower bound."""
        return "lower bound"

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return the variational bound on log p(x) of each example, in nats.

        The terms of the prior and of the last reverse step are computed for every row, the others
        at ``num_samples`` times for each row, one drawn from each of as many equal parts of the
        chain.

        Arguments:
            x: Examples (N, *event_shape).
            condition: The condition of each example by name, or one for all.
            generator: The generator of times and noise, on the model's device.
            num_samples: The number of times; min(T − 1, 100) by default. At T − 1 every term is
                computed.

        Raises:
            DataError: The examples have values to which the likelihood assigns probability 0.
        """
        from genzoo_diffusion.vlb import estimate

        self.check_rows(x)
        most = len(self.schedule) - 1
        num = min(self.checked_num_samples(num_samples), most)
        return estimate(self, x, self.signal(condition, len(x)), generator, num)
