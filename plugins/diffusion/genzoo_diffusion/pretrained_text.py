"""Text encoders of others, by transformers' own classes: pinned, frozen, and not stored."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import torch
from torch import Tensor, nn

from genzoo import Bounds, ConditionError, Config, External, Frozen, LoadError
from genzoo.errors import ConfigFileError
from genzoo.external import WEIGHTS
from genzoo.files import strict_json
from genzoo.weights import read_header
from genzoo_diffusion.dependencies import transformers
from genzoo_diffusion.text_encoders import Encoded, TextEncoder

Kind = Literal["clip", "t5", "bert"]
_CONFIG, _FILES = "config.json", ("config.json", "tokenizer.json", "tokenizer_config.json")
_KEPT = 512
_UNFIT = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError)


@dataclass(frozen=True)
class Classes:
    """transformers' classes for one kind of encoder: they are all that is ever run.

    Arguments:
        model: The model's.
        config: Its config's.
        tokenizer: Its tokenizer's.
        model_types: What a config.json of that kind calls itself.
        attends_to_padding: Whether a denoiser attends to the padding's states too, as in Stable
            Diffusion.
        options: What the model's class takes beside the folder.
    """

    model: str
    config: str
    tokenizer: str
    model_types: tuple[str, ...]
    attends_to_padding: bool = False
    options: tuple[tuple[str, Any], ...] = ()


CLASSES = {
    "clip": Classes(
        "CLIPTextModel",
        "CLIPTextConfig",
        "CLIPTokenizerFast",
        ("clip", "clip_text_model"),
        attends_to_padding=True,
    ),
    "t5": Classes("T5EncoderModel", "T5Config", "T5TokenizerFast", ("t5",)),
    "bert": Classes(
        "BertModel",
        "BertConfig",
        "BertTokenizerFast",
        ("bert",),
        options=(("add_pooling_layer", False),),
    ),
}


@dataclass(frozen=True, kw_only=True)
class PretrainedTextConfig(Config):
    """A frozen text encoder of another repository."""

    external: External
    """Where it is."""
    kind: Kind
    """Which of transformers' classes it is of."""
    width: Annotated[int, Bounds(1, 2**14)]
    """The size of a state."""
    max_length: Annotated[int, Bounds(3, 512)] = 77
    """The tokens of the longest text, those at its ends included."""

    @classmethod
    def pinned(cls, repo: str, *, revision: str | None = None, **values: Any) -> Any:
        """Return the config of what a repository's branch or tag is now.

        Raises:
            HubError: It cannot be had.
            LoadError: It is of no kind that is known.
        """
        external = External.pinned(repo, revision=revision)
        folder = external.folder(_FILES)
        kind = _kind_of(folder)
        width = _config_of(folder, CLASSES[kind]).hidden_size
        return cls.from_dict({"external": external, "kind": kind, "width": width, **values})


class PretrainedTextEncoder(TextEncoder):
    """A published CLIP, T5 or BERT text encoder as it is.

    Nothing is fetched until the first text is encoded. Texts are encoded one by one and the last
    512 are kept, so that a text's states are the same whatever it is encoded with.

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
        self.frozen = Frozen(lambda: load(config))

    @property
    def width(self) -> int:
        """D, the size of a state."""
        return int(self.config.width)

    def forward(self, texts: Sequence[str], device: torch.device) -> Encoded:
        """Return the states of B texts, (B, max_length, width), in float32.

        Raises:
            ConditionError: A text is too long.
            HubError, LoadError: The encoder cannot be had, or is refused.
        """
        frozen = self.frozen.module(device)
        sequences, masks = zip(*(frozen(text, device) for text in texts), strict=True)
        everything = CLASSES[self.config.kind].attends_to_padding
        return Encoded(torch.stack(sequences), None if everything else torch.stack(masks))


class _OneByOne(nn.Module):
    """An encoder with its tokenizer, which encodes a text at a time and keeps the last ones."""

    def __init__(self, model: nn.Module, tokenizer: Any, max_length: int) -> None:
        super().__init__()
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length
        self.encoded = lru_cache(maxsize=_KEPT)(self._encode)

    def forward(self, text: str, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the states (L, D) of a text, and which are no padding (L,)."""
        return self.encoded(text, torch.device(device))

    @torch.no_grad()
    def _encode(self, text: str, device: torch.device) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer(
            [text], padding="max_length", max_length=self.max_length, return_tensors="pt"
        )
        ids, mask = tokens["input_ids"].to(device), tokens["attention_mask"].to(device)
        if ids.shape[1] > self.max_length:
            raise ConditionError(
                f"The text {text!r} has {ids.shape[1]} tokens; this model's encoder reads at most "
                f"{self.max_length}. Shorten it."
            )
        out = self.model(input_ids=ids, attention_mask=mask)
        return out.last_hidden_state[0], mask[0].bool()


