"""How images are prepared for an image model of transformers: by its own classes, as data."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from genzoo.config import Bounds, shown
from genzoo.errors import ConfigFileError
from genzoo.evaluation.image_kinds import MAX_SIDE
from genzoo.foreign_fields import AllowedFields, ForeignFields

PREPARED = "preprocessor_config.json"
_NAME = re.compile(r"(ViT|DeiT|Bit|CLIP|ConvNext)(ImageProcessor(?:Fast|Pil)?|FeatureExtractor)")
_Side = Annotated[int, Bounds(1, MAX_SIDE)]
_Three = Annotated[tuple[Annotated[float, Bounds(-1e3, 1e3)], ...], Bounds(3, 3)]
_Positive = Annotated[tuple[Annotated[float, Bounds(1e-3, 1e3)], ...], Bounds(3, 3)]


@dataclass(frozen=True, kw_only=True)
class Size(ForeignFields):
    """A size of images, as transformers has it."""

    height: _Side | None = None
    width: _Side | None = None
    shortest_edge: _Side | None = None


@dataclass(frozen=True, kw_only=True)
class ProcessorFields(ForeignFields):
    """What a preprocessor is told; what is None is left to its class."""

    do_resize: bool | None = None
    size: _Side | Size | None = None
    default_to_square: bool | None = None
    resample: Annotated[int, Bounds(0, 5)] | None = None
    do_center_crop: bool | None = None
    crop_size: _Side | Size | None = None
    crop_pct: Annotated[float, Bounds(0.5, 1.0)] | None = None
    do_normalize: bool | None = None
    image_mean: _Three | None = None
    image_std: _Positive | None = None
    do_convert_rgb: bool | None = None


_TYPES = ("image_processor_type", "feature_extractor_type")
_ALLOWED = AllowedFields(
    fields=ProcessorFields,
    inert={
        "data_format": ("channels_first", None),
        "device": (None,),
        "disable_grouping": (None,),
        "do_pad": (False, None),
        "image_seq_length": (None,),
        "input_data_format": (None,),
        "pad_size": (None,),
        "return_tensors": (None,),
    },
    ignored=frozenset(
        {*_TYPES, "_valid_processor_keys", "do_rescale", "processor_class", "rescale_factor"}
    ),
)
"""Images come in [0, 1] already, so that rescaling is left out."""


def make_processor(fields: Mapping[str, Any], default: str, where: str) -> Any:
    """Return what prepares images.

    transformers chooses among its classes by what else is installed, and does so for a folder: it
    is given one that holds nothing but what was looked at.

    Arguments:
        fields: What preprocessor_config.json holds.
        default: Whose processor it is where the file does not say, such as "ViT".
        where: Its name in errors.

    Raises:
        ConfigFileError: It holds what is not allowed.
        Exception: The library refuses it.
    """
    from transformers import AutoImageProcessor

    passed = _given(_ALLOWED.passed(fields, where))
    with tempfile.TemporaryDirectory() as folder:
        said = passed | {
            "image_processor_type": f"{_family(fields, default, where)}ImageProcessor"
        }
        Path(folder, PREPARED).write_text(json.dumps(said), "utf-8")
        return AutoImageProcessor.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )


def _family(fields: Mapping[str, Any], default: str, where: str) -> str:
    name = next((fields[key] for key in _TYPES if fields.get(key) is not None), None)
    if name is None:
        return default
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise ConfigFileError(
            f"{where}: images are prepared by {shown(name)}, which is not supported; those of "
            "ViT, DeiT, Bit, CLIP and ConvNext are."
        )
    return match[1]


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not None, within sizes too."""
    plain = {k: _given(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    return {k: v for k, v in plain.items() if v is not None}
