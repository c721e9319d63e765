"""Supported kinds of image models: transformers' classes and the fields that they receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from genzoo.config import Bounds, shown
from genzoo.errors import ConfigError, ConfigFileError
from genzoo.foreign_fields import AllowedFields, ForeignFields
from genzoo.published import Activation, NumLayers, transformers_fields

MAX_SIDE, MAX_PATCHES = 1024, 4096
"""The maximum side of an image, and the maximum number of patches."""
_Width = Annotated[int, Bounds(1, 2**16)]
_Heads = Annotated[int, Bounds(1, 2**10)]
_Side = Annotated[int, Bounds(1, MAX_SIDE)]
_Channels = Literal[3]
_Small = Annotated[float, Bounds(0.0, 1.0)]
_Stages = Annotated[tuple[_Width, ...], Bounds(1, 16)]
_Depths = Annotated[tuple[NumLayers, ...], Bounds(1, 16)]


@dataclass(frozen=True, kw_only=True)
class PatchFields(ForeignFields):
    """Abstract base class of the fields of a transformer over patches."""

    hidden_size: _Width = 768
    num_hidden_layers: NumLayers = 12
    num_attention_heads: _Heads = 12
    hidden_act: Activation = "gelu"
    image_size: _Side = 224
    patch_size: _Side = 16
    num_channels: _Channels = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        patches = (self.image_size // self.patch_size) ** 2
        if not 0 < patches <= MAX_PATCHES:
            raise ConfigError(
                f"an image of side {self.image_size} has {patches:,} patches of side "
                f"{self.patch_size}; 1 to {MAX_PATCHES:,} are allowed."
            )


@dataclass(frozen=True, kw_only=True)
class VitFields(PatchFields):
    """The fields of transformers' `ViTConfig` and `DeiTConfig` that a feature depends on."""

    intermediate_size: _Width = 3072
    layer_norm_eps: _Small = 1e-12
    qkv_bias: bool = True


@dataclass(frozen=True, kw_only=True)
class Dinov2Fields(PatchFields):
    """The fields of transformers' `Dinov2Config` that a feature depends on."""

    patch_size: _Side = 14
    mlp_ratio: Annotated[int, Bounds(1, 64)] = 4
    layer_norm_eps: _Small = 1e-6
    qkv_bias: bool = True
    use_swiglu_ffn: bool = False


@dataclass(frozen=True, kw_only=True)
class ClipVisionFields(PatchFields):
    """The fields of transformers' `CLIPVisionConfig` that a feature depends on."""

    intermediate_size: _Width = 3072
    hidden_act: Activation = "quick_gelu"
    patch_size: _Side = 32
    layer_norm_eps: _Small = 1e-5


@dataclass(frozen=True, kw_only=True)
class ConvNextFields(ForeignFields):
    """The fields of transformers' `ConvNextConfig` and `ConvNextV2Config`."""

    num_channels: _Channels = 3
    patch_size: _Side = 4
    num_stages: Annotated[int, Bounds(1, 16)] = 4
    hidden_sizes: _Stages = (96, 192, 384, 768)
    depths: _Depths = (3, 3, 9, 3)
    hidden_act: Activation = "gelu"
    layer_norm_eps: _Small = 1e-12


@dataclass(frozen=True, kw_only=True)
class ResNetFields(ForeignFields):
    """The fields of transformers' `ResNetConfig` that a feature depends on."""

    num_channels: _Channels = 3
    embedding_size: _Width = 64
    hidden_sizes: _Stages = (256, 512, 1024, 2048)
    depths: _Depths = (3, 4, 6, 3)
    layer_type: Literal["basic", "bottleneck"] = "bottleneck"
    hidden_act: Activation = "relu"
    downsample_in_first_stage: bool = False
    downsample_in_bottleneck: bool = False


@dataclass(frozen=True)
class ImageKind:
    """transformers' classes for a kind of image model, with the allowed fields of its config.json.

    Arguments:
        model: The class of the model.
        config: The class of its config.
        processor: Its default image processor.
        allowed: The allowed fields of its config.json.
    """

    model: str
    config: str
    processor: str
    allowed: AllowedFields


_DROPPED = ("attention_dropout", "attention_probs_dropout_prob", "drop_path_rate", "dropout")
_BACKBONE = ("apply_layernorm", "out_features", "out_indices", "reshape_hidden_states")
_MORE = (*_DROPPED, *_BACKBONE, "hidden_dropout_prob", "stage_names", "encoder_stride")
_INITIAL = ("layer_scale_init_value", "layerscale_value")


def _allowed(fields: type[ForeignFields], *more: str, **inert: tuple[Any, ...]) -> AllowedFields:
    return transformers_fields(fields, *_MORE, *_INITIAL, *more, **inert)


def _vit(model: str, config: str) -> ImageKind:
    allowed = _allowed(VitFields, "pooler_output_size", pooler_act=("tanh",))
    return ImageKind(model, config, model.removesuffix("Model"), allowed)


def _convnext(model: str, config: str) -> ImageKind:
    return ImageKind(model, config, "ConvNext", _allowed(ConvNextFields, "image_size"))


KINDS: Mapping[str, ImageKind] = {
    "clip_vision_model": ImageKind(
        "CLIPVisionModel", "CLIPVisionConfig", "CLIP", _allowed(ClipVisionFields, "projection_dim")
    ),
    "convnext": _convnext("ConvNextModel", "ConvNextConfig"),
    "convnextv2": _convnext("ConvNextV2Model", "ConvNextV2Config"),
    "deit": _vit("DeiTModel", "DeiTConfig"),
    "dinov2": ImageKind(
        "Dinov2Model", "Dinov2Config", "Bit", _allowed(Dinov2Fields, "use_mask_token")
    ),
    "resnet": ImageKind("ResNetModel", "ResNetConfig", "ConvNext", _allowed(ResNetFields)),
    "vit": _vit("ViTModel", "ViTConfig"),
}
"""The supported kinds, by the model type in a config.json."""


def kind_of(fields: Mapping[str, Any], where: str) -> ImageKind:
    """Return the kind of a config.json.

    Raises:
        ConfigFileError: The kind is not supported.
    """
    name = fields.get("model_type")
    if not isinstance(name, str) or name not in KINDS:
        raise ConfigFileError(
            f"{where} has the kind {shown(name)}. Supported kinds of image models: "
            f"{', '.join(KINDS)}."
        )
    return KINDS[name]
