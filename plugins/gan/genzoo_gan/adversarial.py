"""The base class of models that are trained against a critic."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from genzoo.plugin import Batch, Stage
from genzoo_gan.latent import G, GeneratorConfig, LatentModel
from genzoo_gan.suiting import game
from genzoo_gan.views import View


class AdversarialModel(LatentModel[G], abc.ABC):
    """Abstract base class of generators that are trained in a game against a critic.

    The critic belongs to the objective and exists only during training. The model defines the
    views that a critic compares, of samples and of the data, so that every game works with every
    such model.

    | Generative Adversarial Networks (Goodfellow et al., 2014)

    Class attributes:
        encodes: Whether the real views depend on the model's parameters too.
    """

    encodes: ClassVar[bool] = False

    @classmethod
    def default_stages(cls, config: GeneratorConfig) -> tuple[Stage, ...]:
        """Return the non-saturating game; see `suiting.game`."""
        return (game(config.network),)

    @abc.abstractmethod
    def fake(
        self, z: Tensor, batch: Batch, generator: torch.Generator, temperature: float
    ) -> View:
        """Return the critic's view of samples, for codes (B, L).

        Arguments:
            z: The codes.
            batch: The rows, with labels for the samples.
            generator: The only source of randomness.
            temperature: τ of the gradient through categories.
        """

    @abc.abstractmethod
    def real(self, batch: Batch, generator: torch.Generator) -> View:
        """Return the critic's view of the data; ``generator`` is the only source of randomness."""
