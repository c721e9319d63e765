"""Models of the transformers library, made by its own classes from checked fields and tensors.

The library receives fields of an allow-list and tensors that were read here. It receives no
folder, so it cannot look for anything else: no adapter, no other weights, no code, no kernel.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from genzoo.config import Bounds, shown
from genzoo.errors import ConfigFileError, LoadError
from genzoo.foreign_fields import AllowedFields, ForeignFields, check_file, loading
from genzoo.meta_init import without_memory
from genzoo.model_files import WEIGHTS
from genzoo.weights import WeightFiles, check_finite, read_header

NumLayers = Annotated[int, Bounds(1, 128)]
"""The maximum number of layers of a model; checking each takes a millisecond."""
Activation = Literal[
    "gelu",
    "gelu_fast",
    "gelu_new",
    "gelu_pytorch_tanh",
    "quick_gelu",
    "relu",
    "silu",
    "swish",
    "tanh",
]
"""The activations that models are run with, by transformers' names."""
_WORDS = """
_attn_implementation_autoset _commit_hash _name_or_path _num_labels architectures bad_words_ids
begin_suppress_tokens bos_token_id chunk_size_feed_forward cross_attention_hidden_size
decoder_start_token_id diversity_penalty do_sample dtype early_stopping
encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task
forced_bos_token_id forced_eos_token_id gradient_checkpointing id2label initializer_factor
initializer_range is_encoder_decoder label2id length_penalty max_length min_length model_type
name_or_path no_repeat_ngram_size num_beam_groups num_beams num_labels num_return_sequences
output_attentions output_hidden_states output_past output_scores pad_token_id prefix
problem_type remove_invalid_values repetition_penalty return_dict return_dict_in_generate
sep_token_id suppress_tokens task_specific_params temperature tf_legacy_loss
tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torch_dtype torchscript
transformers_version typical_p use_bfloat16 use_cache
"""
_IGNORED = frozenset(_WORDS.split())
"""Fields of transformers' configs that the states of an encoder do not depend on."""
_INERT: Mapping[str, tuple[Any, ...]] = {
    "add_cross_attention": (False,),
    "is_decoder": (False,),
    "pruned_heads": ({}, None),
}
"""Further fields, with the values that leave the model as its class defines it."""


def transformers_fields(
    fields: type[ForeignFields], *ignored: str, **inert: tuple[Any, ...]
) -> AllowedFields:
    """Return what may stand in a config of transformers: ``fields``, and what any of them has.

    Arguments:
        fields: The schema, with bounds, of what is passed on.
        ignored: Further names that no state of the model depends on.
        inert: Further names, each with the values that have no effect.
    """
    return AllowedFields(
        fields=fields, inert={**_INERT, **inert}, ignored=_IGNORED | frozenset(ignored)
    )


def make_transformers_model(
    cls: Any,
    config: Callable[[], Any],
    files: WeightFiles,
    what: str,
    *,
    num_layers: int = 0,
    optional: str = "",
    options: Mapping[str, Any] | None = None,
) -> tuple[Any, bool]:
    """Return a model in float32 and eval mode, and whether all its weights were found.

    Arguments:
        cls: The model's class in transformers.
        config: Creates its config object.
        files: Its weights; further tensors are ignored.
        what: Its name in errors.
        num_layers: How many layers its config asks for, where that is known: more than there are
            tensors are refused, because each takes a millisecond to be looked at.
        optional: Prefixes of weights that may be missing and are then random.
        options: Further arguments of the class.

    Raises:
        LoadError: The config asks for more than the weights hold, a weight is missing, not finite
            or has another shape, or the library refuses it.
    """
    _check_layers(num_layers, files, what)
    given = dict(options or {})
    with _quiet(), loading(what):
        found = config()
        with without_memory(len(files.headers)):
            _check_room(cls(found, **given), files, what, optional)
        _check_types(files, what)
        state = files.read()
        check_finite(state, what)
        with torch.random.fork_rng(devices=[]):
            model, info = cls.from_pretrained(
                None,
                config=found,
                state_dict=state,
                torch_dtype=torch.float32,
                attn_implementation="sdpa" if cls._supports_sdpa else "eager",
                output_loading_info=True,
                **given,
            )
    missing = sorted(info["missing_keys"])
    lacking = [name for name in missing if not (optional and name.startswith(optional))]
    if lacking:
        raise LoadError(f"{what} lacks weights, the first of them {lacking[0]}.")
    return model.eval(), not missing


def _check_layers(layers: int, files: WeightFiles, what: str) -> None:
    if layers > len(files.headers):
        raise ConfigFileError(
            f"{what} cannot be loaded: its config asks for {layers} layers; its weights hold "
            f"{len(files.headers)} tensors."
        )


def weights_of(folder: Path, names: Sequence[str] = (WEIGHTS.name,)) -> WeightFiles:
    """Return files of weights with their headers read; ``model.safetensors`` by default.

    Raises:
        LoadError: One is not a file of the folder, a header is malformed, or two hold one tensor.
    """
    for name in names:
        check_file(folder / name, folder)
    return WeightFiles(folder, ((folder / name, read_header(folder / name)) for name in names))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress transformers' report of loading and its progress bar.

    transformers switches huggingface_hub's bars together with its own, so both are restored.
    """
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_is_quiet = are_progress_bars_disabled()
    logging.set_verbosity_error()
    if bar:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
            if hub_is_quiet:
                disable_progress_bars()


def _check_room(model: Any, files: WeightFiles, what: str, optional: str) -> None:
    """Refuse a model on the meta device that has more values than the weights."""
    stored = sum(math.prod(shape) for _, _, shape in files.headers.values())
    needed = [p for n, p in model.named_parameters() if not (optional and n.startswith(optional))]
    asked = sum(parameter.numel() for parameter in needed)
    if asked > stored:
        raise LoadError(
            f"{what} cannot be loaded: its config asks for {asked:,} values; its weights hold "
            f"{stored:,}."
        )


def _check_types(files: WeightFiles, what: str) -> None:
    """Refuse quantised weights, which would be misinterpreted.

    Integer tensors, such as positions, have 64 bits.
    """
    for name, (_, dtype, _) in files.headers.items():
        if not dtype.is_floating_point and dtype is not torch.int64:
            raise LoadError(
                f"{what} cannot be loaded: the tensor {shown(name)} is of the type "
                f"{str(dtype).removeprefix('torch.')}. Only floating-point weights are read."
            )
