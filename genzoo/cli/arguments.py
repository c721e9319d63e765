"""The fixed arguments of each command, which do not depend on the classes that it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from genzoo.cli.common_arguments import (
    FromModel,
    InProcesses,
    OnData,
    OnDevice,
    Seed,
    WithConditions,
    WithSampler,
)
from genzoo.cli.listing import Listing
from genzoo.cli.value_kinds import DATA, FILE, FOLDER, MODEL, ValueKind, name_of
from genzoo.config import Bounds
from genzoo.isolation import SECONDS

_Count = Annotated[int, Bounds(1, 10**9)]


@dataclass(frozen=True, kw_only=True)
class ListArguments(Listing):
    """List everything that is installed, with a description; nothing is imported.

    genzoo list models, genzoo list "*gan*", genzoo list samplers "d*": a group, and names in which
    * stands for any letters. --check, --for and --can import the plugins, each distribution in a
    process of its own.

    GENZOO_DISABLE_PLUGINS=NAME,... disables these distributions, for debugging;
    GENZOO_DISABLE_PLUGINS=all disables all but genzoo itself.
    """

    what: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")] = ()
    """A group (models, objectives, samplers, optimizers, lr_schedulers, datasets, metrics,
    extractors, formats, or one of a package such as my_package.estimators), names, or both."""
    data: Annotated[str | None, tyro.conf.arg(name="for", metavar="DATA"), DATA] = None
    """Show models that can learn this dataset, possibly after binarisation. Imports them."""
    can: Annotated[str | None, tyro.conf.arg(metavar="CAPABILITY")] = None
    """Show models with this capability, such as log-prob or encode. Imports them."""
    json: bool = False
    """Print JSON instead of a table."""
    check: bool = False
    """Import every entry, and show each error."""
    seconds: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = SECONDS
    """The time limit in seconds for the import of an entry."""
    origin: bool = False
    """Show the distribution and the folder that each entry comes from."""


@dataclass(frozen=True, kw_only=True)
class TrainArguments(InProcesses):
    """Train a model: genzoo train NAME --data DATA --output DIR, or --recipe FILE.toml."""

    name: Annotated[
        str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME"), name_of("models")
    ] = None
    """The model (see genzoo list models); genzoo train NAME --data DATA --help shows all flags."""
    output: Annotated[Path, FOLDER]
    """The folder of the run, which also receives the trained model."""
    data_name: Annotated[str | None, tyro.conf.arg(name="data"), DATA] = None
    """A dataset's name, an array file, a folder of images, or a Hub repository user/name."""
    data_y_name: Annotated[str | None, tyro.conf.arg(name="data-y"), DATA] = None
    """The data of the second domain, for a model that learns from two."""
    objective_name: Annotated[
        str | None, tyro.conf.arg(name="objective"), name_of("objectives")
    ] = None
    """The objective (see genzoo list objectives); by default the model's own stages."""
    pretrained: Annotated[str | None, tyro.conf.arg(name="from", metavar="MODEL"), MODEL] = None
    """A stored model to start from, a folder or a Hub repository user/name; NAME may be left
    out."""
    revision: str | None = None
    """The branch, tag or commit of that repository."""
    recipe: Annotated[Path | None, FILE] = None
    """A recipe to train, instead of NAME and --data."""
    resume: bool = False
    """Resume the run in --output bit-exactly; with more steps, a finished run goes on."""
    overwrite: bool = False
    """Replace the run in --output."""
    # The flags of sections that were typed, such as model.num_hidden, with a default too.
    typed: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()


@dataclass(frozen=True, kw_only=True)
class SampleArguments(InProcesses, WithSampler, WithConditions, OnDevice, FromModel):
    """Draw samples from a trained model into a picture, an array, or a folder of arrays.

    If a condition is given several times, each value gets an equal number of samples, and a
    picture has a row for each.
    """

    num: _Count
    """The number of samples."""
    output: Annotated[Path | None, FILE] = None
    """FILE.png for a picture, FILE.npz for an array named x, as bytes if the values are whole
    numbers, FILE.txt for a line of text each; a new samples.png by default. A folder, or a name
    without an ending, receives any number of samples in files of arrays; the same command
    continues after an interruption."""
    shard_size: _Count | None = None
    """Samples per file of a folder, rounded up to whole blocks; by default there are about 64
    files, or as many as it takes for eight million values in each."""
    trajectory: Annotated[Path | None, FILE] = None
    """A second file with the trajectories of the first samples, from the sampler's first state to
    its last: FILE.png has a row for each, FILE.gif and FILE.html show one state after the
    other."""
    seed: Seed | None = None
    """The seed; by default a fresh one. With a fixed --batch-size, a seed gives the same samples
    for every --num; without it, block sizes and samples depend on --num."""
    batch_size: _Count | None = None
    """Samples per block; the last block is padded, so one sample costs a whole block. By default
    blocks are equal, with at most the model's default_batch_size samples: one sample is drawn
    alone."""


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments(InProcesses, WithSampler, OnDevice, OnData, FromModel):
    """Evaluate a trained model on data."""

    metrics: Annotated[tuple[str, ...], ValueKind("names", group="metrics")] = ()
    """The metrics (see genzoo list metrics); by default all that the model and the data allow."""
    json: Annotated[Path | None, FILE] = None
    """Also write the figures with their provenance to this file."""
    store: bool = True
    """Store the figures in the model's folder, where the report and genzoo compare find them."""
    card: bool = False
    """Write the figures into the folder's card, README.md, as a table and as model index."""
    verify: bool = False
    """Compute the figures of the folder's card again from their provenance, and compare."""
    seed: Seed = 0
    """The seed of samples, of estimators and of the choice of rows."""
    max_examples: _Count = 10_000
    """The maximum number of rows; if there are more, a part is drawn in proportion to the
    labels."""


