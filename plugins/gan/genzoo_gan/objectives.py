"""The losses of critic and generator, one class for each game."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Bounds, Component, Goal, Meaning
from genzoo_gan.adversarial import AdversarialModel
from genzoo_gan.critics import ClippedCritic
from genzoo_gan.game import Count, G, Game, GameConfig, Rate, for_both
from genzoo_gan.penalties import GradientPenalty
from genzoo_gan.scoring import FutureCritic, PresentCritic


class LogisticGame(Game[G]):
    """Abstract base class of games whose critic is a logistic regression."""

    meanings: ClassVar[Mapping[str, Meaning]] = {
        **Game.meanings,
        "critic/loss": Meaning(
            "loss of the critic: cross-entropy of data and fakes, plus penalties",
            unit="nats",
            goal=Goal("none"),
            healthy="it is steady between 0, where the critic is certain, and 1.39, where it "
            "cannot distinguish data from fakes; near 0 the generator may not learn",
        ),
    }

    def critic_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return −E log σ(s) − E log(1 − σ(s̃))."""
        return _surprise_of_real(real) + _surprise_of_fake(fake)


class MinimaxGame(LogisticGame[G]):
    """Abstract base class of games whose generator minimises what the critic maximises."""

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return E log(1 − σ(s̃))."""
        return -_surprise_of_fake(fake)

    def encoder_value(self, real: Tensor) -> Tensor:
        """Return E log σ(s)."""
        return -_surprise_of_real(real)


class LinearGame(Game[G]):
    """Abstract base class of games whose generator maximises its score."""

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return −E s̃."""
        return -fake.mean()

    def encoder_value(self, real: Tensor) -> Tensor:
        """Return E s."""
        return real.mean()


class WassersteinGame(LinearGame[G]):
    """Abstract base class of games for the difference of mean scores, E s − E s̃."""

    meanings: ClassVar[Mapping[str, Meaning]] = {
        **Game.meanings,
        "critic/loss": Meaning(
            "mean score of fakes minus that of data, plus penalties: minus a distance between "
            "data and fakes",
            goal=Goal("none"),
            healthy="it falls below 0 at first, then rises slowly towards 0",
        ),
    }

    settled = None

    def critic_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return −E s + E s̃."""
        return fake.mean() - real.mean()


class Minimax(MinimaxGame[GameConfig]):
    """The minimax game: min_G max_D E log D(x) + E log(1 − D(G(z))), with D(x) = σ(s).

    The optimal critic is p / (p + q), with value −log 4 + 2 JSD(p ‖ q). If the critic is certain,
    log(1 − D) is flat and the generator does not learn.

    | Generative Adversarial Networks (Goodfellow et al., 2014)
    """


class NonSaturating(LogisticGame[GameConfig]):
    """The minimax game's critic, and a generator that maximises E log D(G(z)).

    Its gradient is strong even if the critic is certain.

    | Generative Adversarial Networks (Goodfellow et al., 2014), section 3
    """

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return −E log σ(s̃)."""
        return _surprise_of_real(fake)

    def encoder_value(self, real: Tensor) -> Tensor:
        """Return −E log(1 − σ(s))."""
        return _surprise_of_fake(real)


class LeastSquares(Game[GameConfig]):
    """Least squares: targets are 1 for real and 0 for fake; the generator's target is 1.

    | Least Squares Generative Adversarial Networks (Mao et al., 2017)
    """

    settled = 1e-3
    meanings: ClassVar[Mapping[str, Meaning]] = {
        **Game.meanings,
        "critic/loss": Meaning(
            "loss of the critic: half the squared distances of scores from 1 for data and 0 for "
            "fakes, plus penalties",
            goal=Goal("none"),
            healthy="it is steady between 0, where the critic is certain, and 0.25, where it "
            "cannot distinguish data from fakes",
        ),
    }

    def critic_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return ½ E(s − 1)² + ½ E s̃²."""
        return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return ½ E(s̃ − 1)²."""
        return 0.5 * (fake - 1).square().mean()

    def encoder_value(self, real: Tensor) -> Tensor:
        """Return ½ E s²."""
        return 0.5 * real.square().mean()


