"""A CLIP text encoder that is stored with the model, as in Stable Diffusion."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import ConditionError, Config, ConfigError, foreign_errors, shown
from genzoo_diffusion.byte_pairs import BytePairsConfig, make_tokenizer
from genzoo_diffusion.dependencies import transformers
from genzoo_diffusion.diffusers_config import check_fields
from genzoo_diffusion.text_encoders import Encoded, TextEncoder

_NEEDED = ("hidden_size", "vocab_size", "max_position_embeddings")


@dataclass(frozen=True, kw_only=True)
class StoredTextConfig(Config):
    """The config of a CLIP text encoder: transformers' config and a tokenizer.

    Raises:
        ConfigError: Sizes are missing, or too small for the tokens.
    """

    clip: Mapping[str, Any]
    """The fields of transformers' `CLIPTextConfig`."""
    tokenizer: BytePairsConfig = field(default_factory=BytePairsConfig)
    """The tokenizer."""
    frozen: bool = True
    """Whether its weights are frozen in training, as in Stable Diffusion."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _NEEDED:
            if type(self.clip.get(name)) is not int:
                raise ConfigError(
                    f"StoredTextConfig.clip: {name} must be a whole number, got "
                    f"{shown(self.clip.get(name))}."
                )
        rows, tokens = self.clip["vocab_size"], len(self.tokenizer.tokens())
        room, longest = self.clip["max_position_embeddings"], self.tokenizer.max_length
        if rows < tokens or room < longest:
            raise ConfigError(
                f"StoredTextConfig: clip has {rows} tokens and {room} positions; the "
                f"tokenizer has {tokens} tokens and texts of length {longest}. They do not "
                "fit together."
            )

    @property
    def width(self) -> int:
        """D, the size of a state."""
        return int(self.clip["hidden_size"])


class StoredTextEncoder(TextEncoder):
    """transformers' `CLIPTextModel` from its config, with the tokens of `CLIPTokenizer`.

    States are those of Stable Diffusion's pipelines: all states of the last layer, after its norm,
    including the padding.

    | Learning Transferable Visual Models From Natural Language Supervision (Radford et al., 2021)
    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        config: Sizes and tokens.

    Attributes:
        clip: The transformers model.

    Raises:
        ConfigError: A field is unknown or refused by its config.
    """

    def __init__(self, config: StoredTextConfig) -> None:
        super().__init__()
        self.config = config
        self.clip = make_clip(config.clip)
        self.tokenizer = make_tokenizer(config.tokenizer)
        if config.frozen:
            self.clip.requires_grad_(False).eval()

    @property
    def width(self) -> int:
        """D, the size of a state."""
        return int(self.config.width)

    def train(self, mode: bool = True) -> StoredTextEncoder:
        """Set the mode of trainable parts; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.config.frozen:
            self.clip.eval()
        return self

    def forward(self, texts: Sequence[str], device: torch.device) -> Encoded:
        """Return the states of B texts, (B, max_length, width).

        Raises:
            ConditionError: A text is too long.
        """
        out = self.clip(input_ids=self.token_ids(texts).to(device))
        return Encoded(out.last_hidden_state)

    def token_ids(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens of B texts, (B, max_length), int64.

        Raises:
            ConditionError: A text is too long.
        """
        longest = self.config.tokenizer.max_length
        found = self.tokenizer(list(texts), padding="max_length", max_length=longest)["input_ids"]
        for text, ids in zip(texts, found, strict=True):
            if len(ids) > longest:
                raise ConditionError(
                    f"The text {text!r} has {len(ids)} tokens; this model's encoder takes at most "
                    f"{longest}. Shorten it."
                )
        return torch.tensor(found)


def make_clip(fields: Mapping[str, Any]) -> Any:
    """Return a `CLIPTextModel` from the fields of its config.

    Raises:
        ConfigError: A field is unknown or refused by its config.
    """
    library = transformers()
    check_fields("CLIPTextConfig", fields, list(inspect.get_annotations(library.CLIPTextConfig)))
    failed = "StoredTextConfig.clip does not define a CLIPTextModel"
    with foreign_errors(ConfigError, failed, "Check its sizes."):
        return library.CLIPTextModel(library.CLIPTextConfig(**fields))
