"""Training: the one loop and what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.training.config import TrainerConfig
    from genzoo.training.trainer import Trainer

__all__ = ["Trainer", "TrainerConfig"]


def __getattr__(name: str) -> Any:
    """Load the trainer when it is used: values of a config need no loop."""
    if name == "Trainer":
        from genzoo.training.trainer import Trainer

        return Trainer
    if name == "TrainerConfig":
        from genzoo.training.config import TrainerConfig

        return TrainerConfig
    raise AttributeError(f"module 'genzoo.training' has no attribute {name!r}")
