"""The conditional generative adversarial network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo import Batch, DataSpec
from genzoo_gan.adversarial import AdversarialModel
from genzoo_gan.labels import demand_labels, one_hot
from genzoo_gan.latent import GeneratorConfig, NumClasses
from genzoo_gan.views import View


@dataclass(frozen=True, kw_only=True)
class ConditionalGANConfig(GeneratorConfig):
    """A conditional generative adversarial network."""

    num_classes: NumClasses
    """The number of labels."""


class ConditionalGAN(AdversarialModel):
    """A generator x = G(z, y) for a label y, against a critic that sees the label too.

    The generator is given the label as a one-hot vector beside the code; the critic takes it by an
    inner product with its features (a projection).

    | Conditional Generative Adversarial Nets (Mirza, Osindero, 2014)
    | cGANs with Projection Discriminator (Miyato, Koyama, 2018)

    Arguments:
        config: Shapes, the generator's layers and the number of labels.
    """

    Config = ConditionalGANConfig
    papers = (
        "Mehdi Mirza, Simon Osindero. Conditional Generative Adversarial Nets. arXiv, 2014.",
        "Takeru Miyato, Masanori Koyama. cGANs with Projection Discriminator. ICLR, 2018.",
    )
    limits = (
        "It has no likelihood, and may leave out kinds of examples within a label.",
        "That a sample has the label asked for is learned, not certain: see label-accuracy.",
    )

    @classmethod
    def configure(cls, spec: DataSpec, **overrides: Any) -> Any:
        """Return a config that fits the data, with the number of its labels.

        Raises:
            DataError: The data have no labels.
        """
        demand_labels("A conditional GAN", spec, overrides)
        return super().configure(spec, **overrides)

    @classmethod
    def example(cls) -> tuple[ConditionalGANConfig, Batch]:
        """Return a small one, and twelve rows of three labels for it."""
        generator = torch.Generator().manual_seed(0)
        config = ConditionalGANConfig(
            event_shape=(1, 3, 3), latent_dim=2, hidden_dims=(6,), num_classes=3
        )
        x = torch.rand(12, 1, 3, 3, generator=generator)
        return config, {"x": x, "label": torch.arange(12) % 3}

    @property
    def condition_kind(self) -> str:
        """Always "label"."""
        return "label"

    def fake(self, z: Tensor, batch: Batch) -> View:
        """Return G(z, y), with the labels of the batch."""
        y = one_hot(batch["label"], self.num_labels, z)
        return View(self.generate(z, y), y=y)

    def real(self, batch: Batch, generator: torch.Generator) -> View:
        """Return the data with their labels."""
        return View(batch["x"], y=one_hot(batch["label"], self.num_labels, batch["x"]))
