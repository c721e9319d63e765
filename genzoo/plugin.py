"""The names for authors of plugins: all that a plugin needs of genzoo, ours included.

A name is loaded when it is used, so importing this module imports no torch. Tests of a plugin also
use `genzoo` and `genzoo.testing`. docs/writing-a-plugin.md is the guide.
"""

from typing import TYPE_CHECKING

from genzoo import lazy

if TYPE_CHECKING:  # The names, for type checkers and for `lazy`.
    from genzoo.capabilities import (
        SupportsBits as SupportsBits,
        SupportsClassify as SupportsClassify,
        SupportsDataInit as SupportsDataInit,
        SupportsDecode as SupportsDecode,
        SupportsEncode as SupportsEncode,
        SupportsEnergy as SupportsEnergy,
        SupportsFilters as SupportsFilters,
        SupportsHeldOutRows as SupportsHeldOutRows,
        SupportsInpainting as SupportsInpainting,
        SupportsLayers as SupportsLayers,
        SupportsLogProb as SupportsLogProb,
        SupportsNestedInit as SupportsNestedInit,
        SupportsTranslate as SupportsTranslate,
    )
    from genzoo.captions import Grammar as Grammar, words_of as words_of
    from genzoo.component import Component as Component
    from genzoo.conditions import (
        NO_CONDITIONS as NO_CONDITIONS,
        Conditions as Conditions,
        condition_rows as condition_rows,
        drop_conditions as drop_conditions,
        dropped_rows as dropped_rows,
        null_conditions as null_conditions,
    )
    from genzoo.config import Bounds as Bounds, Config as Config, shown as shown
    from genzoo.data import (
        ArrayDataset as ArrayDataset,
        DataConfig as DataConfig,
        Dataset as Dataset,
        DataSource as DataSource,
        TwoDomains as TwoDomains,
        draw_rows as draw_rows,
        subset as subset,
    )
    from genzoo.data.fields import image_fields as image_fields
    from genzoo.data.idx import IDXConfig as IDXConfig, IDXSource as IDXSource
    from genzoo.data.texts.reading import read_text as read_text
    from genzoo.errors import (
        CapabilityError as CapabilityError,
        ConditionError as ConditionError,
        ConfigError as ConfigError,
        ConfigFileError as ConfigFileError,
        DataError as DataError,
        GenzooError as GenzooError,
        LoadError as LoadError,
        MissingDependencyError as MissingDependencyError,
        NotFiniteFigureError as NotFiniteFigureError,
        NotFiniteSampleError as NotFiniteSampleError,
        NotFiniteWeightsError as NotFiniteWeightsError,
        UnknownNameError as UnknownNameError,
        WeightsError as WeightsError,
        suggest as suggest,
    )
    from genzoo.estimate import (
        Estimate as Estimate,
        Note as Note,
        Reference as Reference,
        mean_of as mean_of,
    )
    from genzoo.evaluation import Case as Case, Metric as Metric
    from genzoo.evaluation.features import FeatureExtractor as FeatureExtractor
    from genzoo.evaluation.translation import cycle_of as cycle_of
    from genzoo.foreign_fields import (
        AllowedFields as AllowedFields,
        ForeignFields as ForeignFields,
        foreign_errors as foreign_errors,
        loading as loading,
        parse_object as parse_object,
        read_file as read_file,
        read_object as read_object,
    )
    from genzoo.goal import Goal as Goal
    from genzoo.hub_component import FrozenModule as FrozenModule, HubComponent as HubComponent
    from genzoo.layouts.foreign import (
        ForeignFormat as ForeignFormat,
        TranslatedModel as TranslatedModel,
    )
    from genzoo.layouts.own import Layout as Layout
    from genzoo.log_prob import LogProb as LogProb, by_blocks as by_blocks
    from genzoo.meaning import Meaning as Meaning
    from genzoo.model import Model as Model
    from genzoo.model_spec import ModelSpec as ModelSpec
    from genzoo.objective import Loss as Loss, Objective as Objective, Step as Step
    from genzoo.pretrained import GenerativeModel as GenerativeModel
    from genzoo.process_group import map_blocks as map_blocks
    from genzoo.progress import progress_bar as progress_bar
    from genzoo.published import (
        Activation as Activation,
        NumLayers as NumLayers,
        make_transformers_model as make_transformers_model,
        transformers_fields as transformers_fields,
        weights_of as weights_of,
    )
    from genzoo.registry import (
        Group as Group,
        describe as describe,
        make as make,
        register as register,
        register_group as register_group,
    )
    from genzoo.sampler import OneDraw as OneDraw, Sampler as Sampler, bernoulli as bernoulli
    from genzoo.sampling import batch_size_for as batch_size_for, evaluating as evaluating
    from genzoo.seeds import derive_seed as derive_seed, fresh_generator as fresh_generator
    from genzoo.spaces import (
        Binary as Binary,
        Categorical as Categorical,
        Label as Label,
        Real as Real,
        Space as Space,
        Text as Text,
        Unit as Unit,
    )
    from genzoo.spec import (
        Batch as Batch,
        ConditionSpaces as ConditionSpaces,
        DataInfo as DataInfo,
        Mixture as Mixture,
    )
    from genzoo.stage import Recipe as Recipe, Stage as Stage
    from genzoo.training.lr_schedulers import LRScheduler as LRScheduler
    from genzoo.training.optimizers import Optimizer as Optimizer
    from genzoo.values import trusted as trusted, untrusted as untrusted

__all__, __getattr__, __dir__ = lazy.public(__name__)
