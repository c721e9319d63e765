"""A classifier of images, as a distribution over labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Conditions,
    ConditionSpaces,
    Config,
    ConfigError,
    DataError,
    DataInfo,
    GenerativeModel,
    Label,
    NotFiniteSampleError,
    OneDraw,
    Space,
    Stage,
    Unit,
    batch_size_for,
)
from genzoo_gan.features import PooledFeatures, perceptron
from genzoo_gan.labels import demand_labels, num_labels
from genzoo_gan.spaces import demand_image, without_levels

_Widths = Annotated[tuple[Annotated[int, Bounds(1, 2**16)], ...], Bounds(0, 32)]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(Config):
    """A classifier of images."""

    event: Space
    """The space of the labels."""
    conditions: ConditionSpaces
    """The space of the images, under the name x."""
    hidden_dims: _Widths = (32, 48)
    """The channels of the feature extractor's layers, each of which halves the image."""
    label_dims: _Widths = (100,)
    """The widths of the label predictor's hidden layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if set(self.conditions) != {"x"}:
            raise ConfigError(
                "ClassifierConfig.conditions must have exactly one entry, the images x, got "
                f"{', '.join(self.conditions) or 'none'}."
            )
        demand_image(self.conditions["x"], "ClassifierConfig.conditions.x")


class Classifier(GenerativeModel[ClassifierConfig]):
    """A classifier, p(label | x) = softmax(l(h(x))), with features h of an image x.

    l are the logits of the features.

    As a distribution it is a distribution over labels, given an image.

    | Domain-Adversarial Training of Neural Networks (Ganin et al., 2016)

    Arguments:
        config: The spaces of labels and images, and the feature extractor's size.

    Attributes:
        features: The feature extractor, h.
        label: The label predictor.
    """

    Config = ClassifierConfig
    event_field = "label"
    event_spaces = (Label,)
    condition_spaces = (Unit,)
    needs = ("x",)
    papers = (
        (
            "Yaroslav Ganin, Evgeniya Ustinova, Hana Ajakan, Pascal Germain, Hugo Larochelle, "
            "François Laviolette, Mario Marchand, Victor Lempitsky. Domain-Adversarial Training "
            "of Neural Networks. JMLR, 2016."
        ),
    )
    limits = (
        "It does not generate images: it is a distribution over labels.",
        (
            "Features that two domains share need not mean the same labels in both: only "
            "labels of the second domain can measure that."
        ),
    )

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__(config)
        self.features = PooledFeatures(self.images.event_shape, config.hidden_dims)
        size = self.features.num_features
        num_classes = num_labels({"label": self.event})
        self.label = perceptron(size, config.label_dims, num_classes)

    @property
    def images(self) -> Space:
        """The space of the images."""
        return self.conditions["x"]

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data, without grey levels.

        Raises:
            DataError: The data have no labels.
        """
        return without_levels(super().configure(info, conditions, **overrides), overrides)

    @classmethod
    def check_event(cls, info: DataInfo) -> None:
        """Raise DataError if the data have no labels."""
        demand_labels("A classifier", info)
        super().check_event(info)

    @classmethod
    def example(cls) -> tuple[ClassifierConfig, Batch]:
        """Return a small config, and twelve labelled rows of two domains."""
        generator = torch.Generator().manual_seed(0)
        config = ClassifierConfig(
            event=Label(num_classes=3),
            conditions={"x": Unit(shape=(1, 4, 4))},
            hidden_dims=(3,),
            label_dims=(4,),
        )
        x, y = (torch.rand(12, 1, 4, 4, generator=generator) for _ in range(2))
        return config, {"x": x, "y": y, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: ClassifierConfig) -> tuple[Stage, ...]:
        """Return training on the labels of the first domain."""
        return (
            Stage(
                objective=Component(name="cross-entropy"),
                trainer={"max_steps": 3000, "batch_size": 64, "lr_scheduler": "linear"},
            ),
        )

    @property
    def default_batch_size(self) -> int:
        """The number of images that are classified at once, by the extractor's widest layer."""
        return batch_size_for(self.features.widest)

    @classmethod
    def default_sampler(cls, config: ClassifierConfig) -> Component:
        """Return draws of labels."""
        return Component(name="label-draw")

    def check_data(self, info: DataInfo) -> None:
        """Raise DataError if the images or the labels do not fit the model.

        A second domain is optional: the objective decides whether it is used.
        """
        super().check_data(info.only(tuple(name for name in info.fields if name != "y")))
        if "y" in info and (reason := self.images.accepts(info["y"])):
            raise DataError(
                f"The classifier takes images, {self.images.describe()}; the images of the second "
                f"domain do not fit: {reason}. Resize or convert them (--data-y.size, "
                "--data-y.scale), or create the model for these data."
            )

    def classify(self, x: Tensor) -> Tensor:
        """Return p(label | x), (B, num_classes), for images x, (B, C, H, W) in [0, 1]."""
        x = self.checked_rows(x, space=self.images)
        logits: Tensor = self.label(self.features_of(x))
        return logits.softmax(1)

    def features_of(self, x: Tensor) -> Tensor:
        """Return features h (B, F) of images x, (B, C, H, W) in [0, 1].

        Raises:
            DataError: The images are of another shape.
        """
        if tuple(x.shape[1:]) != self.images.event_shape:
            raise DataError(
                f"The classifier takes images of shape {self.images.event_shape}; these have "
                f"shape {tuple(x.shape[1:])}. Resize them."
            )
        h: Tensor = self.features(2 * x.to(self.device, self.dtype) - 1)
        return h


@dataclass(frozen=True, kw_only=True)
class LabelDrawConfig(Config):
    """A label for each image."""


class LabelDraw(OneDraw[LabelDrawConfig]):
    """Draw a label from p(label | x), with x as the condition."""

    Config = LabelDrawConfig
    requires = (Classifier,)

    def decode(
        self, model: Classifier, z: Tensor, condition: Conditions, generator: torch.Generator
    ) -> Tensor:
        """Return labels (num,) of int64, for conditions x (num, C, H, W).

        Raises:
            NotFiniteSampleError: A probability is not finite.
        """
        p: Tensor = model.classify(condition["x"])
        if not bool(torch.isfinite(p).all()):
            raise NotFiniteSampleError(
                "The probability of a label is not finite: values overflow in the classifier. "
                "Training may have diverged."
            )
        return torch.multinomial(p, 1, generator=generator).squeeze(1)
