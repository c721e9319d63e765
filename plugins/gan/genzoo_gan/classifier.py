"""A classifier of images, as a distribution over labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo import (
    Batch,
    Bounds,
    Component,
    Config,
    DataError,
    DataSpec,
    GenerativeModel,
    Sampler,
    Stage,
    Values,
    batch_size_for,
)
from genzoo.errors import NotFiniteSampleError
from genzoo_gan.features import PooledFeatures, perceptron
from genzoo_gan.labels import demand_labels

_Widths = Annotated[tuple[Annotated[int, Bounds(1, 2**16)], ...], Bounds(0, 32)]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(Config):
    """A classifier of images."""

    image_shape: Annotated[tuple[Annotated[int, Bounds(1, 2**14)], ...], Bounds(3, 3)]
    """The shape of an image, (C, H, W)."""
    num_classes: Annotated[int, Bounds(1, 2**20)]
    """The number of labels."""
    hidden_dims: _Widths = (32, 48)
    """The channels of the feature extractor's layers, each of which halves the image."""
    label_dims: _Widths = (100,)
    """The widths of the label predictor's hidden layers."""


class Classifier(GenerativeModel):
    """A classifier, p(label | x) = softmax(l(h(x))), with features h of an image x.

    l are the logits of the features.

    As a distribution it is one over labels, as one-hot vectors, given an image.

    | Domain-Adversarial Training of Neural Networks (Ganin et al., 2016)

    Arguments:
        config: Shapes and the feature extractor's size.

    Attributes:
        features: The feature extractor, h.
        label: The label predictor.
    """

    Config = ClassifierConfig
    kind = frozenset({"unit"})
    papers = (
        (
            "Yaroslav Ganin, Evgeniya Ustinova, Hana Ajakan, Pascal Germain, Hugo Larochelle, "
            "François Laviolette, Mario Marchand, Victor Lempitsky. Domain-Adversarial Training "
            "of Neural Networks. JMLR, 2016."
        ),
    )
    limits = (
        "It makes no images: what it is a distribution over are labels.",
        (
            "Features that two domains share need not mean the same labels in both: nothing "
            "measures that but labels of the second one."
        ),
    )

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__(config)
        self.features = PooledFeatures(config.image_shape, config.hidden_dims)
        size = self.features.num_features
        self.label = perceptron(size, config.label_dims, config.num_classes)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of a label, one-hot."""
        return (self.config.num_classes,)

    @property
    def condition_kind(self) -> str:
        """An image."""
        return "image"

    @property
    def condition_values(self) -> Values:
        """What an image holds."""
        return Values("unit", tuple(self.config.image_shape))

    @classmethod
    def configure(cls, spec: DataSpec, **overrides: Any) -> Any:
        """Return a config that fits the data.

        Raises:
            DataError: The data have no labels.
        """
        demand_labels("A classifier", spec, overrides)
        return super().configure(spec, **{"image_shape": spec.event_shape, **overrides})

    @classmethod
    def example(cls) -> tuple[ClassifierConfig, Batch]:
        """Return a small one, and twelve labelled rows of two domains for it."""
        generator = torch.Generator().manual_seed(0)
        config = ClassifierConfig(
            image_shape=(1, 4, 4), num_classes=3, hidden_dims=(3,), label_dims=(4,)
        )
        x, y = (torch.rand(12, 1, 4, 4, generator=generator) for _ in range(2))
        return config, {"x": x, "y": y, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: ClassifierConfig) -> tuple[Stage, ...]:
        """Return learning from the labels of the first domain."""
        return (
            Stage(
                objective=Component(name="cross-entropy"),
                trainer={"steps": 3000, "batch_size": 64, "schedule": "linear"},
            ),
        )

    @property
    def default_batch_size(self) -> int:
        """How many images get a label at once, by the extractor's widest layer."""
        return batch_size_for(self.features.widest)

    @classmethod
    def default_sampler(cls, config: ClassifierConfig) -> Component:
        """Return draws of labels."""
        return Component(name="label-draw")

    def check_data(self, spec: DataSpec) -> None:
        """Raise DataError where the images or the labels are not the model's.

        A second domain may be there or not: it depends on the objective whether it is looked at.
        """
        self.check_kind(spec)
        shape, num = tuple(self.config.image_shape), self.config.num_classes
        for domain in (spec, spec.y):
            if domain is not None and tuple(domain.event_shape) != shape:
                raise DataError(
                    f"The classifier takes images of shape {shape}; these have shape "
                    f"{tuple(domain.event_shape)}. Resize them, or make the model with "
                    f"image_shape={tuple(domain.event_shape)}."
                )
        if spec.num_classes is not None and spec.num_classes > num:
            raise DataError(
                f"The classifier knows {num} labels; these data have {spec.num_classes}. Make the "
                f"model with num_classes={spec.num_classes}."
            )

    def classify(self, x: Tensor) -> Tensor:
        """Return p(label | x), (B, num_classes), for images x, (B, C, H, W) in [0, 1]."""
        x = self.checked_rows(x, values=self.condition_values)
        logits: Tensor = self.label(self.features_of(x))
        return logits.softmax(1)

    def features_of(self, x: Tensor) -> Tensor:
        """Return features h (B, F) of images x, (B, C, H, W) in [0, 1].

        Raises:
            DataError: The images are of another shape.
        """
        if tuple(x.shape[1:]) != tuple(self.config.image_shape):
            raise DataError(
                f"The classifier takes images of shape {tuple(self.config.image_shape)}; these "
                f"have shape {tuple(x.shape[1:])}. Resize them."
            )
        h: Tensor = self.features(2 * x.to(self.device, self.dtype) - 1)
        return h


@dataclass(frozen=True, kw_only=True)
class LabelDrawConfig(Config):
    """A label for each image."""


class LabelDraw(Sampler):
    """A one-hot label drawn from p(label | x), where x is the condition.

    A trajectory has one state.
    """

    Config = LabelDrawConfig
    requires = (Classifier,)

    def trajectory(
        self,
        model: GenerativeModel,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Any = None,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield one-hot labels, (num, num_classes), for conditions x (num, C, H, W).

        Raises:
            NotFiniteSampleError: A probability is not finite.
        """
        p: Tensor = self.checked(model).classify(condition)
        if not bool(torch.isfinite(p).all()):
            raise NotFiniteSampleError(
                "A label's probability is not finite: values overflow in the classifier. Training "
                "may have diverged."
            )
        label = torch.multinomial(p, 1, generator=generator).squeeze(1)
        yield F.one_hot(label, p.shape[1]).to(p.dtype)
