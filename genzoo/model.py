"""Model: a distribution over x, possibly given conditions; the core is written against it."""

from __future__ import annotations

import abc
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import torch
from torch import Tensor, nn

from genzoo import fitting, sampling
from genzoo.component import Component
from genzoo.conditions import spread
from genzoo.config import C, Config, is_whole, shown
from genzoo.errors import CapabilityError, ConfigError
from genzoo.estimate import EstimateKind
from genzoo.finite import check_weights
from genzoo.layouts.own import Layout
from genzoo.sampler import Sampler
from genzoo.spaces import Real, Space
from genzoo.spec import Batch, DataInfo
from genzoo.values import inpainting_mask

if TYPE_CHECKING:
    from genzoo.stage import Stage


class Model(nn.Module, abc.ABC, Generic[C]):
    """Abstract interface of models: what is trained, evaluated and drawn from.

    Families derive from its subclass `GenerativeModel`, which can also be saved and pushed. This
    class lies below storage and the Hub, so that these are written against it.

    A model owns its parameters, its config and the conditional computations. A `Sampler` draws x
    from it, an `Objective` trains it.

    Class attributes:
        Config: A frozen, keyword-only dataclass with bounds; the only constructor argument.
        event_spaces: The classes of `Space` whose data it can model.
        condition_spaces: The classes of `Space` that its conditions can have; none by default.
        event_field: The field of the data that it models, ``"x"`` by default.
        needs: The conditions that it cannot do without, as names of fields of the data.
        papers: The sources for its card, each as "Authors. Title. Venue, year.".
        limits: Sentences for its card that say what it cannot do, or what its figures do not show.
        default_num_samples: The number of draws of ``log_prob`` if ``num_samples`` is None; None
            if it makes no draws or does not state the number.

    Arguments:
        config: An instance of ``Config``. It has a field or a property ``event``, the space of
            what is modelled, and for a conditional model ``conditions``, the space of each
            condition by its name.

    Raises:
        ConfigError: The class does not support this space or condition, or drops a condition that
            cannot be left out.
    """

    Config: ClassVar[type[Config]]
    event_spaces: ClassVar[tuple[type[Space], ...]]
    condition_spaces: ClassVar[tuple[type[Space], ...]] = ()
    event_field: ClassVar[str] = "x"
    needs: ClassVar[tuple[str, ...]] = ()
    papers: ClassVar[tuple[str, ...]] = ()
    limits: ClassVar[tuple[str, ...]] = ()
    default_num_samples: int | None = None

    def __init__(self, config: C) -> None:
        super().__init__()
        self.config: C = config
        fitting.check_spaces(type(self), self.event, self.conditions)
        fitting.check_nulls(self)

    @property
    def event(self) -> Space:
        """The space of what is modelled."""
        config: Any = self.config  # The class of a config decides whether it has a field.
        found: Space = config.event
        return found

    @property
    def conditions(self) -> Mapping[str, Space]:
        """The space of each condition by its name; empty if the model is unconditional."""
        found: Mapping[str, Space] = getattr(self.config, "conditions", {})
        return found

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.event.event_shape

    @property
    def takes_null(self) -> bool:
        """Whether conditions may be left out, because the model learned to do without them.

        True by default if the config drops conditions in training: ``condition_dropout`` drops all
        conditions of a row together, ``condition_dropout_each`` each one independently.
        """
        shares = ("condition_dropout", "condition_dropout_each")
        return any(getattr(self.config, name, 0.0) > 0 for name in shares)

    @property
    def log_prob_kind(self) -> EstimateKind | None:
        """The kind of what ``log_prob`` returns, for descriptions; None if it is not stated."""
        return None

    @property
    def default_batch_size(self) -> int:
        """The maximum number of samples that `sample` draws at once if ``batch_size`` is None.

        A subclass may override it with the size that gives the most samples per second. Samples of
        a seed depend on it, so a published model must not change it.
        """
        return 64

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return _first_parameter(self).device

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' type."""
        return _first_parameter(self).dtype

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> C:
        """Return a config that fits the data.

        The default fills the fields ``event`` and ``conditions``, if the config has them.

        Arguments:
            info: A description of the data.
            conditions: The fields of the data that the model is conditioned on; None means
                ``needs``, which is empty for most models.
            overrides: Fields of the config that the user sets.

        Raises:
            DataError: The data have no such field, or the model does not support its space.
            ConfigError: The model does not support such a condition, or a field is refused.
        """
        config: Any = cls.Config  # Of which class, type checkers see from C.
        found: C = config.from_dict({**fitting.fitted(cls, info, conditions), **overrides})
        return found

    @classmethod
    @abc.abstractmethod
    def example(cls) -> tuple[C, Batch]:
        """Return a tiny config and a batch that fits it, for the conformance suite."""

    @classmethod
    @abc.abstractmethod
    def default_stages(cls, config: C) -> tuple[Stage, ...]:
        """Return the paper's way to train a model with this config."""

    @classmethod
    @abc.abstractmethod
    def default_sampler(cls, config: C) -> Component:
        """Return the default sampler of a model with this config."""

    @classmethod
    def preview_sampler(cls, config: C) -> Component:
        """Return the sampler of pictures during training; by default the model's own sampler.

        A family overrides it with a sampler that is quicker, or that shows the mean of p(x | z)
        where draws are noisy. Pictures state their sampler.
        """
        return cls.default_sampler(config)

    def layout(self) -> Layout:
        """Return the files that store the tensors, and files for other libraries next to them.

        By default all tensors are in ``model.safetensors``.
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

        Samples are drawn in blocks of ``batch_size``. For one block size, a seed gives the same
        samples for every ``num`` on the same device; another block size gives other samples. So
        ``sample(3, seed=0)`` is not ``sample(100, seed=0)[:3]``, because the blocks have 3 and up
        to `default_batch_size` samples; with ``batch_size=50`` in both calls it is.

        Arguments:
            num: The number of rows.
            condition: The values of the conditions by name, such as ``{"label": 3}``: a row for
                each sample, or one for all. If the model has one condition, its value is enough.
            sampler: The sampler; the model's default sampler if None.
            start: ``num`` initial states, in the model's space.
            seed: The seed; None uses a fresh one. The same seed gives the same samples for the
                same ``batch_size``.
            batch_size: Samples per block. The last block is padded, so one sample costs a whole
                block. None makes equal blocks of at most `default_batch_size`, which depend on
                ``num``: one sample is drawn alone.

        Raises:
            ConditionError: The condition is missing, superfluous or invalid.
            DataError: An initial state is not finite, or there are not ``num`` of them.
            NotFiniteSampleError: A sample or a state of its trajectory contains NaN or infinity.
            NotFiniteWeightsError: A parameter or a buffer contains NaN or infinity.
        """
        sampler = sampler or sampling.own_sampler(self)
        request = sampling.Request(num, condition, sampler, start, batch_size)
        return sampling.draw(self, request, seed)

    @classmethod
    def check_event(cls, info: DataInfo) -> None:
        """Raise DataError if the class cannot model data of this space."""
        fitting.check_event(cls, info)

    def check_data(self, info: DataInfo) -> None:
        """Raise DataError unless the data can be used to train or evaluate the model.

        Its event and each of its conditions must be a field of the data whose space the model's
        space accepts.
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

    # Checks of arguments

    def check_rows(self, x: Tensor, *, space: Space | None = None, at_least: int = 0) -> None:
        """Check rows that a method receives, and the model's weights.

        Each method of a capability that takes rows begins with this call. The values are read
        once. Inside `genzoo.values.trusted`, as in training, only shape and type are checked.

        Arguments:
            x: Rows (N, *event_shape), on any device, of any real dtype.
            space: Their space; `event` by default.
            at_least: The minimum number of rows: 1 for a method that returns a mean over rows.

        Raises:
            DataError: The shape or the type is wrong, a value is not in the space, or there are
                too few rows. The message names the first bad row.
            NotFiniteWeightsError: A parameter or a buffer contains NaN or infinity.
        """
        (space or self.event).require(x, type(self).__name__, at_least=at_least)
        check_weights(self)

    def checked_rows(self, x: Tensor, *, space: Space | None = None) -> Tensor:
        """Check rows and return them on the model's device in its dtype."""
        self.check_rows(x, space=space)
        found: Tensor = (space or self.event).place(x, self.device, self.dtype)
        return found

    def checked_codes(self, z: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Check codes and return them on the model's device in its dtype.

        Arguments:
            z: Codes (N, *shape).
            shape: The shape of one code.

        Raises:
            DataError: The shape or the type is wrong, or a code is not finite.
            NotFiniteWeightsError: A parameter or a buffer contains NaN or infinity.
        """
        Real(shape=tuple(shape)).require(z, f"{type(self).__name__}.decode", noun="code")
        check_weights(self)
        return z.to(self.device, self.dtype)

    def checked_condition(self, condition: Any, num: int) -> dict[str, Any]:
        """Check conditions and return ``num`` rows of each by name, on the model's device.

        Arguments:
            condition: The argument of a public call: a mapping by name, or the value itself if the
                model has one condition; a row for every sample, or one for all. None, and a name
                that is left out, mean "not given", if the model ``takes_null``.
            num: The number of rows.

        Raises:
            ConditionError: A condition is missing, superfluous, unknown, not in its space, or has
                the wrong number of rows.
        """
        return spread(self, condition, num)

    def checked_num_samples(self, num_samples: int | None) -> int:
        """Return how many draws an estimate makes: `default_num_samples` if None is given.

        Raises:
            ConfigError: It is not an integer of at least 1.
        """
        given: Any = self.default_num_samples if num_samples is None else num_samples
        if not is_whole(given) or given < 1:
            raise ConfigError(
                f"num_samples must be a whole number of at least 1, got {shown(given)}. Leave it "
                f"out for the model's own number, {self.default_num_samples}."
            )
        return int(given)

    def checked_inpainting(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Check rows and the mask of what to fill in, and return both with one shape.

        Where the mask is true, ``x`` may hold any value, and the space's `fill_missing` decides
        what is returned: 0, or what keeps a row in a space with padding.

        Raises:
            DataError: A value that is kept is not in the space, or the mask does not have dtype
                ``bool`` or does not broadcast to the rows.
            NotFiniteWeightsError: A parameter or a buffer contains NaN or infinity.
        """
        mask = inpainting_mask(mask, x, type(self).__name__)
        x = self.checked_rows(self.event.fill_missing(x, mask))
        return x, mask.to(self.device)


def _first_parameter(module: nn.Module) -> nn.Parameter:
    """Return the first of the module's parameters.

    ``next(module.parameters())`` does the same in five times the time, since it prepares names and
    a set of what it has seen; a step of training asks several times.
    """
    found = _first_of(module)
    return next(module.parameters()) if found is None else found


def _first_of(module: nn.Module) -> nn.Parameter | None:
    for parameter in module._parameters.values():
        if parameter is not None:
            return parameter
    for child in module._modules.values():
        found = None if child is None else _first_of(child)
        if found is not None:
            return found
    return None


def check_loaded(model: Any, who: str) -> None:
    """Raise ConfigError if a model is given by the name of its folder or repository.

    Arguments:
        model: The model.
        who: The receiver of the model, which begins the message.
    """
    if isinstance(model, str | os.PathLike):
        raise ConfigError(
            f"{who} takes a model, got {os.fspath(model)!r}. Load it first: "
            f"GenModel.from_pretrained({os.fspath(model)!r})."
        )
