"""The user's training values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from genzoo.component import Component, ComponentOverride
from genzoo.config import Bounds, Config, differences
from genzoo.errors import ConfigError
from genzoo.registry import Group
from genzoo.training.power_functions import LENGTHS, check_lengths

Precision = Literal["no", "fp16", "bf16"]


@dataclass(frozen=True, kw_only=True)
class TrainerConfig(Config):
    """Training values. A value of None means the stage's value, which the paper prescribes."""

    max_steps: Annotated[int | None, Bounds(1, 10**9)] = None
    """Updates to make (default: the stage's, else 1000)."""
    minutes: Annotated[float | None, Bounds(0.001, 10**7)] = None
    """Minutes to train for, instead of max_steps, which is estimated once from 20 updates of a
    copy and written into the recipe."""
    batch_size: Annotated[int | None, Bounds(1, 10**7)] = None
    """Examples per update, over all processes (default: the stage's, else 64)."""
    optimizers: Mapping[str, Annotated[ComponentOverride, Group("optimizers")]] = field(
        default_factory=dict
    )
    """For each player, another optimiser, or values that override those of the objective."""
    seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of all randomness in training."""
    warmup_steps: Annotated[int | None, Bounds(0, 10**9)] = None
    """Updates of linear warm-up of the learning rate (default: the stage's, else 0)."""
    lr_scheduler: Annotated[Component, Group("lr_schedulers")] | None = None
    """The learning-rate schedule after warm-up (default: the stage's, else constant)."""
    max_grad_norm: Annotated[float | None, Bounds(0.0, 1e12)] = None
    """The maximum norm of a player's gradient; 0 for no clipping."""
    num_micro_batches: Annotated[int, Bounds(1, 10**6)] = 1
    """Micro-batches per update and process."""
    mixed_precision: Precision = "no"
    """The dtype of autocast."""
    ddp_find_unused_parameters: bool = False
    """With several processes, look in every update for parameters without a gradient. Needed if
    a parameter that has a gradient in the first update has none in a later one."""
    ema_decay: Annotated[float | None, Bounds(0.0, 1.0)] = None
    """The decay of the averaged weights, which are published; 0 for no averaging."""
    ema_sigma_rel: (
        Annotated[tuple[Annotated[float, LENGTHS], ...], Bounds(1, 4, "lengths")] | None
    ) = None
    """Lengths of averages of which snapshots are kept, for genzoo ema after training, such as 0.05
    0.1; by default none. They do not change what is published."""
    ema_snapshots: Annotated[int, Bounds(1, 1000)] = 50
    """The number of snapshots of each of these averages in a stage, the last one at its end."""
    save_steps: Annotated[int, Bounds(0, 10**9)] = 1000
    """Updates between checkpoints; 0 writes one at the end of each stage only."""
    save_total_limit: Annotated[int, Bounds(2, 10**6)] = 2
    """The number of checkpoints to keep."""
    sample_steps: Annotated[int | None, Bounds(0, 10**9)] = None
    """Updates between pictures of samples; 0 for none (default: ten pictures a stage, fewer where
    it is short or a sample is expensive)."""
    eval_steps: Annotated[int, Bounds(0, 10**9)] = 0
    """Updates between evaluations on the held-out rows, if there are any; 0 evaluates at the end
    of each stage only."""
    eval_metrics: tuple[str, ...] = ()
    """Metrics of these evaluations besides the loss (see genzoo list metrics)."""
    metric_for_best_model: Annotated[str | None, Bounds(1, 200)] = None
    """The figure of the evaluations that decides which weights are the best, such as loss; by
    default none, and loss if there is a patience."""
    metric_mode: Literal["min", "max"] | None = None
    """Whether the best figure is the smallest or the greatest; to be given only if the metric does
    not declare it."""
    load_best_model_at_end: bool = True
    """Publish the best weights, if a figure decides which they are; if not, the last ones."""
    early_stopping_patience: Annotated[int, Bounds(0, 10**9)] = 0
    """Evaluations in a row without a better figure after which a stage ends; 0 for no limit."""
    logging_steps: Annotated[int, Bounds(1, 10**9)] = 50
    """Updates between lines of metrics.jsonl."""
    report_to: tuple[str, ...] = ()
    """Accelerate's trackers, such as tensorboard or wandb."""
    threads: Annotated[int, Bounds(1, 4096)] | Literal["auto"] | None = None
    """CPU threads; auto measures a few steps with one and with all threads, and keeps the
    faster."""
    dataloader_num_workers: Annotated[int | None, Bounds(0, 1024)] = None
    """Worker processes that load data ahead; 0 loads in the training process. The default is 0,
    or up to 4 for images that do not fit in --data.cache-bytes."""
    shard: Literal["none", "auto"] | Annotated[int, Bounds(1, 10**15)] = "none"
    """With several processes, divide the parameters, gradients, optimizer states and averages of
    large networks among them: those of at least this many parameters; auto means 100 million."""
    cpu_offload: bool = False
    """Keep the parts of sharded networks in the memory of the CPU."""
    compile: bool = False
    """Compile each child network of the model with torch.compile."""
    compile_regions: bool = False
    """Compile the blocks that repeat in each child network instead, which takes less time; a
    network without such blocks is compiled whole."""
    channels_last: bool = False
    """Lay out the weights of convolutions channels last, which is faster on most GPUs; a model
    without two-dimensional convolutions is unchanged."""
    progress: bool = True
    """Show a progress bar on a terminal."""


def check_ema(config: TrainerConfig, *, has_folder: bool) -> None:
    """Raise ConfigError if snapshots of averages cannot be kept.

    Arguments:
        config: The user's training values.
        has_folder: Whether the run has an output folder.
    """
    if config.ema_sigma_rel is None:
        return
    check_lengths(config.ema_sigma_rel, "ema_sigma_rel")
    if not has_folder:
        raise ConfigError(
            "ema_sigma_rel keeps snapshots in the folder of the run, which has none. Give "
            "output_dir, or leave ema_sigma_rel out."
        )


def check_minutes(config: TrainerConfig) -> None:
    """Raise ConfigError if both a number of updates and one of minutes are given."""
    if config.minutes is not None and config.max_steps is not None:
        raise ConfigError(
            f"minutes {config.minutes:g} and max_steps {config.max_steps} exclude each other. "
            "Leave one out."
        )


def check_sharding(config: TrainerConfig, whole: Sequence[str] = ()) -> None:
    """Raise ConfigError if values of the config exclude sharding.

    Arguments:
        config: The training values of a stage.
        whole: The names of its optimisers that need whole parameters.
    """
    if config.shard == "none":
        return
    if whole:
        raise ConfigError(
            f"shard {config.shard!r} does not work with the optimizer {whole[0]}, which needs "
            "whole parameters. Use another one, such as adamw, or leave shard out."
        )
    if config.channels_last:
        raise ConfigError(
            f"shard {config.shard!r} does not work with channels_last: the parts of a weight have "
            "no channels. Leave one out."
        )
    if config.mixed_precision == "fp16":
        raise ConfigError(
            f"shard {config.shard!r} does not work with mixed_precision 'fp16', whose loss scale "
            "belongs to whole gradients. Use bf16 or no."
        )


_FALLBACK: dict[str, Any] = {
    "max_steps": 1000,
    "batch_size": 64,
    "warmup_steps": 0,
    "lr_scheduler": "constant",
    "max_grad_norm": 0.0,
    "ema_decay": 0.0,
}


def resolve(
    config: TrainerConfig,
    prescribed: Mapping[str, Any],
    own: Mapping[str, Component] | None = None,
) -> TrainerConfig:
    """Return the values of a stage: the user's override the stage's, and these the defaults.

    Arguments:
        config: The user's values.
        prescribed: The stage's values.
        own: The optimisers of the stage's objective, which the stage's and the user's values
            override; None if optimisers are not needed.
    """
    # A value that a paper prescribes is None unless the user sets it, so that a user's choice can
    # be distinguished from a default and overrides the stage's value.
    given = differences(config, TrainerConfig())
    stage = TrainerConfig.from_dict(prescribed)
    optimizers = {
        name: ComponentOverride.from_dict(c.to_dict()) for name, c in (own or {}).items()
    }
    for values in (stage.optimizers, config.optimizers):
        for player, change in values.items():
            optimizers[player] = change.over(optimizers.get(player, ComponentOverride()))
    return TrainerConfig.from_dict({**_FALLBACK, **prescribed, **given, "optimizers": optimizers})
