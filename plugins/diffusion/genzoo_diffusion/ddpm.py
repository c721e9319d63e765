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

    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 250,
        condition: Any = None,
    ) -> Tensor:
        """Return ``x`` (B, *event_shape) with values drawn given the rest where ``mask`` is true.

        After each reverse step the known values are put back with the noise of that time, and the
        rest is corrected by Langevin steps, four on average; see `inpainting.Corrected`. The
        network runs 5 min(num_inference_steps, T) times: 1,250 times by default, compared with
        1,000 for a sample with T = 1000.

        The draw is approximate, and its error falls with more steps. With the exact denoiser of
        N(0, [[1, .9], [.9, 1]]) and x_1 = 1.5, on the linear schedule of T = 1000:

        =====================  ====  ======== x_2                    mean  variance
        =====================  ====  ======== truth                  1.35  .190 20 steps
        1.24  .197 50 steps               1.31  .194 100 steps              1.33  .193 250 steps
        1.34  .192 1000 steps             1.35  .191 1000, without Langevin .94   .308
        =====================  ====  ========

        Means of eight of sixteen dimensions, given the others, have errors of at most .05
        conditional standard deviations at 250 steps if the eigenvalues of the covariance are .1 to
        2.7, and of at most .10 if they are .001 to 3.7 (.60 and 1.28 without Langevin steps). The
        bias is largest in the weights of separate modes between which the known values distinguish
        only slightly, since a chain can change the mode only while the noise is large: for N(±(.3,
        1), .04 I) with x_1 = .3 the mode whose weight is .99 gets .75 at 250 steps and .82 at 1000
        (.57 without Langevin steps).

        | Score-Based Generative Modeling through Stochastic Differential Equations
        | (Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, 2021)
        | RePaint: Inpainting using Denoising Diffusion Probabilistic Models
        | (Lugmayr et al., 2022)

        Arguments:
            x: Examples; where the mask is true they may have any values, including NaN.
            mask: Where to fill in, bool, broadcastable to the shape of ``x``.
            generator: The generator of the noise, on the model's device.
            num_inference_steps: The number of reverse steps, at most T.
            condition: The condition of each row by name, or one for all; None for no condition, if
                the model is trained for that.

        Raises:
            ConditionError: A condition is missing, superfluous or out of range.
            ConfigError: num_inference_steps is less than 1.
            DataError: A value that is kept is not finite or out of the data's range.
            NotFiniteSampleError: The network's predictions are not finite.
        """
        from genzoo_diffusion.inpainting import inpaint

        x, mask = self.checked_inpainting(x, mask)
        if len(x) == 0:
            return x
        return inpaint(self, x, mask, generator, num_inference_steps, condition)
