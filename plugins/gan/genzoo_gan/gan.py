"""The generative adversarial network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.plugin import Batch, Categorical, Real, Unit
from genzoo_gan.adversarial import AdversarialModel
from genzoo_gan.latent import GeneratorConfig
from genzoo_gan.views import View


@dataclass(frozen=True, kw_only=True)
class GANConfig(GeneratorConfig):
    """A generative adversarial network."""


class GAN(AdversarialModel[GANConfig]):
    """A generator x = G(z), z ~ N(0, I), against a critic.

    Categories are drawn from softmax(G(z)) at each place, independently given z.

    | Generative Adversarial Networks (Goodfellow et al., 2014)

    Arguments:
        config: The space of the data, and the generator's layers.
    """

    Config = GANConfig
    event_spaces = (Real, Unit, Categorical)
    papers = (
        "Ian J. Goodfellow et al. Generative Adversarial Networks. NeurIPS, 2014.",
        (
            "Alec Radford, Luke Metz, Soumith Chintala. Unsupervised Representation Learning with "
            "Deep Convolutional Generative Adversarial Networks. ICLR, 2016."
        ),
        (
            "Ishaan Gulrajani, Faruk Ahmed, Martín Arjovsky, Vincent Dumoulin, Aaron Courville. "
            "Improved Training of Wasserstein GANs. NeurIPS, 2017."
        ),
        (
            "Eric Jang, Shixiang Gu, Ben Poole. Categorical Reparameterization with "
            "Gumbel-Softmax. ICLR, 2017."
        ),
    )
    limits = (
        "It has no likelihood, and a missing mode is not visible in any single sample.",
        (
            "It maps one connected set of codes to the data: between modes that do "
            "not touch, a few samples belong to neither."
        ),
        "Its losses do not measure its quality; evaluate its samples (genzoo evaluate).",
        (
            "Of categories its gradient is biased: that of a continuous relaxation, at a "
            "temperature that is a compromise of bias and variance."
        ),
    )

    @classmethod
    def example(cls) -> tuple[GANConfig, Batch]:
        """Return a small config, and twelve rows."""
        generator = torch.Generator().manual_seed(0)
        config = GANConfig(event=Real(shape=(1, 3, 3)), latent_dim=2, hidden_dims=(6,))
        return config, {"x": torch.rand(12, 1, 3, 3, generator=generator)}

    def fake(
        self, z: Tensor, batch: Batch, generator: torch.Generator, temperature: float
    ) -> View:
        """Return G(z), as codes."""
        return View(self.output.relaxed(self.outputs(z), generator, temperature))

    def real(self, batch: Batch, generator: torch.Generator) -> View:
        """Return the data, as codes."""
        return View(self.output.codes(batch["x"], self.dtype))
