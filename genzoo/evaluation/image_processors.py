"""Image processors of transformers, made by its own classes from checked fields."""

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
    """A size of images, in the form of transformers."""

    height: _Side | None = None
    width: _Side | None = None
    shortest_edge: _Side | None = None


@dataclass(frozen=True, kw_only=True)
class ProcessorFields(ForeignFields):
    """The fields of an image processor; None leaves a field to its class."""

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
"""Images are already in [0, 1], so rescaling is left out."""


def make_processor(fields: Mapping[str, Any], default: str, where: str) -> Any:
    """Return an image processor.

    transformers chooses a class depending on installed packages, and needs a folder: it receives
    one that contains only checked values.

    Arguments:
        fields: The content of preprocessor_config.json.
        default: The default processor, such as "ViT".
        where: Its name in errors.

    Raises:
        ConfigFileError: A field is not allowed.
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
            f"{where}: the image processor {shown(name)} is not supported; those of "
            "ViT, DeiT, Bit, CLIP and ConvNext are."
        )
    return match[1]


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not None, also inside sizes."""
    plain = {k: _given(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    return {k: v for k, v in plain.items() if v is not None}
