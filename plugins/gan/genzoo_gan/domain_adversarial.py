"""Objectives of a classifier: labels, and unlabelled images of another domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Batch, Bounds, Config, DataError, Goal, Loss, Meaning, Objective, Step
from genzoo_gan.classifier import Classifier
from genzoo_gan.features import perceptron
from genzoo_gan.reversal import reverse, rising

UNKNOWN = -1
"""The label of an unlabelled row."""


@dataclass(frozen=True, kw_only=True)
class CrossEntropyConfig(Config):
    """The labels of the first domain."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate of Adam."""


class CrossEntropy(Objective[CrossEntropyConfig]):
    """Cross-entropy: minimises −E log p(label | x) over the labelled rows.

    A second domain y is ignored.
    """

    Config = CrossEntropyConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "cross-entropy of the labels",
            unit="nats",
            goal=Goal("lower", 0.0),
            healthy="it falls from the logarithm of the number of classes",
        ),
        "accuracy_x": Meaning(
            "share of the batch whose label is the most probable one",
            unit="share",
            goal=Goal("higher", 1.0),
        ),
    }
    requires = (Classifier,)
    reads = ("label",)
    model: Classifier

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the one loss."""
        label = labels_of(batch)
        logits = self.model.label(self.model.features_of(batch["x"]))
        value, right = cross_entropy(logits, label)
        yield Loss(value, metrics={"accuracy_x": right})


@dataclass(frozen=True, kw_only=True)
class DomainAdversarialConfig(CrossEntropyConfig):
    """Labels of the first domain, and features that do not distinguish the domains."""

    weight: Annotated[float, Bounds(0.0, 1e6)] = 1.0
    """The final value of λ: how strongly the features are trained to mislead the critic."""
    steepness: Annotated[float, Bounds(0.0, 1e3)] = 10.0
    """γ: how fast λ rises from 0, as 2 / (1 + exp(−γ p)) − 1 with the share p of the steps."""
    critic_dims: Annotated[tuple[Annotated[int, Bounds(1, 2**16)], ...], Bounds(0, 32)] = (100,)
    """The widths of the critic's hidden layers."""


class DomainAdversarial(Objective[DomainAdversarialConfig]):
    """Labels of x, and features h by which a critic cannot distinguish the domains x and y.

    A critic d(h) learns to distinguish h(x) from h(y), while h learns to mislead it.

    There is one loss and one player,

        −E log p(label | x) + ½ (−E log d(R(h(x))) − E log(1 − d(R(h(y))))),

    where R is the identity, but multiplies the gradient by −λ: the critic minimises its loss, and
    the features maximise it. Labels of y are not used.

    | Domain-Adversarial Training of Neural Networks (Ganin et al., 2016)

    Attributes:
        critic: The logit of d, which is high for the first domain.
    """

    Config = DomainAdversarialConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "cross-entropy of the labels plus the loss of the critic of domains",
            unit="nats",
            goal=Goal("none"),
            healthy="it falls at first, then is steady",
        ),
        "label_loss": Meaning(
            "cross-entropy of the labels of x", unit="nats", goal=Goal("lower", 0.0)
        ),
        "domain_loss": Meaning(
            "cross-entropy of the domains by the critic",
            unit="nats",
            goal=Goal("none"),
            healthy="it is near 0.69, where the critic cannot distinguish the domains",
        ),
        "accuracy_x": CrossEntropy.meanings["accuracy_x"],
        "reversal": Meaning(
            "weight λ of the reversed gradient", goal=Goal("none"), healthy="it rises from 0"
        ),
    }
    requires = (Classifier,)
    reads = ("label", "y")
    model: Classifier

    def __init__(self, model: Classifier, config: DomainAdversarialConfig | None = None) -> None:
        super().__init__(model, config)
        self.critic = perceptron(model.features.num_features, self.config.critic_dims, 1)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the one loss.

        Raises:
            DataError: The batch has no labels, or no second domain.
        """
        if "y" not in batch:
            raise DataError(
                "domain-adversarial learns from labels of one domain and images of another; "
                "these data have one domain. Give the other: --data-y DATA; in Python, "
                "genzoo.pair(x, y)."
            )
        label = labels_of(batch)
        h_x, h_y = self.model.features_of(batch["x"]), self.model.features_of(batch["y"])
        of_labels, right = cross_entropy(self.model.label(h_x), label)
        weight = self.config.weight * rising(step.index / step.total, self.config.steepness)
        score_x, score_y = self.critic(reverse(h_x, weight)), self.critic(reverse(h_y, weight))
        of_domains = 0.5 * (F.softplus(-score_x).mean() + F.softplus(score_y).mean())
        metrics = {
            "label_loss": of_labels.detach(),
            "domain_loss": of_domains.detach(),
            "accuracy_x": right,
            "reversal": of_labels.new_full((), weight),
        }
        yield Loss(of_labels + of_domains, metrics=metrics)


def labels_of(batch: Batch) -> Tensor:
    """Return the labels of x, (B,); −1 for rows without a label.

    Raises:
        DataError: There are none.
    """
    if "label" not in batch:
        raise DataError(
            "A classifier learns from labels; these data have none. Give labelled data "
            "(--data fashion-mnist)."
        )
    label: Tensor = batch["label"]
    return label


def cross_entropy(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of −log p(label) over labelled rows, and the accuracy."""
    known = label != UNKNOWN
    num = known.sum().clamp(min=1)
    losses = F.cross_entropy(logits, label, ignore_index=UNKNOWN, reduction="none")
    with torch.no_grad():
        right = ((logits.argmax(1) == label) & known).sum() / num
    return losses.sum() / num, right
