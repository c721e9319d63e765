"""Diffusion of discrete data: places are masked or replaced, and a network restores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Binary,
    Categorical,
    Component,
    DataInfo,
    Label,
    LogProb,
    Stage,
    batch_size_for,
)
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.config import with_captions
from genzoo_diffusion.construction import make_embedder
from genzoo_diffusion.denoising_model import DenoisingModel
from genzoo_diffusion.discrete_config import DiscreteDiffusionConfig
from genzoo_diffusion.discrete_kernels import KERNELS, Uniform
from genzoo_diffusion.discrete_networks import make_token_network, widest
from genzoo_diffusion.discrete_schedule import KeepSchedule
from genzoo_diffusion.discrete_suiting import learning, suited
from genzoo_diffusion.text_ends import consistent

_PREVIEW_STEPS = 16


class DiscreteDiffusion(DenoisingModel[DiscreteDiffusionConfig]):
    """A diffusion of zeros and ones or of categories, with a lower bound on log p(x).

    Forward, each place keeps its category with probability α(t) and is else masked (absorbing
    kernel) or drawn anew (uniform kernel). A network sees the state x_t and returns p(x_0 | x_t)
    of each place. Time is continuous, or has T steps.

    A text whose space has a padding ends at the first padding. With the absorbing kernel a place
    after a known padding is padding with probability one, and there is none before a known letter.

    | Structured Denoising Diffusion Models in Discrete State-Spaces
    | (Austin, Johnson, Ho, Tarlow, van den Berg, 2021)
    | Simple and Effective Masked Diffusion Language Models (Sahoo et al., 2024)

    Arguments:
        config: The space of the data, the kernel, the schedule and the network.

    Attributes:
        kernel: What replaces a category.
        schedule: α(t).
        embedder: Encodes the conditions for the network.
        network: Returns logits (B, *event_shape, K) for states, times and encoded conditions.
    """

    Config = DiscreteDiffusionConfig
    event_spaces = (Binary, Categorical)
    default_num_samples = 32
    papers = (
        (
            "Jacob Austin, Daniel D. Johnson, Jonathan Ho, Daniel Tarlow, Rianne van den Berg. "
            "Structured Denoising Diffusion Models in Discrete State-Spaces. NeurIPS, 2021."
        ),
        (
            "Subham Sekhar Sahoo, Marianne Arriola, Yair Schiff, Aaron Gokaslan, Edgar Marroquin, "
            "Justin T. Chiu, Alexander Rush, Volodymyr Kuleshov. Simple and Effective Masked "
            "Diffusion Language Models. NeurIPS, 2024."
        ),
        (
            "Jiaxin Shi, Kehang Han, Zhe Wang, Arnaud Doucet, Michalis K. Titsias. Simplified and "
            "Generalized Masked Diffusion for Discrete Data. NeurIPS, 2024."
        ),
    )
    limits = (
        (
            "Its likelihood is a lower bound, for the chain of the model's own time. Samplers "
            "with fewer steps draw places at once that depend on each other: their samples are "
            "worse, and their likelihood is not known."
        ),
        (
            "Confidence-ordered unmasking and guidance above 1 do not draw from the model's "
            "distribution: samples vary less."
        ),
        "A sample needs as many runs of the network as its sampler has steps.",
    )

    def __init__(self, config: DiscreteDiffusionConfig) -> None:
        super().__init__(config)
        categories = config.event.num_values
        self.num_categories: int = categories or 0
        self.kernel = KERNELS[config.kernel](self.num_categories)
        self.schedule = KeepSchedule(config.schedule, config.sigma, config.alpha_end)
        self.embedder = make_embedder(config)
        self.network = make_token_network(config, self.kernel.num_states, self.kernel.uses_time)

    @property
    def default_batch_size(self) -> int:
        """The number of states that are denoised at once, by the network's widest layer."""
        return batch_size_for(widest(self.config))

    @property
    def padding(self) -> int | None:
        """The category that marks the end of a text; None if the data have none."""
        event = self.event
        return event.padding if isinstance(event, Categorical) else None

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data: the network, and words of captions."""
        cls.check_event(info)
        fields = suited(info[cls.event_field], overrides)
        values = {**fields, **with_captions(info, conditions, overrides)}
        return super().configure(info, conditions, **values)

    @classmethod
    def example(cls) -> tuple[DiscreteDiffusionConfig, Batch]:
        """Return a small conditional transformer, and twelve rows."""
        config = DiscreteDiffusionConfig(
            event=Categorical(shape=(4,), num_categories=3),
            network="transformer",
            hidden_dim=8,
            num_layers=1,
            num_heads=2,
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.randint(3, (12, 4), generator=torch.Generator().manual_seed(0))
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: DiscreteDiffusionConfig) -> tuple[Stage, ...]:
        """Return training by the bound of the model's time; see `discrete_suiting.learning`."""
        return (learning(config),)

    @classmethod
    def default_sampler(cls, config: DiscreteDiffusionConfig) -> Component:
        """Return ancestral sampling."""
        return Component(name="discrete-ancestral")

    @classmethod
    def preview_sampler(cls, config: DiscreteDiffusionConfig) -> Component:
        """Return ancestral sampling with few steps."""
        return Component(name="discrete-ancestral", config={"num_inference_steps": _PREVIEW_STEPS})

    # Units

    def state(self, x: Tensor) -> Tensor:
        """Return rows of the event's space as categories (B, *event_shape), int64."""
        return x.long()

    def to_data(self, state: Tensor) -> Tensor:
        """Return a state in the units of x; a masked place is −1, or ½ of zeros and ones."""
        masked = state == self.num_categories
        if isinstance(self.event, Categorical):
            return state.masked_fill(masked, -1)
        return state.to(self.dtype).masked_fill(masked, 0.5)

    def settled(self, state: Tensor) -> Tensor:
        """Return a state in which every place after a known padding is padding.

        A step may draw a padding and a letter after it. The letter is then replaced, which adds
        probability to rows of the space, so that the bound stays a bound.
        """
        event = self.event
        return event.ended(state) if isinstance(event, Categorical) else state

    # Conditionals

    def alpha(self, t: float) -> Tensor:
        """Return α(t), in float64, on the model's device."""
        return self.schedule.alpha(torch.tensor(t, dtype=torch.float64, device=self.device))

    def keep(self, s: float, t: float) -> Tensor:
        """Return α(t) / α(s), the probability that a place is not replaced between s and t."""
        return self.alpha(t) / self.alpha(s)

    def predict(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the network's logits, (B, *event_shape, K), for states at times (B,) in [0, 1].

        With the absorbing kernel they do not depend on the times. `informed` adds what the state
        says by itself.
        """
        times = t.to(self.dtype) if self.kernel.uses_time else None
        logits: Tensor = self.network(x_t, times, signal)
        return logits

    def informed(self, logits: Tensor, x_t: Tensor, t: Tensor | float) -> Tensor:
        """Return the logits of p(x_0 | x_t), (B, *event_shape, K), by the network's logits.

        With the uniform kernel log q(x_t | x_0) of the place itself is added: by Bayes' rule the
        network has to learn only what the other places say. With the absorbing kernel a masked
        place says nothing, and logits of what the end of a text rules out are −∞.

        Arguments:
            logits: Logits of `predict`, possibly with guidance.
            x_t: The state, (B, *event_shape).
            t: The times (B,), or one time.
        """
        kernel, padding = self.kernel, self.padding
        if isinstance(kernel, Uniform):
            t = torch.as_tensor(t, dtype=torch.float64, device=x_t.device)
            alpha = self.schedule.alpha(t).view(-1, *[1] * (x_t.ndim - 1))
            return logits + kernel.log_noise(x_t, alpha).to(logits.dtype)
        if padding is None:
            return logits
        return consistent(logits, x_t, self.num_categories, padding)

    def log_denoised(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return log p(x_0 | x_t), (B, *event_shape, K), for states at times (B,)."""
        return self.informed(self.predict(x_t, t, signal), x_t, t).log_softmax(-1)

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
        """Return an unbiased estimate of the variational bound on log p(x) of each row, in nats.

        With the absorbing kernel, the weights of all numbers k of masked places are computed
        exactly, and ``num_samples`` of the k are drawn, stratified, each with a random choice of
        places; see `discrete_bound.by_masked_places`. With the uniform kernel, ``num_samples``
        times are drawn, stratified; if there are T steps and as many samples, every one is used.

        Arguments:
            x: Examples (N, *event_shape).
            condition: The condition of each example by name, or one for all.
            generator: The generator of times and states, on the model's device.
            num_samples: The number of states for each row; 32 by default.
        """
        from genzoo_diffusion.discrete_bound import estimate

        x = self.checked_rows(x)
        num = self.checked_num_samples(num_samples)
        return estimate(self, x, self.signal(condition, len(x)), generator, num)

    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 64,
        condition: Any = None,
    ) -> Tensor:
        """Return ``x`` (B, *event_shape) with values drawn given the rest where ``mask`` is true.

        With the absorbing kernel the chain starts with the known places shown and the others
        masked. This is exact if the network is, up to the number of steps; with as many steps as
        places to fill, one at a time is drawn. With the uniform kernel known places are noised to
        the time of each step, and each step is repeated; this is approximate. See
        `discrete_inpainting`.

        Arguments:
            x: Examples; where the mask is true they may have any values.
            mask: Where to fill in, bool, broadcastable to the shape of ``x``.
            generator: The generator of the draws, on the model's device.
            num_inference_steps: The number of steps.
            condition: The condition of each row by name, or one for all; None for no condition, if
                the model is trained for that.

        Raises:
            ConditionError: A condition is missing, superfluous or out of range.
            ConfigError: num_inference_steps is less than 1.
            DataError: A value that is kept is not in the space.
            NotFiniteSampleError: A probability is not finite.
        """
        from genzoo_diffusion.discrete_inpainting import inpaint

        x, mask = self.checked_inpainting(x, mask)
        if x.shape[0] == 0:
            return x
        return inpaint(self, x, mask, generator, num_inference_steps, condition)
