"""The arguments of each command that no class of the zoo has a say in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from genzoo.cli.listing import Listing
from genzoo.config import Bounds, Config
from genzoo.isolation import SECONDS

_Seed = Annotated[int, Bounds(0, 2**63 - 1)]
_Count = Annotated[int, Bounds(1, 10**9)]
_Samples = Annotated[int, Bounds(0, 10_000)]


@dataclass(frozen=True, kw_only=True)
class Arguments(Config):
    """The checked arguments of a command; abstract."""

    _title = "--"


@dataclass(frozen=True, kw_only=True)
class FromModel(Arguments):
    """The arguments of a command that takes a model; abstract."""

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """The model folder, or a repository of the Hub: user/name."""
    revision: str | None = None
    """The branch, tag or commit of a repository."""


@dataclass(frozen=True, kw_only=True)
class OnData(Arguments):
    """The arguments of a command that looks at data; abstract."""

    data_name: Annotated[str | None, tyro.conf.arg(name="data")] = None
    """The data; those that the model was trained on by default, with the same values."""
    data_y_name: Annotated[str | None, tyro.conf.arg(name="data-y")] = None
    """Likewise the data of the second domain, for a model of two."""
    split: str | None = None
    """The split; "test" by default, or the only one there is."""


@dataclass(frozen=True, kw_only=True)
class OnDevice(Arguments):
    """The arguments of a command that computes; abstract."""

    device: str = "cpu"
    """Where to compute, such as cuda."""


@dataclass(frozen=True, kw_only=True)
class WithConditions(Arguments):
    """The arguments of a command that gives a model its conditions; abstract."""

    condition: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME=VALUE, or --condition.NAME VALUE: what the model is given for a condition."""
    label: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Short for --condition.label: an index, or the name of a class."""
    text: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Short for --condition.text."""


@dataclass(frozen=True, kw_only=True)
class WithSampler(Arguments):
    """The arguments of a command that draws samples; abstract."""

    sampler_name: Annotated[str | None, tyro.conf.arg(name="sampler")] = None
    """How samples are drawn (see genzoo list samplers); the model's own way by default."""


@dataclass(frozen=True, kw_only=True)
class ListArguments(Listing):
    """List what is installed, and what each entry is; nothing of it is imported.

    genzoo list models, genzoo list "*gan*", genzoo list samplers "d*": a group, and names in which
    * stands for any letters. --check, --for and --can import the plugins, each distribution in a
    process of its own.

    GENZOO_DISABLE_PLUGINS=NAME,... leaves out the distributions of those names, to find out which
    one a fault comes from; GENZOO_DISABLE_PLUGINS=all leaves out all but genzoo itself.
    """

    what: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")] = ()
    """A group (models, objectives, samplers, optimizers, lr_schedulers, datasets, metrics,
    formats), names, or both."""
    data: Annotated[str | None, tyro.conf.arg(name="for", metavar="DATA")] = None
    """Models that can model this dataset, grey images perhaps as zeros and ones. Imports them."""
    can: Annotated[str | None, tyro.conf.arg(metavar="CAPABILITY")] = None
    """Models with this capability, such as log-prob or encode. Imports them."""
    json: bool = False
    """Print JSON instead of a table."""
    check: bool = False
    """Import every entry, and show each error."""
    seconds: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = SECONDS
    """How long the import of an entry may take."""
    origin: bool = False
    """Show the distribution and the folder that each entry comes from."""


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """Train a model: genzoo train NAME --data DATA --output DIR, or --recipe FILE.toml."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = None
    """The model (genzoo list models); then genzoo train NAME --data DATA --help tells of all."""
    output: Path
    """The folder of the run, where the trained model is written too."""
    data_name: Annotated[str | None, tyro.conf.arg(name="data")] = None
    """A dataset's name, an array file, a folder of images, or a repository user/name."""
    data_y_name: Annotated[str | None, tyro.conf.arg(name="data-y")] = None
    """Likewise the data of the second domain, for a model that learns from two."""
    objective_name: Annotated[str | None, tyro.conf.arg(name="objective")] = None
    """How the model learns (see genzoo list objectives); the model's own way by default."""
    recipe: Path | None = None
    """A recipe to make, instead of NAME and --data."""
    resume: bool = False
    """Go on with the run in --output, bit for bit."""
    overwrite: bool = False
    """Replace the run in --output."""


@dataclass(frozen=True, kw_only=True)
class SampleArguments(WithSampler, WithConditions, OnDevice, FromModel):
    """Draw samples from a trained model into a picture or an array.

    A condition that is given several times: each value gets as many samples, and a picture a row
    for each.
    """

    num: _Count
    """How many samples."""
    output: Path | None = None
    """FILE.png for a picture, FILE.npz for an array named x; a new samples.png by default."""
    trajectory: Path | None = None
    """FILE.png for a second picture: how the first samples came about, a row for each, from the
    sampler's first state to its last."""
    seed: _Seed | None = None
    """Where the randomness comes from; a fresh one by default. With one --batch-size a seed gives
    the same samples whatever --num; without it blocks, and so samples, depend on --num."""
    batch_size: _Count | None = None
    """Samples per block; the last block is padded to it, so that one sample costs a block. By
    default equal blocks of at most the model's default_batch_size: one sample is drawn alone."""


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments(WithSampler, OnDevice, OnData, FromModel):
    """Judge a trained model on data."""

    metrics: tuple[str, ...] = ()
    """Which (see genzoo list metrics); all that the model and the data allow by default."""
    json: Path | None = None
    """Write the figures with their provenance to this file too."""
    card: bool = False
    """Write the figures into the folder's card, README.md, as a table and as its model index."""
    verify: bool = False
    """Make the figures of the folder's card again from their provenance, and compare."""
    seed: _Seed = 0
    """Where the randomness of samples, of estimators and of the choice of rows comes from."""
    max_examples: _Count = 10_000
    """At most so many rows are used; of more, that many are drawn, in proportion to the labels."""


