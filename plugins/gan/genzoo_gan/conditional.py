"""The conditional generative adversarial network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from genzoo.plugin import Batch, Categorical, ConditionSpaces, Label, Real, Unit
from genzoo_gan.adversarial import AdversarialModel
from genzoo_gan.labels import one_hot
from genzoo_gan.latent import GeneratorConfig
from genzoo_gan.views import View


@dataclass(frozen=True, kw_only=True)
class ConditionalGANConfig(GeneratorConfig):
    """A conditional generative adversarial network."""

    conditions: ConditionSpaces = field(default_factory=dict)
    """The space of the label, and of any further labels of the generator."""


class ConditionalGAN(AdversarialModel[ConditionalGANConfig]):
    """A generator x = G(z, y) for a label y, against a critic that sees the label too.

    The generator receives the code and the label as a one-hot vector, concatenated; the critic
    uses an inner product of the label's embedding and its features (a projection).

    | Conditional Generative Adversarial Nets (Mirza, Osindero, 2014)
    | cGANs with Projection Discriminator (Miyato, Koyama, 2018)

    Arguments:
        config: The spaces of data and labels, and the generator's layers.
    """

    Config = ConditionalGANConfig
    event_spaces = (Real, Unit, Categorical)
    condition_spaces = (Label,)
    needs = ("label",)
    papers = (
        "Mehdi Mirza, Simon Osindero. Conditional Generative Adversarial Nets. arXiv, 2014.",
        "Takeru Miyato, Masanori Koyama. cGANs with Projection Discriminator. ICLR, 2018.",
    )
    limits = (
        "It has no likelihood, and may miss modes within a label.",
        "That a sample has the requested label is learned, not guaranteed: see label-accuracy.",
    )

    @classmethod
    def example(cls) -> tuple[ConditionalGANConfig, Batch]:
        """Return a small config, and twelve rows with three labels."""
        generator = torch.Generator().manual_seed(0)
        config = ConditionalGANConfig(
            event=Real(shape=(1, 3, 3)),
            latent_dim=2,
            hidden_dims=(6,),
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.rand(12, 1, 3, 3, generator=generator)
        return config, {"x": x, "label": torch.arange(12) % 3}

    def fake(
        self, z: Tensor, batch: Batch, generator: torch.Generator, temperature: float
    ) -> View:
        """Return G(z, y), as codes, with the labels of the batch."""
        y = one_hot(self.conditions_of(batch), self.conditions, z)
        return View(self.output.relaxed(self.outputs(z, y), generator, temperature), y=y)

    def real(self, batch: Batch, generator: torch.Generator) -> View:
        """Return the data, as codes, with their labels."""
        x = self.output.codes(batch["x"], self.dtype)
        return View(x, y=one_hot(self.conditions_of(batch), self.conditions, x))
