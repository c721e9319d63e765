"""Objective: how a model learns."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic

import torch
from torch import Tensor, nn

from genzoo.component import Component
from genzoo.config import C, Config, field_types
from genzoo.errors import CapabilityError
from genzoo.meaning import Meaning
from genzoo.model import Model
from genzoo.spec import Batch


@dataclass(frozen=True)
class Loss:
    """The loss that one player minimises.

    Arguments:
        value: A scalar, the mean over the examples of the batch.
        player: The player that minimises it.
        metrics: Detached scalars to log with it.
        gradients: Detached gradients by parameter that are known without autograd. They are added
            to what autograd finds in the value. The Trainer may change these tensors in place.
    """

    value: Tensor
    player: str = "model"
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    gradients: Mapping[nn.Parameter, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """The position of an update in training.

    Arguments:
        index: The number of updates made before this one.
        total: The number of updates of the stage; annealing follows ``index / total``.
        slot: Micro-batch × processes + rank: the part of the update's batch.
        generator: Seeded by the Trainer from (seed, index, slot, move) before each move.
        logged: Whether this step is looked at: its losses are written, or its weights are saved or
            evaluated. If not, metrics need not be computed, and a value whose gradients are all
            given may be 0.
    """

    index: int
    total: int
    slot: int
    generator: torch.Generator
    logged: bool = True


class Objective(nn.Module, abc.ABC, Generic[C]):
    """A sequence of losses, each for one player.

    An objective owns what exists during training only: critics, chains, pools, baselines. Its
    parameters and persistent buffers are saved in checkpoints and never published.

    Class attributes:
        requires: The classes and capabilities that a model must have.
        reads: The fields of the data that it reads besides the model's, such as ``("label",)``.
        needs_trained_model: Whether the model must be trained when its training begins. A recipe
            whose first stage has such an objective needs a stored model.
        meanings: What the figures that it logs are, in words for the report: ``"loss"`` and the
            names of `Loss.metrics`, or ``"PLAYER/NAME"`` for one player's.

    Arguments:
        model: The model that learns.
        config: The objective's own frozen dataclass.

    Raises:
        CapabilityError: The model lacks what the objective ``requires``.
    """

    Config: ClassVar[type[Config]]
    requires: ClassVar[tuple[type, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    needs_trained_model: ClassVar[bool] = False
    meanings: ClassVar[Mapping[str, Meaning]] = {}

    def __init__(self, model: Model, config: C | None = None) -> None:
        super().__init__()
        for needed in self.requires:
            if not isinstance(model, needed):
                stages = model.default_stages(model.config)
                names = dict.fromkeys(stage.objective.name for stage in stages)
                own = f" It is trained by {' and '.join(names)}." if names else ""
                raise CapabilityError(
                    f"The objective {type(self).__name__} needs a model that is a "
                    f"{needed.__name__}; {type(model).__name__} is not.{own}"
                )
        self.model = model
        given: Any = self.Config() if config is None else config
        self.config: C = given
        self._process_buffers: set[str] = set()

    @abc.abstractmethod
    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield one loss per move; the Trainer updates its player before it asks for the next.

        Compute each loss after the preceding yield. Share only detached tensors across yields. Do
        not hold a context manager open across a yield.
        """

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the players: a partition of the trainable parameters; one player by default."""
        return {"model": [p for p in self.parameters() if p.requires_grad]}

    @classmethod
    def optimizers(cls, config: Any) -> Mapping[str, Component]:
        """Return the paper's optimiser for each player; the user's values override it.

        They are components of the group ``optimizers``. The default is one player with Adam, at
        the learning rate ``lr`` of the config where it has one.
        """
        rate = {"lr": config.lr} if "lr" in field_types(type(config)) else {}
        return {"model": Component(name="adam", config=rate)}

    def set_process_buffer(self, name: str, value: Tensor) -> None:
        """Keep a tensor that belongs to this process, such as chains or an image pool.

        It is saved for each process, never averaged, and restored under the same name. Put the
        slot into the name of a tensor that is kept for each slot.
        """
        self._process_buffers.add(name)
        if name in self._buffers:
            self._buffers[name] = value
        else:
            # Not persistent: a checkpoint saves it for each process, not with the objective.
            self.register_buffer(name, value, persistent=False)

    def process_state(self) -> dict[str, Tensor]:
        """Return the tensors that belong to this process."""
        return {name: self.get_buffer(name) for name in sorted(self._process_buffers)}

    def own_state(self) -> dict[str, Tensor]:
        """Return the objective's own state, without that of the model and of the process."""
        state = self.state_dict()
        return {name: t for name, t in state.items() if not name.startswith("model.")}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what ``own_state`` returned, strictly."""
        model = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        self.load_state_dict({**model, **state}, strict=True)
