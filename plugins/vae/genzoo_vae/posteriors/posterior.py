"""Posterior: how q(z | x) is found."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from genzoo.plugin import Component, Config, Step, register_group
from genzoo_vae.posteriors.proposal import Proposal, Rows

if TYPE_CHECKING:
    from genzoo_vae.latents import LatentModel

GROUP = "genzoo_vae.posteriors"
"""The entry-point group of posteriors."""


def amortised() -> Component:
    """Return the default posterior."""
    return Component(name="amortised")


C = TypeVar("C", bound=Config)


class Posterior(abc.ABC, Generic[C]):
    """Abstract base class: finds q(z | x) for rows, from the model's networks or by optimisation.

    It has no parameters of its own: recognition networks belong to the model.

    Class attributes:
        Config: A frozen, keyword-only dataclass with bounds, whose fields all have defaults.
        title: What it is called in messages.
        is_recognised: Whether the model needs recognition networks.
        is_optimised: Whether q is optimised for each row, so that it is not differentiated.

    Arguments:
        config: An instance of ``Config``; its defaults if it is left out.
    """

    Config: ClassVar[type[Config]]
    title: ClassVar[str]
    is_recognised: ClassVar[bool]
    is_optimised: ClassVar[bool] = False

    def __init__(self, config: C | None = None) -> None:
        given: Any = self.Config() if config is None else config
        self.config: C = given

    def check(self, model: LatentModel[Any]) -> None:
        """Raise ConfigError unless it serves the model; by default it does."""
        return

    @abc.abstractmethod
    def proposal(self, model: LatentModel[Any], rows: Rows, step: Step) -> Proposal:
        """Return q for rows.

        Arguments:
            model: The model.
            rows: The examples and their conditions.
            step: The position in training, with the generator of all noise.
        """


register_group(GROUP, Posterior)
