"""The generative adversarial network with an encoder."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genzoo.plugin import Batch, DataInfo, Real, Space, Stage
from genzoo_gan.adversarial import AdversarialModel
from genzoo_gan.backbones import TRUNKS
from genzoo_gan.latent import GeneratorConfig
from genzoo_gan.suiting import inference_game, num_codes
from genzoo_gan.views import View


@dataclass(frozen=True, kw_only=True)
class BiGANConfig(GeneratorConfig):
    """A generative adversarial network with an encoder."""

    inference: Literal["function", "gaussian"] = "function"
    """The code of an example: a function of it (BiGAN), or a draw from a Gaussian (ALI)."""


class BiGAN(AdversarialModel[BiGANConfig]):
    """A generator x = G(z) and an encoder z = E(x), against a critic that sees pairs (x, z).

    The critic distinguishes (x, E(x)) of the data from (G(z), z) of the prior. At the optimum both
    pairs have the same distribution, so that E inverts G. The critic sees data in [0, 1] and codes
    unscaled.

    | Adversarial Feature Learning (Donahue, Krähenbühl, Darrell, 2017)
    | Adversarially Learned Inference (Dumoulin et al., 2017)

    Arguments:
        config: The space of the data, the generator's layers, which the encoder mirrors, and the
            kind of code.
    """

    Config = BiGANConfig
    encodes = True
    papers = (
        (
            "Jeff Donahue, Philipp Krähenbühl, Trevor Darrell. Adversarial Feature Learning. "
            "ICLR, 2017."
        ),
        "Vincent Dumoulin et al. Adversarially Learned Inference. ICLR, 2017.",
    )
    limits = (
        "It has no likelihood, and may miss modes of the data.",
        (
            "Only the critic makes G(E(x)) equal x: reconstructions resemble x in kind "
            "before they resemble it in their pixels."
        ),
    )

    def __init__(self, config: BiGANConfig) -> None:
        super().__init__(config)
        self.encoder = ENCODERS[config.inference](config)

    @classmethod
    def example(cls) -> tuple[BiGANConfig, Batch]:
        """Return a small config, and twelve rows."""
        generator = torch.Generator().manual_seed(0)
        config = BiGANConfig(
            event=Real(shape=(1, 3, 3)), latent_dim=2, hidden_dims=(6,), inference="gaussian"
        )
        return config, {"x": torch.rand(12, 1, 3, 3, generator=generator)}

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data; see `suiting.suited` and `suiting.num_codes`."""
        cls.check_event(info)
        fitted = {"latent_dim": num_codes(info[cls.event_field])}
        return super().configure(info, conditions, **{**fitted, **overrides})

    @classmethod
    def default_stages(cls, config: GeneratorConfig) -> tuple[Stage, ...]:
        """Return the non-saturating game of pairs; see `suiting.inference_game`."""
        return (inference_game(config.network),)

    @property
    def codes(self) -> Space:
        """Codes z, (L,)."""
        return Real(shape=(self.config.latent_dim,))

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the code of each row of ``x`` (B, *event_shape), or its mean, (B, L).

        Raises:
            ConditionError: A condition was given.
        """
        self.checked_condition(condition, x.shape[0])
        found: Tensor = self.encoder.mean(self.checked_rows(x))
        return found

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw a code for each row of ``x`` (B, *event_shape), (B, L); E(x) is deterministic.

        Raises:
            ConditionError: A condition was given.
        """
        self.checked_condition(condition, x.shape[0])
        found: Tensor = self.encoder.draw(self.checked_rows(x), generator)
        return found

    def fake(
        self, z: Tensor, batch: Batch, generator: torch.Generator, temperature: float
    ) -> View:
        """Return G(z) with its code."""
        return View(self.generate(z), z)

    def real(self, batch: Batch, generator: torch.Generator) -> View:
        """Return the data with their codes."""
        return View(batch["x"], self.encoder.draw(batch["x"], generator))


class Encoder(nn.Module, abc.ABC):
    """Abstract base class of encoders, whose layers mirror the generator's.

    Arguments:
        config: The generator's.
    """

    per_code: int

    def __init__(self, config: BiGANConfig) -> None:
        super().__init__()
        widths = tuple(reversed(config.hidden_dims))
        self.trunk = TRUNKS[config.network](config.event.event_shape, widths)
        self.output = nn.Linear(self.trunk.num_features, self.per_code * config.latent_dim)

    def outputs(self, x: Tensor) -> Tensor:
        """Return the outputs of the layers for examples, (B, per_code · L)."""
        out: Tensor = self.output(self.trunk(x))
        return out

    @abc.abstractmethod
    def mean(self, x: Tensor) -> Tensor:
        """Return the mean code of each example, (B, L)."""

    @abc.abstractmethod
    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a code for each example, (B, L), through which gradients pass."""


class FunctionEncoder(Encoder):
    """z = E(x)."""

    per_code = 1

    def mean(self, x: Tensor) -> Tensor:
        """Return E(x)."""
        return self.outputs(x)

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return E(x), which is deterministic."""
        return self.outputs(x)


class GaussianEncoder(Encoder):
    """z = μ(x) + σ(x) ε, ε ~ N(0, I)."""

    per_code = 2

    def mean(self, x: Tensor) -> Tensor:
        """Return μ(x)."""
        return self.outputs(x).chunk(2, dim=1)[0]

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return μ(x) + σ(x) ε."""
        mean, log_variance = self.outputs(x).chunk(2, dim=1)
        eps = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + (0.5 * log_variance).exp() * eps


ENCODERS: dict[str, type[Encoder]] = {"function": FunctionEncoder, "gaussian": GaussianEncoder}