@dataclass(frozen=True, kw_only=True)
class CompareArguments(OnDevice):
    """Compare runs in one table of figures on the same rows, and in one figure of their curves.

    Without --data, the figures that genzoo evaluate stored in the folders are compared. With
    --data, each run is evaluated unless it has stored the same, and log-likelihoods are compared
    row by row.
    """

    runs: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RUN"),
        ValueKind("folders", paths="folders"),
    ]
    """At least two folders of finished runs, or of models."""
    data_name: Annotated[str | None, tyro.conf.arg(name="data"), DATA] = None
    """The data to evaluate the runs on; by default the stored figures are compared."""
    data_y_name: Annotated[str | None, tyro.conf.arg(name="data-y"), DATA] = None
    """The data of the second domain, for models of two domains."""
    split: str | None = None
    """The split; by default "test", or the only one."""
    metrics: Annotated[tuple[str, ...], ValueKind("names", group="metrics")] = ()
    """The metrics (see genzoo list metrics); by default all that fit."""
    output: Annotated[Path | None, FILE] = None
    """FILE.png for the curves of training and of held-out rows that the runs have in common."""
    json: Annotated[Path | None, FILE] = None
    """Also write the figures of each run with their provenance to this file."""
    seed: Seed = 0
    """The seed of samples, of estimators and of the choice of rows."""
    max_examples: _Count = 10_000
    """The maximum number of rows; if there are more, a part is drawn in proportion to the
    labels."""


@dataclass(frozen=True, kw_only=True)
class EmaArguments(WithSampler, OnDevice, OnData):
    """Average the weights of a run with another length, after training.

    The run must have kept snapshots: genzoo train NAME ... --trainer.ema-sigma-rel 0.05 0.1. With
    --metrics each length is evaluated, and genzoo report plots the figures against the length
    (Karras et al., 2024).
    """

    folder: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RUN"),
        ValueKind("folder", paths="folders"),
    ]
    """The folder of a finished run."""
    sigma_rel: Annotated[tuple[float, ...], Bounds(1, 100, "lengths")]
    """The lengths: the standard deviation of the weights over the updates, divided by the number
    of updates, such as 0.1. Shorter averages follow the last updates more closely."""
    output: Annotated[Path | None, FOLDER] = None
    """The folder of the averaged model; by default ema/LENGTH in the run's folder, or none with
    --metrics."""
    overwrite: bool = False
    """Replace the model in --output."""
    step: Annotated[int, Bounds(1, 10**9)] | None = None
    """The update after which it is the average, one with snapshots; by default the last."""
    stage: Annotated[int, Bounds(0, 999)] | None = None
    """The number of the stage, from 0; by default the last."""
    metrics: Annotated[tuple[str, ...], ValueKind("names", group="metrics")] = ()
    """The metrics by which each length is evaluated (see genzoo list metrics); by default none."""
    seed: Seed = 0
    """The seed of samples, of estimators and of the choice of rows."""
    max_examples: _Count = 10_000
    """The maximum number of rows; if there are more, a part is drawn in proportion to the
    labels."""


@dataclass(frozen=True, kw_only=True)
class ExploreArguments(WithConditions, OnDevice, OnData, FromModel):
    """Visualise what a model learned: its codes, its filters, its layers."""

    view: Literal[
        "manifold", "interpolation", "traversal", "codes", "filters", "fantasies", "bits"
    ] = "manifold"
    """manifold: a plane of codes, decoded; interpolation: lines between codes of examples;
    traversal: one value of a code varied; codes: the codes of examples as points, coloured by
    label, those of more than two values by principal components; filters: the weights of hidden
    units, layer by layer; fantasies: samples, and below each what its layers know of it; bits:
    examples, and below each how surprising its values are, given those before them."""
    output: Annotated[Path, FILE]
    """FILE.png."""
    num: Annotated[int, Bounds(2, 200)] = 16
    """The number of codes per side of the plane, or of pictures per line."""
    rows: Annotated[int, Bounds(1, 200)] = 10
    """The number of lines of an interpolation or a traversal, or of filters of a layer."""
    dimensions: tuple[int, int] = (0, 1)
    """The two dimensions of the manifold."""
    max_examples: _Count = 2000
    """The maximum number of examples that are shown as codes."""
    seed: Seed = 0
    """The seed of the choice of examples, or of the fantasies."""


