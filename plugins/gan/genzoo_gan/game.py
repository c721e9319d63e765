"""The game: steps of the critic, then one of the generator."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Config,
    Goal,
    Loss,
    Meaning,
    Objective,
    Step,
)
from genzoo_gan.adversarial import AdversarialModel
from genzoo_gan.critics import (
    ClippedCritic,
    Critic,
    NetworkCritic,
    PackedCritic,
    spectrally_normalised,
)
from genzoo_gan.latent import Network, Widths
from genzoo_gan.monitoring import Look, Watch
from genzoo_gan.penalties import R1, Fading, Penalty
from genzoo_gan.scoring import Judge, PresentCritic
from genzoo_gan.views import View

Rate = Annotated[float, Bounds(0.0, 1e3)]
Count = Annotated[int, Bounds(1, 1000)]


@dataclass(frozen=True, kw_only=True)
class GameConfig(Config):
    """A game of a generator against a critic."""

    lr: Rate = 2e-4
    """The generator's learning rate."""
    critic_lr: Annotated[float | None, Bounds(0.0, 1e3)] = None
    """The critic's learning rate; the generator's by default."""
    critic_steps: Count = 1
    """The number of critic steps for each step of the generator; all see the same rows."""
    critic_network: Network | None = None
    """The critic's layers: flat, convolutional or residual; as the generator's by default."""
    critic_hidden_dims: Widths | None = None
    """Their widths or channels; the generator's the other way round by default."""
    packing: Annotated[int, Bounds(1, 64)] = 1
    """The number of examples that the critic scores together, all real or all fake."""
    spectral_norm: bool = False
    """Whether the critic has spectral normalisation."""
    r1: Annotated[float, Bounds(0.0, 1e6)] = 0.0
    """γ: the weight of the gradient penalty at the data (R1); 0 for none."""
    r1_fade: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """The share of training over which γ falls to 0; with 0 it is constant."""
    temperature: Annotated[float, Bounds(1e-3, 1e3)] = 0.5
    """τ of the gradient through draws of categories, above 0: small ones have less bias and more
    variance. Data of real numbers do not use it."""


G = TypeVar("G", bound=GameConfig)


class Game(Objective[G], abc.ABC):
    """Abstract base class of games: n steps of the critic, then one of the generator.

    A critic returns scores s = D(x) of real examples and s̃ = D(G(z)) of fakes, any real numbers,
    higher for real ones; as a probability a score is σ(s). If the real view depends on the model
    too (on an encoder's codes), the model also minimises `encoder_value` of its scores.

    Class attributes:
        settled: A critic's loss below which it distinguishes every example; None if there is none.

    Attributes:
        critic: The critic, which exists only while training.
        penalties: The penalties that are added to its loss.
        judge: The scores that the generator's step uses.
    """

    Config: ClassVar[type[Config]] = GameConfig
    requires = (AdversarialModel,)
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "critic/loss": Meaning("loss of the critic", goal=Goal("none")),
        "generator/loss": Meaning(
            "loss of the generator, against the critic of the moment",
            goal=Goal("none"),
            healthy="it is steady and noisy; it need not fall, because the critic improves too",
        ),
        "score_real": Meaning(
            "mean score of the critic for data",
            goal=Goal("none"),
            healthy="it is above that of fakes, and both stay near each other",
        ),
        "score_fake": Meaning(
            "mean score of the critic for fakes",
            goal=Goal("none"),
            healthy="it is below that of data, and both stay near each other",
        ),
    }
    settled: ClassVar[float | None] = 1e-2
    model: AdversarialModel[Any]

    def __init__(self, model: AdversarialModel[Any], config: G | None = None) -> None:
        super().__init__(model, config)
        self.critic: Critic = make_critic(model, self.config)
        self.penalties = _penalties(self.config)
        self.judge: Judge = PresentCritic(self.critic)
        self._watch = Watch(self.settled)

    @abc.abstractmethod
    def critic_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss, a scalar, from its scores of real and fake examples."""

    @abc.abstractmethod
    def generator_value(self, fake: Tensor) -> Tensor:
        """Return the generator's loss, a scalar, from the scores of its fakes."""

    @abc.abstractmethod
    def encoder_value(self, real: Tensor) -> Tensor:
        """Return an encoder's loss, a scalar, from the scores of real views."""

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the generator, which is the model, and the critic."""
        return {
            "generator": [p for p in self.model.parameters() if p.requires_grad],
            "critic": list(self.critic.parameters()),
        }

    @classmethod
    def optimizers(cls, config: Any) -> Mapping[str, Component]:
        """Return Adam with the rates of the config."""
        return for_both(config, "adam", betas=(0.5, 0.999))

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the critic's loss n times, then the generator's."""
        for _ in range(self.config.critic_steps):
            loss = self._critic_move(batch, step)
            yield loss
        yield self._generator_move(batch, step, loss.value.detach())

    def _critic_move(self, batch: Batch, step: Step) -> Loss:
        if isinstance(self.critic, ClippedCritic):
            self.critic.project()
        with torch.no_grad():
            z = self.model.latent(len(batch["x"]), step.generator)
            real, fake = self._views(z, batch, step)
        scores = self.critic(real), self.critic(fake)
        value = self.critic_value(*scores)
        for penalty in self.penalties:
            value = value + penalty(self.critic, real, fake, step)
        names = ("score_real", "score_fake")
        means = {n: s.detach().mean() for n, s in zip(names, scores, strict=True)}
        return Loss(value, player="critic", metrics=means if step.logged else {})

    def _generator_move(self, batch: Batch, step: Step, critic_loss: Tensor) -> Loss:
        z = self.model.latent(len(batch["x"]), step.generator)
        real, fake = self._views(z, batch, step)
        score = self.judge(real, fake)
        scores = score(fake)
        value = self.generator_value(scores)
        if self._watch.is_due(step):
            (pull,) = torch.autograd.grad(value, scores, retain_graph=True)
            self._watch.look(Look(real.x, fake.x, critic_loss, pull.abs().sum()), step)
        if self.model.encodes or not isinstance(self.judge, PresentCritic):
            value = value + self.encoder_value(score(real))
        return Loss(value, player="generator")

    def _views(self, z: Tensor, batch: Batch, step: Step) -> tuple[View, View]:
        real = self.model.real(batch, step.generator)
        return real, self.model.fake(z, batch, step.generator, self.config.temperature)


def for_both(config: GameConfig, name: str, **values: Any) -> Mapping[str, Component]:
    """Return the optimisers of both players; the critic's learning rate may be its own."""
    critic_lr = config.lr if config.critic_lr is None else config.critic_lr
    rates = {"generator": config.lr, "critic": critic_lr}
    return {
        player: Component(name=name, config={"lr": lr, **values}) for player, lr in rates.items()
    }


def _penalties(config: GameConfig) -> list[Penalty]:
    if not config.r1:
        return []
    r1 = R1(config.r1)
    return [Fading(r1, config.r1_fade) if config.r1_fade else r1]


def make_critic(model: AdversarialModel[Any], config: GameConfig) -> Critic:
    """Return a new critic for a model, with the wrappers of the config."""
    first, *rest = model.output.shape
    m = config.packing
    known = config.critic_hidden_dims
    critic: Critic = NetworkCritic(
        config.critic_network or model.config.network,
        (m * first, *rest),
        tuple(reversed(model.config.hidden_dims)) if known is None else known,
        m * model.config.latent_dim if model.encodes else 0,
        m * model.num_labels,
    )
    if config.spectral_norm:
        critic = spectrally_normalised(critic)
    return PackedCritic(critic, m) if m > 1 else critic
