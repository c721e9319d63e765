"""The objective of a semi-supervised GAN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Config,
    DataError,
    Goal,
    Loss,
    Meaning,
    Objective,
    Step,
)
from genzoo_gan.semi_supervised import SemiSupervisedGAN

_Rate = Annotated[float, Bounds(0.0, 1e3)]


@dataclass(frozen=True, kw_only=True)
class FeatureMatchingConfig(Config):
    """A classifier with K labels and fakes, and a generator that matches its features."""

    lr: _Rate = 3e-4
    """The generator's learning rate."""
    classifier_lr: _Rate = 3e-4
    """The classifier's learning rate."""
    unlabelled_weight: Annotated[float, Bounds(0.0, 1e6)] = 1.0
    """The weight of the term for real and fake, relative to the term for labels."""


class FeatureMatching(Objective[FeatureMatchingConfig]):
    """A classifier of labels and of real and fake, and a generator that matches its features.

    With logits l, Z = Σ_k exp l_k and D = Z / (Z + 1), the classifier minimises

        −E log softmax(l(x))_y − w (E log D(x) + E log(1 − D(G(z)))),

    the first term over rows with labels, the second over rows without labels, or over all rows if
    all have labels. The generator minimises ‖E f(x) − E f(G(z))‖², with the features f before the
    logits.

    | Improved Techniques for Training GANs
    | (Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, 2016)
    """

    Config = FeatureMatchingConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "classifier/loss": Meaning(
            "cross-entropy of the labels plus the weighted loss of telling data from fakes",
            unit="nats",
            goal=Goal("none"),
            healthy="it falls at first, then is steady",
        ),
        "generator/loss": Meaning(
            "squared distance of the mean features of data and fakes",
            goal=Goal("none"),
            healthy="it is steady; it need not fall, because the features change too",
        ),
        "labels": Meaning(
            "cross-entropy of the labels of labelled rows", unit="nats", goal=Goal("lower", 0.0)
        ),
        "real_or_fake": Meaning(
            "cross-entropy of data and fakes by the classifier",
            unit="nats",
            goal=Goal("none"),
            healthy="it is steady between 0, certain, and 1.39, unable to distinguish",
        ),
        "accuracy": Meaning(
            "share of labelled rows whose label is the most probable one",
            unit="share",
            goal=Goal("higher", 1.0),
        ),
    }
    requires = (SemiSupervisedGAN,)
    reads = ("label",)
    model: SemiSupervisedGAN

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the model's classifier and generator."""
        return {
            "classifier": list(self.model.classifier.parameters()),
            "generator": list(self.model.generator.parameters()),
        }

    @classmethod
    def optimizers(cls, config: FeatureMatchingConfig) -> Mapping[str, Component]:
        """Return Adam with the rates of the config."""
        rates = {"classifier": config.classifier_lr, "generator": config.lr}
        return {
            player: Component(name="adam", config={"lr": lr, "betas": (0.5, 0.999)})
            for player, lr in rates.items()
        }

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the classifier's loss, then the generator's.

        Raises:
            DataError: The rows have no labels.
        """
        if "label" not in batch:
            raise DataError(
                "Feature matching learns from labels of some rows; these data have none. Give "
                "labelled data; --data.labelled 100 keeps a hundred of the labels."
            )
        yield self._classifier_move(batch["x"], batch["label"], step)
        yield self._generator_move(batch["x"], batch["label"], step)

    def _classifier_move(self, x: Tensor, label: Tensor, step: Step) -> Loss:
        with torch.no_grad():
            fake = self.model.generate(self.model.latent(len(x), step.generator))
        real, made = (self.model.classifier(rows) for rows in (x, fake))
        log_z, log_z_fake = real.logsumexp(1), made.logsumexp(1)
        labels = _mean(F.cross_entropy(real, label.clamp_min(0), reduction="none"), label >= 0)
        told = _mean(F.softplus(-log_z), unlabelled(label)) + F.softplus(log_z_fake).mean()
        metrics = {
            "labels": labels,
            "real_or_fake": told,
            "accuracy": _mean((real.argmax(1) == label).to(x.dtype), label >= 0),
            "score_real": _mean(log_z, unlabelled(label)),
            "score_fake": log_z_fake.mean(),
        }
        detached = {name: value.detach() for name, value in metrics.items()}
        value = labels + self.config.unlabelled_weight * told
        return Loss(value, player="classifier", metrics=detached if step.logged else {})

    def _generator_move(self, x: Tensor, label: Tensor, step: Step) -> Loss:
        z = self.model.latent(len(x), step.generator)
        features = self.model.classifier.features
        with torch.no_grad():
            wanted = _mean(features(x), unlabelled(label)[:, None])
        made = features(self.model.generate(z)).mean(0)
        return Loss((made - wanted).square().sum(), player="generator")


def unlabelled(label: Tensor) -> Tensor:
    """Return which rows have no label, (B,); all rows if each has one."""
    without = label < 0
    return without | ~without.any()


def _mean(values: Tensor, over: Tensor) -> Tensor:
    """Return the mean over the rows where ``over`` is true; 0 without such rows."""
    weight = over.to(values.dtype)
    return (weight * values).sum(0) / weight.sum(0).clamp_min(1)
