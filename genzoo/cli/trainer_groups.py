"""The Trainer's flags in groups, for the help."""

from __future__ import annotations

_GROUPS = {
    "length and updates": (
        "max_steps minutes batch_size num_micro_batches seed warmup_steps lr_scheduler "
        "lr_scheduler__name max_grad_norm ema_decay"
    ),
    "averages for genzoo ema": "ema_sigma_rel ema_snapshots",
    "held-out rows": (
        "eval_steps eval_metrics metric_for_best_model metric_mode load_best_model_at_end "
        "early_stopping_patience"
    ),
    "what is written and shown": (
        "save_steps save_total_limit sample_steps logging_steps report_to progress"
    ),
    "speed": (
        "mixed_precision threads dataloader_num_workers compile compile_regions channels_last"
    ),
    "several processes": "shard cpu_offload ddp_find_unused_parameters",
}


def heading_of(field: str) -> str:
    """Return the heading of a field of the Trainer's config."""
    found = (title for title, fields in _GROUPS.items() if field in fields.split())
    return next(found, "other values")


def rank_of(field: str) -> int:
    """Return the place of the heading of a field."""
    return [*_GROUPS, "other values"].index(heading_of(field))
