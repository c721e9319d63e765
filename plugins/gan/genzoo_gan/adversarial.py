"""What the models that play against a critic have in common."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from genzoo.plugin import Batch, Component, Stage
from genzoo_gan.latent import G, GeneratorConfig, LatentModel
from genzoo_gan.views import View


class AdversarialModel(LatentModel[G], abc.ABC):
    """A generator that learns by a game against a critic; abstract.

    The critic is the objective's: it exists only while training. The model says what a critic is
    shown, of its own and of the data, so that every game can be played by every such model.

    | Generative Adversarial Networks (Goodfellow et al., 2014)

    Class attributes:
        encodes: Whether the real views depend on the model's parameters too.
    """

    encodes: ClassVar[bool] = False

    @classmethod
    def default_stages(cls, config: GeneratorConfig) -> tuple[Stage, ...]:
        """Return the non-saturating game."""
        return (
            Stage(
                objective=Component(name="non-saturating"),
                trainer={"max_steps": 20_000, "batch_size": 64},
            ),
        )

    @abc.abstractmethod
    def fake(self, z: Tensor, batch: Batch) -> View:
        """Return what the critic is shown of the model: examples for codes (B, L)."""

    @abc.abstractmethod
    def real(self, batch: Batch, generator: torch.Generator) -> View:
        """Return what the critic is shown of the data, with chance from ``generator`` alone."""
