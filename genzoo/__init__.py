"""genzoo: a zoo of deep generative models.

Importing genzoo imports no torch and no plugin: its public names are loaded when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from genzoo.version import __version__ as __version__

if TYPE_CHECKING:
    from genzoo.component import Component
    from genzoo.config import Bounds, Config
    from genzoo.data import ArrayDataset, DataConfig, Dataset, DataSource, load_dataset, pair
    from genzoo.errors import (
        CapabilityError,
        ConditionError,
        ConfigError,
        DataError,
        GenzooError,
        LoadError,
    )
    from genzoo.estimate import Estimate, Note, Reference, mean_of
    from genzoo.evaluation import Metric, evaluate
    from genzoo.evaluation.paired import compare
    from genzoo.hub_component import FrozenModule, HubComponent
    from genzoo.layouts.own import Layout
    from genzoo.log_prob import LogProb, by_blocks
    from genzoo.model import Model
    from genzoo.model_spec import ModelSpec
    from genzoo.objective import Loss, Objective, Step
    from genzoo.pretrained import GenerativeModel, GenModel, create_model, list_models
    from genzoo.recipes import train
    from genzoo.registry import Group, register, register_group
    from genzoo.sampler import Sampler
    from genzoo.sampling import batch_size_for
    from genzoo.spaces import Binary, Categorical, Label, Real, Space, Text, Unit
    from genzoo.spec import Batch, ConditionSpaces, DataInfo
    from genzoo.stage import Recipe, Stage
    from genzoo.training import Trainer, TrainerConfig
    from genzoo.training.lr_schedulers import LRScheduler
    from genzoo.training.optimizers import Optimizer

_PUBLIC = {
    "ArrayDataset": "genzoo.data",
    "Batch": "genzoo.spec",
    "Binary": "genzoo.spaces",
    "Bounds": "genzoo.config",
    "CapabilityError": "genzoo.errors",
    "Categorical": "genzoo.spaces",
    "Component": "genzoo.component",
    "ConditionError": "genzoo.errors",
    "ConditionSpaces": "genzoo.spec",
    "Config": "genzoo.config",
    "ConfigError": "genzoo.errors",
    "DataConfig": "genzoo.data",
    "DataError": "genzoo.errors",
    "DataInfo": "genzoo.spec",
    "DataSource": "genzoo.data",
    "Dataset": "genzoo.data",
    "Estimate": "genzoo.estimate",
    "HubComponent": "genzoo.hub_component",
    "FrozenModule": "genzoo.hub_component",
    "GenModel": "genzoo.pretrained",
    "GenerativeModel": "genzoo.pretrained",
    "GenzooError": "genzoo.errors",
    "Group": "genzoo.registry",
    "LRScheduler": "genzoo.training.lr_schedulers",
    "Label": "genzoo.spaces",
    "Layout": "genzoo.layouts.own",
    "LoadError": "genzoo.errors",
    "LogProb": "genzoo.log_prob",
    "Loss": "genzoo.objective",
    "Metric": "genzoo.evaluation",
    "Model": "genzoo.model",
    "ModelSpec": "genzoo.model_spec",
    "Note": "genzoo.estimate",
    "Objective": "genzoo.objective",
    "Optimizer": "genzoo.training.optimizers",
    "Real": "genzoo.spaces",
    "Recipe": "genzoo.stage",
    "Reference": "genzoo.estimate",
    "Sampler": "genzoo.sampler",
    "Space": "genzoo.spaces",
    "Stage": "genzoo.stage",
    "Step": "genzoo.objective",
    "Text": "genzoo.spaces",
    "Trainer": "genzoo.training",
    "TrainerConfig": "genzoo.training",
    "Unit": "genzoo.spaces",
    "batch_size_for": "genzoo.sampling",
    "by_blocks": "genzoo.log_prob",
    "compare": "genzoo.evaluation.paired",
    "create_model": "genzoo.pretrained",
    "evaluate": "genzoo.evaluation",
    "list_models": "genzoo.pretrained",
    "load_dataset": "genzoo.data",
    "mean_of": "genzoo.estimate",
    "pair": "genzoo.data",
    "register": "genzoo.registry",
    "register_group": "genzoo.registry",
    "train": "genzoo.recipes",
}

__all__ = [
    "ArrayDataset",
    "Batch",
    "Binary",
    "Bounds",
    "CapabilityError",
    "Categorical",
    "Component",
    "ConditionError",
    "ConditionSpaces",
    "Config",
    "ConfigError",
    "DataConfig",
    "DataError",
    "DataInfo",
    "DataSource",
    "Dataset",
    "Estimate",
    "FrozenModule",
    "GenModel",
    "GenerativeModel",
    "GenzooError",
    "Group",
    "HubComponent",
    "LRScheduler",
    "Label",
    "Layout",
    "LoadError",
    "LogProb",
    "Loss",
    "Metric",
    "Model",
    "ModelSpec",
    "Note",
    "Objective",
    "Optimizer",
    "Real",
    "Recipe",
    "Reference",
    "Sampler",
    "Space",
    "Stage",
    "Step",
    "Text",
    "Trainer",
    "TrainerConfig",
    "Unit",
    "batch_size_for",
    "by_blocks",
    "compare",
    "create_model",
    "evaluate",
    "list_models",
    "load_dataset",
    "mean_of",
    "pair",
    "register",
    "register_group",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'genzoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
