"""GenerativeModel: a distribution over x, perhaps given a condition."""

from __future__ import annotations

import abc
import fnmatch
import os
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from genzoo import registry, sampling
from genzoo.component import Component
from genzoo.config import Config, field_types
from genzoo.errors import DataError
from genzoo.finite import check_weights
from genzoo.layout import Layout
from genzoo.sampler import Sampler
from genzoo.spec import Batch, DataSpec
from genzoo.values import Values, known_mask

if TYPE_CHECKING:
    from genzoo.stage import Stage

AnyConfig = Config


class GenerativeModel(nn.Module, abc.ABC):
    """What gets trained, judged and published; abstract.

    A model owns its parameters, its config and the conditional computations. How x is drawn is
    a `Sampler`'s business, how it learns an `Objective`'s.

    Class attributes:
        Config: A frozen, keyword-only dataclass with bounds; the only constructor argument.
        kind: The kinds of data it can model: "binary", "unit", "real", "categorical".
        papers: What it comes from, each as "Authors. Title. Venue, year."; for its card.
        limits: What it cannot do, or what its figures do not say, in sentences; for its card.
        default_num_samples: The draws that ``log_prob`` makes where ``num_samples`` is None;
            None where it makes no draws, or where the number is not stated.

    Arguments:
        config: An instance of ``Config``. It has a field ``event_shape``, or the subclass
            overrides the property of that name.
    """

    Config: ClassVar[type[Config]]
    kind: ClassVar[frozenset[str]]
    papers: ClassVar[tuple[str, ...]] = ()
    limits: ClassVar[tuple[str, ...]] = ()
    default_num_samples: int | None = None

    def __init__(self, config: AnyConfig) -> None:
        super().__init__()
        self.config: Any = config

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.config.event_shape)

    @property
    def condition_kind(self) -> str:
        """What the model is conditioned on: "none", "label", "text" or "image"."""
        return "none"

    @property
    def default_batch_size(self) -> int:
        """How many samples `sample` draws at once at most, where it is given no ``batch_size``.

        A subclass may override it by the size that makes the most samples a second. It is a part
        of what a seed means: a model that is published keeps it.
        """
        return 64

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' type."""
        return next(self.parameters()).dtype

    @classmethod
    def configure(cls, spec: DataSpec, **overrides: Any) -> AnyConfig:
        """Return a config that fits the data; ``overrides`` are fields given by the user.

        The default fills the fields that are named as the facts of ``spec`` are.
        """
        known = field_types(cls.Config)
        fitted = {name: value for name, value in spec.facts().items() if name in known}
        return cls.Config.from_dict({**fitted, **overrides})

    @classmethod
    @abc.abstractmethod
    def example(cls) -> tuple[AnyConfig, Batch]:
        """Return a tiny config and a batch for it, with which the conformance suite works."""

    @classmethod
    @abc.abstractmethod
    def default_stages(cls, config: Any) -> tuple[Stage, ...]:
        """Return the paper's way to train a model of that config."""

    @classmethod
    @abc.abstractmethod
    def default_sampler(cls, config: Any) -> Component:
        """Return the sampler of a model of that config that is used when none is given."""

    def layout(self) -> Layout:
        """Return where the tensors are stored, and what stands beside them for others to read.

        The default is the plain one: all tensors in ``model.safetensors``.
        """
        return Layout()

    def present(self, state: Tensor) -> Tensor:
        """Return a sampler's state (B, ...) in the units of x (B, *event_shape)."""
        return state

    def sample(
        self,
        num: int,
        *,
        condition: Any = None,
        sampler: Sampler | None = None,
        start: Tensor | None = None,
        seed: int | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """Draw ``num`` samples, of shape (num, *event_shape), without gradients, in eval mode.

        Samples are drawn in blocks of one size, ``batch_size``. For one size, a seed gives the
        same samples whatever ``num``, on the same device; for another size it gives others. So
        ``sample(3, seed=0)`` is not ``sample(100, seed=0)[:3]``, as their blocks are of 3 and of
        up to `default_batch_size`; with ``batch_size=50`` in both calls it is.

        Arguments:
            num: How many.
            condition: ``num`` conditions of the model's kind, or one for all of them.
            sampler: How; the model's own by default.
            start: ``num`` states to start from, in the model's space.
            seed: Where the randomness comes from; None takes a fresh one. The same seed means
                the same samples for the same ``batch_size``.
            batch_size: Samples per block; the last block is padded to it, so that one sample
                costs a block. None makes equal blocks of at most `default_batch_size`, which
                depend on ``num``: one sample is drawn alone.

        Raises:
            ConditionError: The condition is missing, superfluous or not understood.
            DataError: A state to start from is not finite, or there are not ``num`` of them.
            NotFiniteSampleError: A sample, or a state on the way to it, holds NaN or infinity.
            NotFiniteWeightsError: A parameter or a buffer does.
        """
        sampler = sampler or sampling.own_sampler(self)
        request = sampling.Request(num, condition, sampler, start, batch_size)
        return sampling.draw(self, request, seed)

    @classmethod
    def check_kind(cls, spec: DataSpec) -> None:
        """Raise DataError where the model cannot model data of that kind."""
        if spec.kind in cls.kind:
            return
        kinds = " or ".join(sorted(cls.kind))
        low, high = spec.range
        remedy = "Convert the data, or choose another model (genzoo list models)."
        if "binary" in cls.kind and spec.kind == "unit":
            remedy = (
                "Give --data.binarize threshold (x > 0.5), static (one draw for each image) or "
                "dynamic (a draw at each presentation); in Python, binarize='threshold'."
            )
        elif spec.kind == "real" and high > 1 and low >= 0:
            scale = 255.0 if 127 < high < 255 else high
            remedy = f"Values reach {high:g}. Divide by {scale:g}? Give --data.scale {scale:g}."
        raise DataError(
            f"{cls.__name__} models {kinds} data; these are {spec.kind}, "
            f"in [{low:g}, {high:g}]. {remedy}"
        )

    def check_data(self, spec: DataSpec) -> None:
        """Raise DataError where the data's kind, shape or number of domains is not the model's."""
        self.check_kind(spec)
        self._check_domains(spec)
        if tuple(spec.event_shape) != self.event_shape:
            raise DataError(
                f"{type(self).__name__} models examples of shape {self.event_shape}; "
                f"these have shape {tuple(spec.event_shape)}. Reshape the data, or make the "
                f"model with event_shape={tuple(spec.event_shape)}."
            )

    def _check_domains(self, spec: DataSpec) -> None:
        """Raise DataError where a second domain is missing, or would never be looked at."""
        who = type(self).__name__
        if self.condition_kind == "image" and spec.y is None:
            raise DataError(
                f"{who} learns from two domains; these data have one. Name the other: --data-y "
                "DATA; in Python, genzoo.pair(x, y)."
            )
        if self.condition_kind != "image" and spec.y is not None:
            raise DataError(
                f"{who} models one domain; these data have a second one. Leave --data-y out, or "
                "name data of one domain."
            )

    # What is asked of the model

    @property
    def event_values(self) -> Values:
        """What a row x holds, which `check_rows` compares rows with.

        By default the widest of the class's kinds, with the config's ``levels`` where it has them.
        A model whose config decides between kinds overrides it.
        """
        return Values.widest(self.kind, self.event_shape, getattr(self.config, "levels", None))

    @property
    def condition_values(self) -> Values:
        """What each condition holds, where the model is conditioned on images.

        By default images of a second domain, of the shape ``y_event_shape`` of the config.
        """
        shape = getattr(self.config, "y_event_shape", None) or self.event_shape
        return Values.widest(self.kind, tuple(shape))

    def check_rows(self, x: Tensor, *, values: Values | None = None, at_least: int = 0) -> None:
        """Check rows that the model is asked about, and its own weights.

        It is the first line of each method of a capability that takes rows. The values are read
        once; within `genzoo.values.trusted`, as in training, only shape and type are checked.

        Arguments:
            x: Rows (N, *event_shape), on any device and of any real type.
            values: What they may hold; `event_values` by default.
            at_least: How many rows there must be: 1 where a mean over them is returned.

        Raises:
            DataError: The shape or the type is another, a value is not allowed, or rows are
                lacking; the message names the first such row.
            NotFiniteWeightsError: A parameter or a buffer holds NaN or infinity.
        """
        (values or self.event_values).check(x, type(self).__name__, at_least=at_least)
        check_weights(self)

    def checked_rows(self, x: Tensor, *, values: Values | None = None) -> Tensor:
        """Return rows on the model's device and of its type, after `check_rows`."""
        self.check_rows(x, values=values)
        indices = (values or self.event_values).kind == "categorical"
        return x.to(self.device) if indices else x.to(self.device, self.dtype)

    def checked_codes(self, z: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return codes on the model's device and of its type, after a check of them.

        Arguments:
            z: Codes (N, *shape).
            shape: The shape of one code.

        Raises:
            DataError: The shape or the type is another, or a code is not finite.
            NotFiniteWeightsError: A parameter or a buffer holds NaN or infinity.
        """
        Values("real", tuple(shape)).check(z, f"{type(self).__name__}.decode", noun="code")
        check_weights(self)
        return z.to(self.device, self.dtype)

    def checked_condition(self, condition: Any, num: int) -> Any:
        """Return ``num`` conditions, of one for each row or of one for all, after a check of them.

        None where the model takes none; labels as int64 and images on the model's device.

        Raises:
            ConditionError: The condition is missing, superfluous, of the wrong kind or number, or
                holds a value that the model does not know.
        """
        return sampling.spread_condition(self, condition, num)

    def checked_completion(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows and the mask of what is known of them, of one shape, after a check of both.

        Where it is not known, ``x`` may hold anything, and comes back as 0.

        Raises:
            DataError: A known value is not allowed, or the mask is not of ``bool`` or does not
                broadcast to the rows.
            NotFiniteWeightsError: A parameter or a buffer holds NaN or infinity.
        """
        known = known_mask(known, x, type(self).__name__)
        x = self.checked_rows(torch.where(known, x, torch.zeros_like(x)))
        return x, known.to(self.device)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config and weights to ``folder``: a model folder that `GenModel` loads.

        Raises:
            DiskFullError: There is no space left; what was there before is untouched.
        """
        from genzoo.saving import save_model

        save_model(self, folder)

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        license: str | None = None,
        message: str | None = None,
        samples: int = 36,
        token: str | bool | None = None,
    ) -> str:
        """Push config, weights and a card with a picture of samples to a Hub, in one commit.

        Arguments:
            repository: ``user/name``; made where it does not exist.
            private: Whether a repository that is made is private; None takes the account's
                default.
            revision: The branch, made where it does not exist; "main" by default.
            license: The licence for the card's head, such as "mit".
            message: The commit's.
            samples: How many samples the picture has; 0 for no picture.
            token: The token to push with; None takes the one of HF_TOKEN or of ``hf auth login``.

        Returns:
            The commit's address.

        Raises:
            HubConflictError: Somebody else has pushed meanwhile; nothing was overwritten.
            HubError: It cannot be pushed; the subclass and the message say why.
        """
        from genzoo.hub.pushing import push_model

        return push_model(
            self,
            repository,
            private=private,
            revision=revision,
            license=license,
            message=message,
            samples=samples,
            token=token,
        )


def create_model(name: str, **config: Any) -> GenerativeModel:
    """Make a new model by its registered name, with the fields of its config.

    Raises:
        UnknownNameError: No such model.
        ConfigError: No such field, or a value out of bounds.
    """
    model: GenerativeModel = registry.make("models", Component(name=name, config=config))
    return model


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of registered models, importing none.

    Arguments:
        pattern: What a name matches, with * for any letters, such as "*gan*".
    """
    return fnmatch.filter(registry.names("models"), pattern)
