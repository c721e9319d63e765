"""The semi-supervised generative adversarial network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from genzoo.plugin import Batch, Bounds, Component, DataError, DataInfo, Label, Real, Stage
from genzoo_gan.backbones import TRUNKS
from genzoo_gan.labels import demand_labels
from genzoo_gan.latent import GeneratorConfig, LatentModel, Network, NumClasses, Widths
from genzoo_gan.noise import noisy


@dataclass(frozen=True, kw_only=True)
class SemiSupervisedGANConfig(GeneratorConfig):
    """A generative adversarial network that classifies."""

    num_classes: NumClasses
    """K: the number of labels."""
    classifier_network: Network | None = None
    """The classifier's layers; as the generator's by default."""
    classifier_hidden_dims: Widths | None = None
    """Their widths or channels; the generator's the other way round by default."""
    noise: Annotated[float, Bounds(0.0, 100.0)] = 0.3
    """The standard deviation of the noise before each of the classifier's layers, in training."""


class SemiSupervisedGAN(LatentModel[SemiSupervisedGANConfig]):
    """A generator x = G(z) and a classifier with K labels and the class "generated".

    The classifier has K logits l(x); the logit of class K + 1 is 0, so that

        p(y | x, real) = softmax(l(x))_y,   D(x) = p(real | x) = Z / (Z + 1),   Z = Σ_k exp l_k(x).

    | Improved Techniques for Training GANs
    | (Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, 2016)

    Arguments:
        config: The space of the data, the layers of both networks and the number of labels.

    Attributes:
        classifier: Returns the logits of x.
    """

    Config = SemiSupervisedGANConfig
    papers = (
        (
            "Tim Salimans, Ian Goodfellow, Wojciech Zaremba, Vicki Cheung, Alec Radford, Xi Chen. "
            "Improved Techniques for Training GANs. NeurIPS, 2016."
        ),
    )
    limits = (
        "It has no likelihood.",
        (
            "Its purpose is classification: feature matching helps the classifier most "
            "while its samples are still poor."
        ),
        (
            "Its accuracy depends on which rows are labelled: measure it over several draws of "
            "them."
        ),
    )

    def __init__(self, config: SemiSupervisedGANConfig) -> None:
        super().__init__(config)
        widths = config.classifier_hidden_dims
        self.classifier = Classifier(
            config.classifier_network or config.network,
            self.event_shape,
            tuple(reversed(config.hidden_dims)) if widths is None else widths,
            config.num_classes,
            config.noise,
        )

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data, with the number of their labels.

        Raises:
            DataError: The data have no labels.
        """
        if "num_classes" not in overrides:
            overrides["num_classes"] = demand_labels("A semi-supervised GAN", info).num_classes
        return super().configure(info, conditions, **overrides)

    @classmethod
    def example(cls) -> tuple[SemiSupervisedGANConfig, Batch]:
        """Return a small config, and twelve rows, of which every other one has a label."""
        generator = torch.Generator().manual_seed(0)
        config = SemiSupervisedGANConfig(
            event=Real(shape=(1, 3, 3)), latent_dim=2, hidden_dims=(6,), num_classes=3
        )
        x = torch.rand(12, 1, 3, 3, generator=generator)
        label = torch.arange(12) % 3
        return config, {"x": x, "label": torch.where(torch.arange(12) % 2 == 0, label, -1)}

    @classmethod
    def default_stages(cls, config: SemiSupervisedGANConfig) -> tuple[Stage, ...]:
        """Return feature matching with falling rates and averaged weights."""
        return (
            Stage(
                objective=Component(
                    name="feature-matching", config={"lr": 1e-3, "classifier_lr": 1e-3}
                ),
                trainer={
                    "max_steps": 6_000,
                    "batch_size": 128,
                    "lr_scheduler": "linear",
                    "ema_decay": 0.995,
                },
            ),
        )

    def check_data(self, info: DataInfo) -> None:
        """Raise DataError if the rows or their labels do not fit the model."""
        super().check_data(info)
        known = Label(num_classes=self.config.num_classes)
        if "label" in info and (reason := known.accepts(info["label"])):
            raise DataError(
                f"The classifier has {known.num_classes} labels; these data do not fit: "
                f"{reason}. Create the model for these data."
            )

    def classify(self, x: Tensor) -> Tensor:
        """Return p(y | x, real), (B, K), for rows of ``x`` (B, *event_shape)."""
        logits: Tensor = self.classifier(self.checked_rows(x))
        return logits.softmax(1)


class Classifier(nn.Module):
    """Features of an example, and K logits of them.

    Arguments:
        network: The kind of layers for the features; a name of ``TRUNKS``.
        event_shape: The shape of one example.
        hidden_dims: The widths or channels of the layers.
        num_classes: K.
        noise: The standard deviation of the noise before each layer, in training.
    """

    def __init__(
        self,
        network: str,
        event_shape: Sequence[int],
        hidden_dims: Sequence[int],
        num_classes: int,
        noise: float,
    ) -> None:
        super().__init__()
        self.features = TRUNKS[network](event_shape, hidden_dims)
        self.logits = nn.Linear(self.features.num_features, num_classes)
        if noise:
            noisy(self, noise)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K)."""
        logits: Tensor = self.logits(self.features(x))
        return logits
