"""Published text encoders in transformers' classes: pinned, frozen, and not stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Bounds,
    ConditionError,
    Config,
    ConfigFileError,
    FrozenModule,
    HubComponent,
    loading,
    make_transformers_model,
    read_object,
    weights_of,
)
from genzoo_diffusion.dependencies import transformers
from genzoo_diffusion.text_encoders import Encoded, TextEncoder
from genzoo_diffusion.text_kinds import CLASSES, Described, Kind, describe
from genzoo_diffusion.text_tokenizers import Files, make_tokenizer

_CONFIG, _FILES = "config.json", ("config.json", "tokenizer.json", "tokenizer_config.json")
_KEPT = 512
_PROBES = ("", "a")
_FEW_TOKENS, _BYTES_A_TOKEN = 2**16, 512


@dataclass(frozen=True, kw_only=True)
class PretrainedTextConfig(Config):
    """A frozen text encoder of another repository."""

    component: HubComponent
    """Where it is."""
    kind: Kind
    """The kind of encoder, which selects transformers' classes."""
    width: Annotated[int, Bounds(1, 2**14)]
    """The size of a state."""
    max_length: Annotated[int, Bounds(3, 512)] = 77
    """The maximum number of tokens of a text, including those at its ends."""

    @classmethod
    def pinned(cls, repo: str, *, revision: str | None = None, **values: Any) -> Any:
        """Return the config of a repository at the current commit of a branch or tag.

        Raises:
            HubError: It is not available.
            LoadError: Its kind is not supported.
        """
        component = HubComponent.pinned(repo, revision=revision)
        described = _described(component.folder(_FILES), _named(component))
        found = {"kind": described.kind, "width": described.width}
        return cls.from_dict({"component": component, **found, **values})


class PretrainedTextEncoder(TextEncoder):
    """A published CLIP, T5 or BERT text encoder, unchanged.

    Nothing is downloaded until the first text is encoded. Texts are encoded one by one, so that a
    text's states do not depend on the batch; the last 512 are cached.

    | Learning Transferable Visual Models From Natural Language Supervision (Radford et al., 2021)
    | Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer
    | (Raffel et al., 2020)
    | BERT: Pre-training of Deep Bidirectional Transformers (Devlin, Chang, Lee, Toutanova, 2019)

    Arguments:
        config: Which one.
    """

    def __init__(self, config: PretrainedTextConfig) -> None:
        super().__init__()
        self.config = config
        self.frozen = FrozenModule(lambda: load(config))

    @property
    def width(self) -> int:
        """D, the size of a state."""
        return int(self.config.width)

    def forward(self, texts: Sequence[str], device: torch.device) -> Encoded:
        """Return the states of B texts, (B, max_length, width), in float32.

        Raises:
            ConditionError: A text is too long.
            HubError, LoadError: The encoder is not available, or is refused.
        """
        frozen = self.frozen.module(device)
        sequences, masks = zip(*(frozen(text, device) for text in texts), strict=True)
        everything = CLASSES[self.config.kind].attends_to_padding
        return Encoded(torch.stack(sequences), None if everything else torch.stack(masks))


class _OneByOne(nn.Module):
    """An encoder with its tokenizer, which encodes one text at a time and caches the last ones."""

    def __init__(self, model: nn.Module, tokenizer: Any, max_length: int, what: str) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.max_length, self.what = max_length, what
        self.encoded = lru_cache(maxsize=_KEPT)(self._encode)

    def forward(self, text: str, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the states (L, D) of a text, and which are not padding (L,)."""
        return self.encoded(text, torch.device(device))

    @torch.no_grad()
    def _encode(self, text: str, device: torch.device) -> tuple[Tensor, Tensor]:
        with loading(self.what):  # A tokenizer's tables are first used when a text is encoded.
            tokens = self.tokenizer(
                [text], padding="max_length", max_length=self.max_length, return_tensors="pt"
            )
        ids, mask = tokens["input_ids"].to(device), tokens["attention_mask"].to(device)
        if ids.shape[1] > self.max_length:
            raise ConditionError(
                f"The text {text!r} has {ids.shape[1]} tokens; this model's encoder takes at most "
                f"{self.max_length}. Shorten it."
            )
        with loading(self.what):
            out = self.model(input_ids=ids, attention_mask=mask)
        return out.last_hidden_state[0], mask[0].bool()


def load(config: PretrainedTextConfig) -> nn.Module:
    """Return the encoder with its tokenizer, downloaded if necessary.

    Raises:
        HubError: It is not available.
        LoadError: It differs from the config, or is refused.
    """
    return load_folder(config.component.folder(_FILES), config)


def load_folder(folder: Path, config: PretrainedTextConfig) -> nn.Module:
    """Return the encoder of a folder, from the four checked files.

    Other files (adapters, other weights, token maps) are not read, because transformers is given
    values and not a folder.

    Raises:
        LoadError: It differs from the config, or is refused.
    """
    what = _named(config.component)
    described = _described(folder, what)
    _check_same(described, config)
    files = weights_of(folder)
    _check_tokens(described.tokens, files.num_bytes(), what)
    with loading(what):
        model = _weighted(described, files, what)
        tokens = Files.read(folder, described.tokens)
        tokenizer = make_tokenizer(described.kind, tokens, config.max_length)
    found = _OneByOne(model, tokenizer, config.max_length, what)
    for text in _PROBES:
        found._encode(text, torch.device("cpu"))
    return found


def _weighted(described: Described, files: Any, what: str) -> nn.Module:
    """Return the model with its weights, which must be complete."""
    classes = CLASSES[described.kind]
    model, _ = make_transformers_model(
        getattr(transformers(), classes.model),
        described.config,
        files,
        what,
        num_layers=described.layers,
        options=dict(classes.options),
    )
    found: nn.Module = model
    return found


def _named(component: HubComponent) -> str:
    return f"The text encoder {component.repo}"


def _described(folder: Path, what: str) -> Described:
    """Return the description of an encoder in a config.json.

    Raises:
        ConfigFileError: It is malformed, its kind is not supported, or a field is not allowed.
    """
    return describe(read_object(folder / _CONFIG), f"{what} cannot be loaded: {_CONFIG}")


def _check_tokens(tokens: int, num_bytes: int, what: str) -> None:
    """Refuse a vocabulary that is too large for the weights, before it is read.

    A tokenizer takes about 600 bytes for each token, so that an accepted one takes at most 50 MB
    plus a fraction of the size of its weights.

    Raises:
        ConfigFileError: It is.
    """
    most = _FEW_TOKENS + num_bytes // _BYTES_A_TOKEN
    if tokens > most:
        raise ConfigFileError(
            f"{what} cannot be loaded: its config has {tokens:,} tokens; weights of "
            f"{num_bytes:,} bytes may have {most:,}."
        )


def _check_same(described: Described, config: PretrainedTextConfig) -> None:
    """Refuse an encoder that differs from the config, or takes shorter texts.

    Raises:
        ConfigFileError: It is.
    """
    where = config.component.repo
    if described.kind != config.kind:
        raise ConfigFileError(f"{where} is a {described.kind} encoder, not {config.kind}.")
    if described.width != config.width:
        raise ConfigFileError(
            f"{where} has states of size {described.width}; the config says {config.width}."
        )
    if described.places is not None and config.max_length > described.places:
        raise ConfigFileError(
            f"{where} takes at most {described.places} tokens; the config says max_length "
            f"{config.max_length}."
        )