class Hinge(LinearGame[GameConfig]):
    """Hinge losses: the critic has a margin of 1 around 0; the generator maximises its score.

    | Geometric GAN (Lim, Ye, 2017)
    """

    settled = 1e-3
    meanings: ClassVar[Mapping[str, Meaning]] = {
        **Game.meanings,
        "critic/loss": Meaning(
            "loss of the critic: scores of data below 1 and of fakes above −1, plus penalties",
            goal=Goal("none"),
            healthy="it is steady between 0, where the critic is certain, and 2, where it cannot "
            "distinguish data from fakes",
        ),
    }

    def critic_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return E max(0, 1 − s) + E max(0, 1 + s̃)."""
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


@dataclass(frozen=True, kw_only=True)
class WassersteinConfig(GameConfig):
    """The Wasserstein game with a clipped critic."""

    lr: Rate = 5e-5
    """The generator's learning rate."""
    critic_steps: Count = 5
    """The number of critic steps for each step of the generator; all see the same rows."""
    clip: Annotated[float, Bounds(1e-9, 1e3)] = 0.01
    """c: the critic's parameters stay in [−c, c]."""


class Wasserstein(WassersteinGame[WassersteinConfig]):
    """The Wasserstein game, E s − E s̃, with the critic's parameters clipped to [−c, c].

    Over all 1-Lipschitz critics its maximum is the Wasserstein distance W₁; clipped critics
    approximate a multiple of it, and need several steps.

    | Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017)
    """

    Config = WassersteinConfig

    def __init__(
        self, model: AdversarialModel[Any], config: WassersteinConfig | None = None
    ) -> None:
        super().__init__(model, config)
        self.critic = ClippedCritic(self.critic, self.config.clip)
        self.judge = PresentCritic(self.critic)

    @classmethod
    def optimizers(cls, config: Any) -> Mapping[str, Component]:
        """Return RMSprop with the rates of the config."""
        return for_both(config, "rmsprop")


@dataclass(frozen=True, kw_only=True)
class WassersteinGPConfig(GameConfig):
    """The Wasserstein game with a gradient penalty."""

    lr: Rate = 1e-4
    """The generator's learning rate."""
    critic_steps: Count = 5
    """The number of critic steps for each step of the generator; all see the same rows."""
    gp: Annotated[float, Bounds(0.0, 1e6)] = 10.0
    """λ: the weight of the penalty for gradient norms other than 1, between data and fakes."""


class WassersteinGP(WassersteinGame[WassersteinGPConfig]):
    """The Wasserstein game with a gradient penalty λ E(‖∇D(x̂)‖ − 1)² in place of clipping.

    The optimal critic's slope exceeds 1: between points at distance μ it is 1 + μ / (2λ), where E
    s − E s̃ − penalty is μ + μ² / (4λ).

    | Improved Training of Wasserstein GANs
    | (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017)
    """

    Config = WassersteinGPConfig

    def __init__(
        self, model: AdversarialModel[Any], config: WassersteinGPConfig | None = None
    ) -> None:
        super().__init__(model, config)
        self.penalties.append(GradientPenalty(self.config.gp))

    @classmethod
    def optimizers(cls, config: Any) -> Mapping[str, Component]:
        """Return Adam with the rates of the config."""
        return for_both(config, "adam", betas=(0.0, 0.9))


@dataclass(frozen=True, kw_only=True)
class UnrolledConfig(GameConfig):
    """The minimax game against the critic's answer."""

    unrolled_steps: Annotated[int, Bounds(0, 100)] = 5
    """K: the number of gradient steps of the critic that the generator looks ahead."""
    unrolled_lr: Rate = 0.1
    """η: the learning rate of those plain gradient steps."""


class Unrolled(MinimaxGame[UnrolledConfig]):
    """The minimax game whose generator uses the critic K gradient steps ahead.

    Both terms of the value then depend on the fakes, through the critic's steps, and both are
    differentiated. With K = 0 it is the minimax game.

    | Unrolled Generative Adversarial Networks (Metz, Poole, Pfau, Sohl-Dickstein, 2017)
    """

    Config = UnrolledConfig

    def __init__(self, model: AdversarialModel[Any], config: UnrolledConfig | None = None) -> None:
        super().__init__(model, config)
        steps, rate = self.config.unrolled_steps, self.config.unrolled_lr
        self.judge = FutureCritic(self.critic, self.critic_value, steps, rate)


def _surprise_of_real(scores: Tensor) -> Tensor:
    """Return −E log σ(s)."""
    return F.softplus(-scores).mean()


def _surprise_of_fake(scores: Tensor) -> Tensor:
    """Return −E log(1 − σ(s))."""
    return F.softplus(scores).mean()
