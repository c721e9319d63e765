"""Training: the loop, checkpoints, players and optimisers."""

from typing import TYPE_CHECKING

from genzoo import lazy

if TYPE_CHECKING:  # The names, for type checkers and for `lazy`: a config does not need the loop.
    from genzoo.training.callbacks import Callback as Callback, TrainerState as TrainerState
    from genzoo.training.config import TrainerConfig as TrainerConfig
    from genzoo.training.trainer import Trainer as Trainer

__all__, __getattr__, __dir__ = lazy.public(__name__)
