"""What a model can do besides sampling, as protocols for ``isinstance``.

A model declares a capability by having its methods and properties. Evaluation, the command line
and the report use these protocols and know no family.

Each method that takes rows refuses rows that are not in the model's space and weights that are not
finite. It begins with `GenerativeModel.check_rows` or ``checked_rows``, with ``checked_codes`` or
``checked_inpainting``, and, if it takes a condition, with ``checked_condition``. They raise:

- DataError: the rows have the wrong shape or type, or contain a value outside of the space; the
  message names the first bad row, the value and the remedy.
- ConditionError: a condition is missing, superfluous or unknown, or has the wrong number of rows.
- NotFiniteWeightsError: a parameter or a buffer contains NaN or infinity; the message names it.

For no rows, ``(0, *event_shape)``, a method returns an empty result of the shape that more rows
would have.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from genzoo.log_prob import LogProb
from genzoo.spaces import Space
from genzoo.spec import Batch, DataInfo


@runtime_checkable
class SupportsLogProb(Protocol):
    """log p(x), exact or estimated, with its kind."""

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return log p(x) of each row of ``x`` (N, *event_shape), in nats.

        Under ``torch.no_grad()``, as in an evaluation, ``x`` may be larger than the device's
        memory: it is worked through in blocks, and the values are float64 on the CPU. With
        gradients enabled all rows are one block, and the values keep their graph, on the model's
        device and of its type; see `genzoo.plugin.by_blocks`. A normaliser is estimated once.

        Arguments:
            x: The rows.
            condition: A condition for each row, if the model takes one.
            generator: The generator of an estimate, on the model's device.
            num_samples: The number of draws of an estimate, such as importance samples per row or
                annealed chains; None means the model's default. Exact values do not use it.

        Raises:
            DataError: A row is not in the model's space.
            CapabilityError: Gradients are enabled, but the estimate has no useful gradient; the
                message names the objective for training.
        """


@runtime_checkable
class SupportsHeldOutRows(SupportsLogProb, Protocol):
    """A log-likelihood whose estimate starts at rows of data, preferably not the evaluated ones.

    An evaluation of the log-likelihood passes ``start`` if the data have enough rows that are not
    evaluated. It is a variant of `SupportsLogProb`, so it is not one of `ALL`.
    """

    def num_held_out(self, num_samples: int | None = None) -> int:
        """Return the number of rows that the estimate starts at for a number of draws."""

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
        start: Tensor | None = None,
    ) -> LogProb:
        """Return log p(x) of each row of ``x`` (N, *event_shape), in nats.

        The arguments are those of `SupportsLogProb.log_prob`, and ``start``: rows that are not in
        ``x``, (K, *event_shape). If None, the model takes rows of ``x``, and the notes say so.
        """


@runtime_checkable
class SupportsEnergy(Protocol):
    """A log-density up to a constant."""

    def energy(self, x: Tensor) -> Tensor:
        """Return −log p(x) − log Z, of shape (B,), for ``x`` of shape (B, *event_shape)."""


@runtime_checkable
class SupportsEncode(Protocol):
    """Data to codes.

    A stage whose ``inputs`` name the model feeds its codes to another one.
    """

    @property
    def codes(self) -> Space:
        """The space of what `draw_codes` returns."""

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean or the mode of the codes of each row of ``x`` (B, *event_shape).

        The result has the shape of codes, (B, *codes.event_shape). A mean need not be a code
        itself: for binary codes it is a probability.
        """

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw a code, (B, *codes.event_shape), for each row of ``x`` (B, *event_shape).

        If a row has only one code, it is that of `encode`, and the generator is not used.

        Arguments:
            x: The rows.
            condition: A condition for each row, if the model takes one.
            generator: The generator, on the model's device.
        """


@runtime_checkable
class SupportsDecode(Protocol):
    """Codes to data."""

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return data (B, *event_shape) for each code of ``z`` (B, ...), of finite values."""


@runtime_checkable
class SupportsTranslate(Protocol):
    """Data of one domain to data of another."""

    def translate(self, x: Tensor, *, to: str) -> Tensor:
        """Return ``x`` (B, *event_shape) translated to the domain ``to``."""


@runtime_checkable
class SupportsClassify(Protocol):
    """Data to labels."""

    def classify(self, x: Tensor) -> Tensor:
        """Return the probability of each label, (B, C), for each row of ``x``."""


@runtime_checkable
class SupportsInpainting(Protocol):
    """Fills in a part of x, given the rest."""

    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 1000,
    ) -> Tensor:
        """Return ``x`` (B, *event_shape) with values drawn given the rest where ``mask`` is true.

        Arguments:
            x: Rows. Where the mask is true they may hold anything, NaN too.
            mask: Where to fill in: of ``torch.bool``, of a shape that broadcasts to that of ``x``.
            generator: The generator, on the model's device.
            num_inference_steps: How many steps are made: of a Markov chain, or back in time.
        """


@runtime_checkable
class SupportsDataInit(Protocol):
    """Initialisation from statistics of the data, which the model keeps in persistent buffers."""

    def needs_data_init(self) -> bool:
        """Whether the statistics are still missing; False once initialised, also after loading."""

    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Set the statistics from one large batch, and from ``info.mean`` if it is known."""


