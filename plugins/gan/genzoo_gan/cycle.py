"""The objective of CycleGAN: two games and cycle consistency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Config,
    ConfigError,
    Goal,
    Loss,
    Meaning,
    Objective,
    Step,
)
from genzoo_gan.cyclegan import CycleGAN, signed
from genzoo_gan.normalising import Normalization
from genzoo_gan.patches import PatchCritic
from genzoo_gan.pool import exchange

_Weight = Annotated[float, Bounds(0.0, 1e6)]


@dataclass(frozen=True, kw_only=True)
class CycleConfig(Config):
    """Two least-squares games, with cycle consistency and an identity term."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 2e-4
    """The learning rate of Adam, for translators and critics."""
    cycle_weight: _Weight = 10.0
    """λ: the weight of cycle consistency."""
    identity_weight: _Weight = 0.0
    """The weight of the identity term, as a multiple of λ."""
    pool_size: Annotated[int, Bounds(0, 10**6)] = 50
    """The number of earlier fakes of each domain in its critic's pool; 0 uses the latest."""
    critic_width: Annotated[int, Bounds(1, 2**12)] = 64
    """The number of channels of a critic's first layer."""
    critic_halvings: Annotated[int | None, Bounds(0, 8)] = None
    """The number of halvings in a critic; 3 by default, or as many as leave 4 pixels per side."""
    critic_normalization: Normalization | None = None
    """The normalisation of a critic's activations; as the translators' by default."""


def _scores(name: str, what: str, healthy: str) -> dict[str, Meaning]:
    """Return the meanings of the mean scores of both critics."""
    return {
        f"score_{name}_{domain}": Meaning(
            f"mean score of the critic of {domain} for {what}", "", Goal("none"), healthy
        )
        for domain in ("x", "y")
    }


