"""Training: the loop, checkpoints, players and optimisers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.training.config import TrainerConfig
    from genzoo.training.trainer import Trainer

__all__ = ["Trainer", "TrainerConfig"]


def __getattr__(name: str) -> Any:
    """Load the trainer at first use, because values of a config do not need the loop."""
    if name == "Trainer":
        from genzoo.training.trainer import Trainer

        return Trainer
    if name == "TrainerConfig":
        from genzoo.training.config import TrainerConfig

        return TrainerConfig
    raise AttributeError(f"module 'genzoo.training' has no attribute {name!r}")
