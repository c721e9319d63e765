"""Pipelines of diffusers as models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genzoo.plugin import ConfigFileError, ForeignFormat, TranslatedModel, shown
from genzoo_diffusion.ddpm_pipeline import DDPM_PIPELINE
from genzoo_diffusion.pipelines import MARKER, Pipeline
from genzoo_diffusion.stable_diffusion import STABLE_DIFFUSION

PIPELINES: Mapping[str, Pipeline] = {
    "DDPMPipeline": DDPM_PIPELINE,
    "StableDiffusionPipeline": STABLE_DIFFUSION,
}
"""The supported kinds, by the names of diffusers' classes."""


class DiffusersFormat(ForeignFormat):
    """A pipeline of one of `PIPELINES`, as diffusers saves it."""

    def configs(self, marker: Mapping[str, Any]) -> Sequence[str]:
        """Return the configs of its parts."""
        kind = _kind(marker)
        kind.check(marker)
        return kind.configs

    def texts(self, marker: Mapping[str, Any]) -> Sequence[str]:
        """Return the files of its tokenizer, if it has one."""
        return _kind(marker).texts

    def translate(self, found: Mapping[str, Any]) -> TranslatedModel:
        """Return the pipeline as a model."""
        return _kind(found[MARKER]).translate(found)


def _kind(marker: Mapping[str, Any]) -> Pipeline:
    name = marker.get("_class_name")
    if not isinstance(name, str) or name not in PIPELINES:
        raise ConfigFileError(
            f"{MARKER}: a {shown(name)} of diffusers is not supported. "
            f"{' or '.join(PIPELINES)} is."
        )
    return PIPELINES[name]