@dataclass(frozen=True, kw_only=True)
class InpaintArguments(WithConditions, OnDevice, OnData, FromModel):
    """Fill in a part of rows, given the rest of them: genzoo inpaint MODEL --mask left.

    The rows are those of --input, or of --data. Each is filled in several times, and the results
    differ where the model is not sure.
    """

    mask: str
    """What is filled in: left, right, top or bottom for a half, center for the middle, a number
    such as 0.3 for the share of random places, or a file (.png, bright pixels are filled in;
    .npy)."""
    output: Annotated[Path, FILE]
    """FILE.png: each row as given, masked and filled in; FILE.npz: arrays x (rows, times, ...),
    given and mask."""
    input: Annotated[tuple[Path, ...], ValueKind("files", paths="files")] = ()
    """Image files of the model's size, or one file of rows (.npz, .npy, .safetensors), instead of
    --data."""
    rows: str | None = None
    """The rows by number, such as 3,5 or 0-7; by default 4 of them, drawn by the seed, or all
    images of --input."""
    num: Annotated[int, Bounds(1, 1000)] = 4
    """How many times each row is filled in."""
    num_inference_steps: _Count | None = None
    """Steps of the Markov chain, or back in time; by default as many as the model prescribes."""
    seed: Seed = 0
    """The seed of what is filled in, of random places and of drawn rows."""


@dataclass(frozen=True, kw_only=True)
class TranslateArguments(OnDevice, OnData, FromModel):
    """Translate data of one domain to the other and back."""

    output: Annotated[Path, FILE]
    """FILE.png for strips, FILE.npz for arrays named source, translated and back."""
    to: Literal["y", "x"] = "y"
    """The target domain; for x, the source is the data's second domain, if there is one."""
    view: Literal["strips", "failures"] = "strips"
    """examples: some examples; failures: those with the largest cycle error."""
    num: Annotated[int, Bounds(1, 10**6)] = 16
    """The number of examples."""
    max_examples: _Count = 1000
    """The maximum number of rows that are searched for failures."""
    seed: Seed = 0
    """The seed of the choice of examples, or of rows to search."""


@dataclass(frozen=True, kw_only=True)
class InspectArguments(FromModel):
    """Describe a model from its config, its card and the headers of its weights."""


@dataclass(frozen=True, kw_only=True)
class ReportArguments(FromModel):
    """Write one HTML file about a run, finished or not: figures, samples, curves, config."""

    output: Annotated[Path | None, FILE] = None
    """The output FILE.html; by default report.html in the folder, or in the current directory for
    a repository."""
    evaluation: Annotated[tuple[Path, ...], ValueKind("files", paths="files")] = ()
    """Files of genzoo evaluate --json, in addition to evaluation*.json in the folder."""


@dataclass(frozen=True, kw_only=True)
class QuickstartArguments:
    """Train models of handwritten digits, save, load, sample and evaluate them."""

    output: Annotated[Path, FOLDER] = Path("quickstart")
    """The output folder; an earlier quickstart in it is replaced."""
    fast: bool = False
    """Train a tenth of the steps, to check that everything works."""


@dataclass(frozen=True, kw_only=True)
class CheckArguments:
    """Run the conformance suite on a registered model, for example yours."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME"), name_of("models")]
    """The model's registered name (see genzoo list models)."""
    expect: tuple[str, ...] = ()
    """Expected failures, each as CHECK=REASON; if such a check passes, that is a failure too."""
    verbose: bool = False
    """Print a line for each check, and all of every message."""
    json: bool = False
    """Print JSON instead of lines."""


@dataclass(frozen=True, kw_only=True)
class NewPluginArguments:
    """Create a plugin package with a working model and its tests.

    --with dataset,metric,space adds a dataset, a metric and a kind of data, each with its test.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """The model's name, in lower case; the package is called genzoo-NAME."""
    folder: Annotated[Path | None, FOLDER] = None
    """The destination, a new folder; by default genzoo-NAME in the current directory."""
    parts: Annotated[tuple[str, ...], tyro.conf.arg(name="with"), ValueKind("names")] = ()
    """What else it has: dataset, metric, space, with commas or spaces between them."""
    license: Literal["apache-2.0", "bsd-3-clause", "mit"] = "apache-2.0"
    """The package's licence."""


@dataclass(frozen=True, kw_only=True)
class CompletionArguments:
    """Print the script of tab completion for a shell.

    bash: eval "$(genzoo completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc, after
    compinit; fish: genzoo completion fish > ~/.config/fish/completions/genzoo.fish.
    """

    shell: Annotated[
        Literal["bash", "zsh", "fish"], tyro.conf.Positional, tyro.conf.arg(metavar="SHELL")
    ]
    """The shell."""


@dataclass(frozen=True)
class Peeked:
    """What is known about arguments before the flags are known.

    Arguments:
        positional: The first argument that is neither a flag nor a flag's value.
        flags: The values of the flags that name classes.
        metrics: The values of ``--metrics``.
        named: The texts of the flags of sections, of which some name components, such as
            ``{"trainer.lr_scheduler": "cosine"}``.
    """

    positional: str = ""
    flags: dict[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