@dataclass(frozen=True, kw_only=True)
class ExploreArguments(WithConditions, OnDevice, OnData, FromModel):
    """Look at the codes of a model that encodes and decodes: what it has learned, as a picture."""

    view: Literal["manifold", "interpolation", "traversal"] = "manifold"
    """A plane of codes; lines between examples' codes; one example's code value by value."""
    output: Path
    """FILE.png."""
    num: Annotated[int, Bounds(2, 200)] = 16
    """Codes on a side of the plane, or on each line."""
    rows: Annotated[int, Bounds(1, 200)] = 10
    """Lines of an interpolation or a traversal."""
    dimensions: tuple[int, int] = (0, 1)
    """The two dimensions of the plane."""
    seed: _Seed = 0
    """Which examples are drawn from the data."""


@dataclass(frozen=True, kw_only=True)
class TranslateArguments(OnDevice, OnData, FromModel):
    """Translate data of one domain to the other, and back: source, translation, return."""

    output: Path
    """FILE.png for strips, FILE.npz for arrays named source, translated and back."""
    to: Literal["y", "x"] = "y"
    """The domain that is translated to; to x, the source is the data's second domain, if any."""
    view: Literal["strips", "failures"] = "strips"
    """Some examples, or those that come back worst."""
    num: Annotated[int, Bounds(1, 10**6)] = 16
    """How many examples."""
    max_examples: _Count = 1000
    """At most so many rows are searched for failures."""
    seed: _Seed = 0
    """Which examples, or rows to search, are drawn from the data."""


@dataclass(frozen=True, kw_only=True)
class InspectArguments(FromModel):
    """Say what a model is, from its config, its card and its weights' headers alone."""


@dataclass(frozen=True, kw_only=True)
class CardArguments(WithSampler, OnDevice):
    """Write a model folder's card, README.md, and its picture of samples, samples.png."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """The model folder."""
    license: str | None = None
    """The licence, such as apache-2.0; what the card states by default."""
    name: str | None = None
    """What the model is called; what the card says, or the folder's name, by default."""
    source: str | None = None
    """What the card loads the model from; what it says, or the folder's name, by default."""
    num: _Samples = 36
    """How many samples the picture has; 0 leaves the picture as it is."""
    seed: _Seed = 0
    """Where their randomness comes from."""


@dataclass(frozen=True, kw_only=True)
class PushArguments(Arguments):
    """Push a model folder to a repository of the Hub, in one commit."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """The model folder."""
    repository: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="USER/NAME")]
    """The repository, made where it does not exist."""
    private: bool = False
    """Make the repository a private one; your account's default by default."""
    revision: str | None = None
    """The branch, made where it does not exist; "main" by default."""
    license: str | None = None
    """The model's licence, for its card, such as mit; what the card states by default."""
    message: str | None = None
    """The commit's message."""
    samples: _Samples = 36
    """Samples in the picture that is drawn where the folder has no samples.png; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class PublishArguments:
    """Push model folders, each to a repository of its own name."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """The model folders; files among them, as of folder/*, are left out."""
    namespace: str | None = None
    """The user or organisation; yourself by default."""
    private: bool = False
    """Make the repositories private ones; your account's default by default."""


@dataclass(frozen=True, kw_only=True)
class PullArguments:
    """Copy a model of the Hub into a folder, with its card, recipe, figures and pictures."""

    repository: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="USER/NAME")]
    """The repository."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Where to; made where it does not exist."""
    revision: str | None = None
    """The branch, tag or commit; "main" by default."""
    overwrite: bool = False
    """Replace a model that is in the folder."""


@dataclass(frozen=True, kw_only=True)
class ReportArguments:
    """Write one HTML file about a run, finished or not: figures, samples, curves, config."""

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """The folder of the run, or a repository of the Hub: user/name."""
    revision: str | None = None
    """The branch, tag or commit of a repository."""
    output: Path | None = None
    """The file, FILE.html; by default report.html in the folder, or here for a repository."""
    evaluation: tuple[Path, ...] = ()
    """Files of genzoo evaluate --json, beside those in the folder named evaluation*.json."""


@dataclass(frozen=True, kw_only=True)
class QuickstartArguments:
    """Train a model of handwritten digits, store it, load it, sample it and judge it."""

    output: Path = Path("quickstart")
    """The folder that everything is written to; an earlier quickstart there is replaced."""
    fast: bool = False
    """A tenth of the training, to see that everything works."""


@dataclass(frozen=True, kw_only=True)
class CheckArguments:
    """Run the conformance suite over a registered model, yours for instance."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """The model's registered name (genzoo list models)."""
    expect: tuple[str, ...] = ()
    """Failures that are expected, each as CHECK=REASON; one that then passes is a failure."""
    json: bool = False
    """Print JSON instead of lines."""


@dataclass(frozen=True, kw_only=True)
class NewPluginArguments:
    """Write a package of your own, with a model that works and its tests."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """The model's name, in small letters; the package is genzoo-NAME."""
    folder: Path | None = None
    """Where to, a folder that does not exist; genzoo-NAME here by default."""
    license: Literal["apache-2.0", "bsd-3-clause", "mit"] = "apache-2.0"
    """The package's licence."""


@dataclass(frozen=True)
class Peeked:
    """What can be told of arguments before it is known which flags there are.

    Arguments:
        positional: The first argument that is neither a flag nor a flag's value.
        flags: The values of the flags that name classes.
        metrics: What follows ``--metrics``.
    """

    positional: str = ""
    flags: dict[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
