"""Supported kinds of text encoders: transformers' classes, and the allowed fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from genzoo.plugin import (
    Activation,
    AllowedFields,
    Bounds,
    ConfigFileError,
    ForeignFields,
    NumLayers,
    shown,
    transformers_fields,
)
from genzoo_diffusion.dependencies import transformers

Kind = Literal["clip", "t5", "bert"]
MAX_TOKENS = 2**19
"""The largest vocabulary; that of LaBSE has 501,153 tokens."""
_Tokens = Annotated[int, Bounds(1, MAX_TOKENS)]
_Width = Annotated[int, Bounds(1, 2**16)]
_Heads = Annotated[int, Bounds(1, 2**10)]
_Places = Annotated[int, Bounds(1, 2**16)]
_Small = Annotated[float, Bounds(0.0, 1.0)]


@dataclass(frozen=True, kw_only=True)
class NoFields(ForeignFields):
    """Not a field: nothing is passed on."""


@dataclass(frozen=True, kw_only=True)
class ClipFields(ForeignFields):
    """The fields of transformers' `CLIPTextConfig` that affect a state."""

    vocab_size: _Tokens = 49408
    hidden_size: _Width = 512
    intermediate_size: _Width = 2048
    num_hidden_layers: NumLayers = 12
    num_attention_heads: _Heads = 8
    max_position_embeddings: _Places = 77
    hidden_act: Activation = "quick_gelu"
    layer_norm_eps: _Small = 1e-5


@dataclass(frozen=True, kw_only=True)
class T5Fields(ForeignFields):
    """The fields of transformers' `T5Config` that affect a state of its encoder."""

    vocab_size: _Tokens = 32128
    d_model: _Width = 512
    d_kv: _Width = 64
    d_ff: _Width = 2048
    num_layers: NumLayers = 6
    num_heads: _Heads = 8
    relative_attention_num_buckets: Annotated[int, Bounds(4, 2**10)] = 32
    relative_attention_max_distance: Annotated[int, Bounds(4, 2**16)] = 128
    layer_norm_epsilon: _Small = 1e-6
    feed_forward_proj: Literal["relu", "gated-gelu", "gated-silu"] = "relu"


@dataclass(frozen=True, kw_only=True)
class BertFields(ForeignFields):
    """The fields of transformers' `BertConfig` that affect a state."""

    vocab_size: _Tokens = 30522
    hidden_size: _Width = 768
    num_hidden_layers: NumLayers = 12
    num_attention_heads: _Heads = 12
    intermediate_size: _Width = 3072
    hidden_act: Activation = "gelu"
    max_position_embeddings: _Places = 512
    type_vocab_size: Annotated[int, Bounds(1, 2**10)] = 2
    layer_norm_eps: _Small = 1e-12


@dataclass(frozen=True)
class Classes:
    """transformers' classes for one kind of encoder; no other code is run.

    Arguments:
        model: The class of the model.
        config: The class of its config.
        model_types: The model types in a config.json of that kind.
        allowed: The allowed fields of its config.json.
        attends_to_padding: Whether a denoiser attends to the states of the padding too, as in
            Stable Diffusion.
        options: Further arguments of the model's class.
    """

    model: str
    config: str
    model_types: tuple[str, ...]
    allowed: AllowedFields
    attends_to_padding: bool = False
    options: tuple[tuple[str, Any], ...] = ()