class Cycle(Objective[CycleConfig]):
    """Two patch critics, least squares, cycle consistency, and pools of earlier fakes.

    The translators minimise

        E (D_Y(G(x)) − 1)² + E (D_X(F(y)) − 1)² + λ (E |F(G(x)) − x| + E |G(F(y)) − y|)
        + λ ι (E |G(y) − y| + E |F(x) − x|),

    and then the critics minimise, on fakes from their pools,

        ½ E (D_Y(y) − 1)² + ½ E D_Y(G(x))² + ½ E (D_X(x) − 1)² + ½ E D_X(F(y))².

    Absolute differences are means over the pixels of images in [−1, 1]. The identity term ι
    preserves colours: it is harmful if the colours are what should change.

    | Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
    | (Zhu, Park, Isola, Efros, 2017)
    | Least Squares Generative Adversarial Networks (Mao et al., 2017)

    Raises:
        ConfigError: An identity term for domains of different shapes.
    """

    Config = CycleConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "translators/loss": Meaning(
            "loss of both translators: adversarial terms plus weighted cycle errors",
            goal=Goal("none"),
            healthy="it falls with the cycle errors, then is steady and noisy",
        ),
        "adversarial": Meaning(
            "how far the critics are from taking translations for images of the other domain",
            goal=Goal("none"),
            healthy="it is steady: near 0.5 the critics cannot distinguish them",
        ),
        "cycle_x": Meaning(
            "mean absolute difference of x and its translation there and back, in [−1, 1]",
            goal=Goal("lower", 0.0),
            healthy="it falls fast, then slowly",
        ),
        "cycle_y": Meaning(
            "mean absolute difference of y and its translation there and back, in [−1, 1]",
            goal=Goal("lower", 0.0),
            healthy="it falls fast, then slowly",
        ),
        "identity": Meaning(
            "mean absolute change of images that are in the target domain already",
            goal=Goal("lower", 0.0),
        ),
        **_scores("real", "images", "it is above that of translations, and both stay apart"),
        **_scores("fake", "translations", "it is below that of images, and both are steady"),
        "critics/loss": Meaning(
            "loss of both critics: squared distances of scores from 1 for images and 0 for "
            "translations",
            goal=Goal("none"),
            healthy="it is steady between 0, where the critics are certain, and 0.5, where they "
            "cannot distinguish translations",
        ),
    }
    requires = (CycleGAN,)
    model: CycleGAN

    def __init__(self, model: CycleGAN, config: CycleConfig | None = None) -> None:
        super().__init__(model, config)
        how = self.config.critic_normalization or model.config.normalization
        sizes = (self.config.critic_width, self.config.critic_halvings, how)
        x, y = (model.domain(name).event_shape for name in ("x", "y"))
        self.D_X = PatchCritic(x, *sizes)
        self.D_Y = PatchCritic(y, *sizes)
        if self.config.identity_weight and x != y:
            raise ConfigError(
                f"CycleConfig.identity_weight is {self.config.identity_weight}, but the domains "
                f"have different shapes, {x} and {y}. Leave it at 0."
            )

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return both translators, and both critics."""
        return {
            "translators": [*self.model.G.parameters(), *self.model.F.parameters()],
            "critics": [*self.D_X.parameters(), *self.D_Y.parameters()],
        }

    @classmethod
    def optimizers(cls, config: CycleConfig) -> Mapping[str, Component]:
        """Return the paper's Adam for both."""
        adam = Component(name="adam", config={"lr": config.lr, "betas": (0.5, 0.999)})
        return dict.fromkeys(("translators", "critics"), adam)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the translators' loss, then the critics'."""
        x, y = signed(batch["x"]), signed(batch["y"])
        fake_y, fake_x = self.model.G(x), self.model.F(y)
        yield self._translators(x, y, fake_x, fake_y)
        shown_x = self._pooled("x", fake_x.detach(), step)
        shown_y = self._pooled("y", fake_y.detach(), step)
        yield self._critics(x, y, shown_x, shown_y)

    def _translators(self, x: Tensor, y: Tensor, fake_x: Tensor, fake_y: Tensor) -> Loss:
        adversarial = _to_one(self.D_X(fake_x)) + _to_one(self.D_Y(fake_y))
        cycle_x = (self.model.F(fake_y) - x).abs().mean()
        cycle_y = (self.model.G(fake_x) - y).abs().mean()
        value = adversarial + self.config.cycle_weight * (cycle_x + cycle_y)
        metrics = {"adversarial": adversarial, "cycle_x": cycle_x, "cycle_y": cycle_y}
        if self.config.identity_weight:
            identity = (self.model.G(y) - y).abs().mean() + (self.model.F(x) - x).abs().mean()
            value = value + self.config.cycle_weight * self.config.identity_weight * identity
            metrics["identity"] = identity
        detached = {name: metric.detach() for name, metric in metrics.items()}
        return Loss(value, player="translators", metrics=detached)

    def _critics(self, x: Tensor, y: Tensor, fake_x: Tensor, fake_y: Tensor) -> Loss:
        shown = {"real_x": x, "fake_x": fake_x, "real_y": y, "fake_y": fake_y}
        critics = {"x": self.D_X, "y": self.D_Y}
        scores = {name: critics[name[-1]](images) for name, images in shown.items()}
        real, fake = scores["real_x"], scores["fake_x"]
        value = 0.5 * (_to_one(real) + _to_zero(fake))
        real, fake = scores["real_y"], scores["fake_y"]
        value = value + 0.5 * (_to_one(real) + _to_zero(fake))
        metrics = {f"score_{name}": score.detach().mean() for name, score in scores.items()}
        return Loss(value, player="critics", metrics=metrics)

    def _pooled(self, domain: str, fakes: Tensor, step: Step) -> Tensor:
        """Return the fakes for the critic of a domain; each domain has its own pool."""
        name = f"pool_{domain}_{step.slot}"
        pool = self.process_state().get(name, fakes[:0])
        shown, kept = exchange(pool, fakes, self.config.pool_size, step.generator)
        self.set_process_buffer(name, kept)
        return shown


def _to_one(score: Tensor) -> Tensor:
    return (score - 1).square().mean()


def _to_zero(score: Tensor) -> Tensor:
    return score.square().mean()
