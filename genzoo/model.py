"""GenerativeModel: a distribution over x, perhaps given a condition."""

from __future__ import annotations

import abc
import fnmatch
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from genzoo import fitting, registry, sampling
from genzoo.component import Component
from genzoo.conditions import spread
from genzoo.config import Config
from genzoo.errors import CapabilityError
from genzoo.finite import check_weights
from genzoo.layouts.own import Layout
from genzoo.sampler import Sampler
from genzoo.spaces import Real, Space
from genzoo.spec import Batch, DataInfo
from genzoo.values import inpainting_mask

if TYPE_CHECKING:
    from genzoo.stage import Stage

AnyConfig = Config


class GenerativeModel(nn.Module, abc.ABC):
    """What gets trained, judged and published; abstract.

    A model owns its parameters, its config and the conditional computations. How x is drawn is
    a `Sampler`'s business, how it learns an `Objective`'s.

    Class attributes:
        Config: A frozen, keyword-only dataclass with bounds; the only constructor argument.
        event_spaces: The classes of `Space` whose data it can model.
        condition_spaces: Those of the conditions that it can be given; none by default.
        event_field: The field of the data that it models, ``"x"`` by default.
        needs: The conditions that it cannot do without, by the names of fields of the data.
        papers: What it comes from, each as "Authors. Title. Venue, year."; for its card.
        limits: What it cannot do, or what its figures do not say, in sentences; for its card.
        default_num_samples: The draws that ``log_prob`` makes where ``num_samples`` is None;
            None where it makes no draws, or where the number is not stated.

    Arguments:
        config: An instance of ``Config``. It has a field or a property ``event``, the space of
            what is modelled; where the model is conditioned, ``conditions`` too, the space of
            each condition by its name.

    Raises:
        ConfigError: The class does not model such a space, is not given such a condition, or
            drops one that cannot be left out.
    """

    Config: ClassVar[type[Config]]
    event_spaces: ClassVar[tuple[type[Space], ...]]
    condition_spaces: ClassVar[tuple[type[Space], ...]] = ()
    event_field: ClassVar[str] = "x"
    needs: ClassVar[tuple[str, ...]] = ()
    papers: ClassVar[tuple[str, ...]] = ()
    limits: ClassVar[tuple[str, ...]] = ()
    default_num_samples: int | None = None

    def __init__(self, config: AnyConfig) -> None:
        super().__init__()
        self.config: Any = config
        fitting.check_spaces(type(self), self.event, self.conditions)
        fitting.check_nulls(self)

    @property
    def event(self) -> Space:
        """The space of what is modelled."""
        found: Space = self.config.event
        return found

    @property
    def conditions(self) -> Mapping[str, Space]:
        """The space of each condition, by its name; empty where the model takes none."""
        found: Mapping[str, Space] = getattr(self.config, "conditions", {})
        return found

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.event.event_shape

    @property
    def takes_null(self) -> bool:
        """Whether it has learned to do without its conditions, and they may be left out.

        By default where the config drops conditions in training: ``condition_dropout`` drops all
        conditions of a row together, ``condition_dropout_each`` each of them on its own.
        """
        shares = ("condition_dropout", "condition_dropout_each")
        return any(getattr(self.config, name, 0.0) > 0 for name in shares)

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
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> AnyConfig:
        """Return a config that fits the data.

        The default fills the fields ``event`` and ``conditions``, where the config has them.

        Arguments:
            info: What the data are.
            conditions: The fields of the data that the model is conditioned on; None for those
                that it needs, which are none for most models.
            overrides: Fields of the config that are given by the user.

        Raises:
            DataError: The data have no such field, or are not of a space that is modelled.
            ConfigError: The model takes no such condition, or a field is refused.
        """
        return cls.Config.from_dict({**fitting.fitted(cls, info, conditions), **overrides})

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

    def to_data(self, state: Tensor) -> Tensor:
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
            condition: What the model is conditioned on, by name, such as ``{"label": 3}``: a row
                for each sample, or one for all. A model of one condition takes it without its
                name.
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
    def check_event(cls, info: DataInfo) -> None:
        """Raise DataError where the class cannot model data of that space."""
        fitting.check_event(cls, info)

    def check_data(self, info: DataInfo) -> None:
        """Raise DataError unless the model can learn from such data, or be judged by them.

        Its event and each of its conditions must be a field of the data, of a space that its own
        accepts.
        """
        fitting.check_data(self, info)

    def conditions_of(self, batch: Batch) -> dict[str, Any]:
        """Return the part of a batch that the model is conditioned on, by name.

        Raises:
            CapabilityError: The batch lacks one.
        """
        for name in self.conditions:
            if name not in batch:
                raise CapabilityError(
                    f"{type(self).__name__} is conditioned on {name}; the data have none (no "
                    f"{name!r} in a batch)."
                )
        return {name: batch[name] for name in self.conditions}

    # What is asked of the model

    def check_rows(self, x: Tensor, *, space: Space | None = None, at_least: int = 0) -> None:
        """Check rows that the model is asked about, and its own weights.

        It is the first line of each method of a capability that takes rows. The values are read
        once; within `genzoo.values.trusted`, as in training, only shape and type are checked.

        Arguments:
            x: Rows (N, *event_shape), on any device and of any real type.
            space: What they may be; `event` by default.
            at_least: How many rows there must be: 1 where a mean over them is returned.

        Raises:
            DataError: The shape or the type is another, a value is not allowed, or rows are
                lacking; the message names the first such row.
            NotFiniteWeightsError: A parameter or a buffer holds NaN or infinity.
        """
        (space or self.event).require(x, type(self).__name__, at_least=at_least)
        check_weights(self)

    def checked_rows(self, x: Tensor, *, space: Space | None = None) -> Tensor:
        """Return rows on the model's device and of its type, after `check_rows`."""
        self.check_rows(x, space=space)
        found: Tensor = (space or self.event).place(x, self.device, self.dtype)
        return found

    def checked_codes(self, z: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return codes on the model's device and of its type, after a check of them.

        Arguments:
            z: Codes (N, *shape).
            shape: The shape of one code.

        Raises:
            DataError: The shape or the type is another, or a code is not finite.
            NotFiniteWeightsError: A parameter or a buffer holds NaN or infinity.
        """
        Real(shape=tuple(shape)).require(z, f"{type(self).__name__}.decode", noun="code")
        check_weights(self)
        return z.to(self.device, self.dtype)

    def checked_condition(self, condition: Any, num: int) -> dict[str, Any]:
        """Return ``num`` rows of each condition by name, on the model's device, after a check.

        Arguments:
            condition: What a public call is given: a mapping by name, or the one condition of a
                model that has one; of each a row for every sample, or one for all. None, and a
                name that is left out, stand for "not given", where the model ``takes_null``.
            num: How many.

        Raises:
            ConditionError: One is missing, superfluous, unknown, not as many as asked for, or not
                in its space.
        """
        return spread(self, condition, num)

    def checked_inpainting(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows and the mask of what to fill in, of one shape, after a check of both.

        Where the mask is true, ``x`` may hold anything, and comes back as 0.

        Raises:
            DataError: A value that is kept is not allowed, or the mask is not of ``bool`` or does
                not broadcast to the rows.
            NotFiniteWeightsError: A parameter or a buffer holds NaN or infinity.
        """
        mask = inpainting_mask(mask, x, type(self).__name__)
        x = self.checked_rows(torch.where(mask, torch.zeros_like(x), x))
        return x, mask.to(self.device)

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
        from genzoo.pretrained.pushing import push_model

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
