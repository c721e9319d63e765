"""genzoo: a zoo of deep generative models.

These are the names that users type; those for authors of plugins are in `genzoo.plugin`. Importing
genzoo imports no torch and no plugin: a name is loaded when it is used.
"""

from typing import TYPE_CHECKING

from genzoo import lazy
from genzoo.version import __version__ as __version__

if TYPE_CHECKING:  # The names, for type checkers and for `lazy`.
    from genzoo.comparison import compare_runs as compare_runs
    from genzoo.component import Component as Component
    from genzoo.data import (
        ArrayDataset as ArrayDataset,
        as_dataset as as_dataset,
        load_dataset as load_dataset,
        pair as pair,
    )
    from genzoo.embedding import embed as embed
    from genzoo.errors import (
        CapabilityError as CapabilityError,
        ConditionError as ConditionError,
        ConfigError as ConfigError,
        DataError as DataError,
        GenzooError as GenzooError,
        HubError as HubError,
        LoadError as LoadError,
    )
    from genzoo.evaluation import evaluate as evaluate
    from genzoo.evaluation.paired import compare as compare
    from genzoo.post_hoc import post_hoc_ema as post_hoc_ema
    from genzoo.pretrained import (
        GenModel as GenModel,
        create_model as create_model,
        list_models as list_models,
    )
    from genzoo.process_group import divided_work as divided_work
    from genzoo.recipes import train as train
    from genzoo.registry import register as register, register_group as register_group
    from genzoo.sample_shards import sample_to_folder as sample_to_folder
    from genzoo.showing import show as show
    from genzoo.spaces import (
        Binary as Binary,
        Categorical as Categorical,
        Label as Label,
        Real as Real,
        Text as Text,
        Unit as Unit,
    )
    from genzoo.spec import DataInfo as DataInfo
    from genzoo.stage import Recipe as Recipe, Stage as Stage
    from genzoo.training import Trainer as Trainer, TrainerConfig as TrainerConfig

__all__, __getattr__, __dir__ = lazy.public(__name__)