CLASSES: Mapping[str, Classes] = {
    "clip": Classes(
        "CLIPTextModel",
        "CLIPTextConfig",
        ("clip", "clip_text_model"),
        transformers_fields(ClipFields, "attention_dropout", "dropout", "projection_dim"),
        attends_to_padding=True,
    ),
    "t5": Classes(
        "T5EncoderModel",
        "T5Config",
        ("t5",),
        transformers_fields(
            T5Fields,
            "classifier_dropout",
            "dropout_rate",
            "n_positions",
            "num_decoder_layers",
            "scale_decoder_outputs",
        ),
    ),
    "bert": Classes(
        "BertModel",
        "BertConfig",
        ("bert",),
        transformers_fields(
            BertFields,
            "attention_probs_dropout_prob",
            "classifier_dropout",
            "directionality",
            "hidden_dropout_prob",
            "pooler_fc_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
            position_embedding_type=("absolute",),
        ),
        options=(("add_pooling_layer", False),),
    ),
}
_TOWERS = ("text_config", "text_config_dict", "vision_config", "vision_config_dict")
_BOTH_TOWERS = transformers_fields(NoFields, *_TOWERS, "logit_scale_init_value", "projection_dim")
"""The fields of a CLIP's config in addition to its towers."""
_GATED = {"gated-gelu": "gelu_new"}


@dataclass(frozen=True)
class Described:
    """The description of an encoder in its config.json.

    Arguments:
        kind: Its kind.
        fields: The arguments of transformers' config class.
    """

    kind: Kind
    fields: Mapping[str, Any]

    @property
    def width(self) -> int:
        """D, the size of a state."""
        return int(self.fields["d_model" if self.kind == "t5" else "hidden_size"])

    @property
    def layers(self) -> int:
        """The number of layers."""
        return int(self.fields["num_layers" if self.kind == "t5" else "num_hidden_layers"])

    @property
    def tokens(self) -> int:
        """The size of its vocabulary."""
        return int(self.fields["vocab_size"])

    @property
    def places(self) -> int | None:
        """The maximum number of tokens of a text; None with relative positions."""
        return self.fields.get("max_position_embeddings")

    def config(self) -> Any:
        """Return an instance of transformers' config class."""
        return getattr(transformers(), CLASSES[self.kind].config)(**self.fields)


def describe(found: Mapping[str, Any], where: str) -> Described:
    """Return the description of an encoder in a config.json.

    Arguments:
        found: Its contents.
        where: Its name in errors.

    Raises:
        ConfigFileError: Its kind is not supported, or a field is not allowed.
    """
    kind = _kind_of(found.get("model_type"), where)
    if found["model_type"] == "clip":
        found = _of_whole_clip(found, where)
    if kind == "t5":
        found = _without_derived(found, where)
    return Described(kind, CLASSES[kind].allowed.passed(found, where))


def _kind_of(model_type: Any, where: str) -> Kind:
    for kind in get_args(Kind):
        if model_type in CLASSES[kind].model_types:
            found: Kind = kind
            return found
    raise ConfigFileError(
        f"{where} has the kind {shown(model_type)}. These kinds of text encoders are supported: "
        f"{', '.join(CLASSES)}."
    )


def _of_whole_clip(found: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the config of the text tower of a CLIP with both towers.

    Older ones store a part of it twice; `text_config_dict` has priority.
    """
    text: Any = found.get("text_config")
    again = found.get("text_config_dict") or {}
    vision = found.get("vision_config") or {}, found.get("vision_config_dict") or {}
    for part in (text, again, *vision):
        if not isinstance(part, Mapping):
            raise ConfigFileError(
                f"{where}: the config of a tower is {shown(part)}, not an object."
            )
    _BOTH_TOWERS.passed(found, where)
    return {**text, **again}


def _without_derived(found: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Remove the fields that T5's feed_forward_proj implies, after a check."""
    projection = found.get("feed_forward_proj", "relu")
    name = str(projection)
    derived = {
        "dense_act_fn": _GATED.get(name, name.rpartition("-")[2]),
        "is_gated_act": name.startswith("gated-"),
    }
    for key, value in derived.items():
        if found.get(key, value) != value:
            raise ConfigFileError(
                f"{where}: {key} is {shown(found[key])}, but feed_forward_proj is "
                f"{shown(projection)}. T5 does not save such a config."
            )
    return {key: value for key, value in found.items() if key not in derived}