@runtime_checkable
class SupportsNestedInit(Protocol):
    """A model that initialises the models it holds, for example one of them from another.

    Before the first stage of a nested model that starts from data, the Trainer calls `init_nested`
    of the whole model in place of the nested one's ``init_from_data``. It is not one of `ALL`.
    """

    def init_nested(self, name: str, batch: Batch, info: DataInfo) -> None:
        """Initialise the nested model of a dotted name from a batch of its data, with their info.

        The batch and the info are those that `SupportsDataInit.init_from_data` of the nested model
        would receive: codes, if the stage has inputs.
        """


@runtime_checkable
class SupportsFilters(Protocol):
    """Weights that can be shown in the units of x."""

    def filters(self) -> Tensor:
        """Return the filters, of shape (num_filters, *event_shape).

        Filters that see a part of an example have its sizes, such as (num_filters, C, 7, 7).
        """


@runtime_checkable
class SupportsLayers(Protocol):
    """Layers of hidden units, one above the other, that can be shown in the units of x."""

    @property
    def num_layers(self) -> int:
        """The number of hidden layers."""

    def receptive_fields(self, layer: int) -> Tensor:
        """Return what each unit of a layer sees, (num_units, *event_shape); layer 1 is next to x.

        Raises:
            ConfigError: The layer is not from 1 to `num_layers`.
        """

    def fantasies(
        self, num: int, *, generator: torch.Generator, num_inference_steps: int = 1000
    ) -> Sequence[Tensor]:
        """Draw all layers of the model, and return pictures of each, (num, *event_shape).

        The first are x itself. Those of a layer show the examples that it allows: all layers
        below are drawn anew, given its units.

        Arguments:
            num: The number of draws.
            generator: The generator, on the model's device.
            num_inference_steps: Steps of the Markov chain, if the model has one.
        """


@runtime_checkable
class SupportsBits(Protocol):
    """An exact likelihood of one value after another."""

    def bits(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return −log₂ p of each value of ``x`` (N, *event_shape) given those before it.

        They have the shape of ``x``; their sum over a row is −log₂ p of the row.

        Raises:
            CapabilityError: The model as it is configured has no such order of values.
        """


_DOES: dict[type, str] = {
    SupportsLogProb: "give a log-likelihood",
    SupportsEnergy: "give an energy",
    SupportsEncode: "encode",
    SupportsDecode: "decode",
    SupportsTranslate: "translate",
    SupportsClassify: "classify",
    SupportsInpainting: "inpaint",
    SupportsDataInit: "start from data",
    SupportsFilters: "show filters",
    SupportsLayers: "show layers of hidden units",
    SupportsBits: "give the bits of each value",
}
ALL = tuple(_DOES)
"""All capabilities."""


def names() -> list[str]:
    """Return the names of all capabilities."""
    return [protocol.__name__.removeprefix("Supports") for protocol in ALL]


def of(model: object) -> list[str]:
    """Return the names of the capabilities that a model, or a model's class, has."""
    cls = model if isinstance(model, type) else type(model)
    return [p.__name__.removeprefix("Supports") for p in ALL if declares(cls, p)]


def members(protocol: type) -> list[str]:
    """Return the names of a capability's methods and properties."""
    found = (name for base in protocol.__mro__ for name in vars(base))
    return list(dict.fromkeys(name for name in found if not name.startswith("_")))


def declares(cls: type, protocol: type) -> bool:
    """Whether a class has all methods and properties of a capability.

    Python refuses ``issubclass`` for a protocol with a property.
    """
    return all(getattr(cls, name, None) is not None for name in members(protocol))


def title_of(capability: str) -> str:
    """Return a capability's name on the command line.

    >>> title_of("LogProb")
    'log-prob'
    """
    return re.sub(r"(?<!^)([A-Z])", r"-\1", capability).lower()


def lacking(model: object, needed: Sequence[type]) -> str:
    """Describe the needed capabilities that a model lacks; empty if it has all of them.

    >>> lacking(object(), [SupportsEncode, SupportsDecode])
    'the model does not encode or decode'
    """
    found = [_DOES.get(p, f"have {p.__name__}") for p in needed if not isinstance(model, p)]
    return f"the model does not {' or '.join(found)}" if found else ""