def load(config: PretrainedTextConfig) -> nn.Module:
    """Return the encoder with its tokenizer, fetched if need be.

    Raises:
        HubError: It cannot be had.
        LoadError: It is another one than the config says, or transformers cannot load it.
    """
    folder = config.external.folder(_FILES)
    where, classes = config.external.repo, CLASSES[config.kind]
    if _kind_of(folder) != config.kind:
        raise ConfigFileError(f"{where} is a {_kind_of(folder)} encoder, not {config.kind}.")
    described = _config_of(folder, classes)
    if described.hidden_size != config.width:
        raise ConfigFileError(
            f"{where} has states of size {described.hidden_size}; the config says {config.width}."
        )
    _check_room(described, config)
    _check_size(described, classes, folder)
    with _refusing(where):
        tokenizer = getattr(transformers(), classes.tokenizer).from_pretrained(
            folder, local_files_only=True
        )
        return _OneByOne(_weighted(folder, classes, where), tokenizer, config.max_length)


def _weighted(folder: Path, classes: Classes, where: str) -> nn.Module:
    """Return the model with its weights, none of which may be missing: those would be random."""
    model, info = getattr(transformers(), classes.model).from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        **dict(classes.options),
    )
    lacking = sorted(info["missing_keys"])
    if lacking:
        raise LoadError(f"The text encoder {where} lacks weights, the first {lacking[0]}.")
    found: nn.Module = model
    return found


def _kind_of(folder: Path) -> Kind:
    """Return the kind that a config.json says it is of.

    Raises:
        ConfigFileError: It is of none that is known.
    """
    path = folder / _CONFIG
    try:
        model_type = strict_json(path.read_text("utf-8"))["model_type"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigFileError(f"{path} says no model_type: {error}.") from error
    for kind in get_args(Kind):
        if model_type in CLASSES[kind].model_types:
            found: Kind = kind
            return found
    raise ConfigFileError(
        f"{path} is of the kind {model_type!r}. Text encoders of these kinds are run: "
        f"{', '.join(CLASSES)}."
    )


def _config_of(folder: Path, classes: Classes) -> Any:
    with _refusing(str(folder)):
        return getattr(transformers(), classes.config).from_pretrained(
            folder, local_files_only=True
        )


def _check_room(described: Any, config: PretrainedTextConfig) -> None:
    """Refuse a length that is more than the encoder has positions."""
    most = getattr(described, "max_position_embeddings", config.max_length)
    if config.max_length > most:
        raise ConfigFileError(
            f"{config.external.repo} reads at most {most} tokens; the config says max_length "
            f"{config.max_length}."
        )


def _check_size(described: Any, classes: Classes, folder: Path) -> None:
    """Refuse a config that asks for more than the weights hold, before memory is taken for it."""
    header = read_header(folder / WEIGHTS)
    stored = sum(math.prod(shape) for _, shape in header.values())
    with _refusing(str(folder)):
        if described.num_hidden_layers > len(header):
            raise ValueError(f"{described.num_hidden_layers} layers of {len(header)} tensors")
        with torch.device("meta"):
            model = getattr(transformers(), classes.model)(described, **dict(classes.options))
        asked = sum(parameter.numel() for parameter in model.parameters())
        if asked > stored:
            raise ValueError(f"its config asks for {asked:,} values; its weights hold {stored:,}")


@contextlib.contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Turn transformers' errors into a refusal, and keep its report of loading to itself."""
    log = transformers().logging
    before = log.get_verbosity()
    log.set_verbosity_error()
    try:
        yield
    except _UNFIT as error:
        raise LoadError(f"The text encoder {where} cannot be loaded: {error}") from error
    finally:
        log.set_verbosity(before)
