"""What must be unchanged for bit-exact resuming."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from genzoo.data import Dataset
from genzoo.errors import CheckpointError
from genzoo.training.checkpoint import Checkpoint
from genzoo.training.factories import Made
from genzoo.training.plan import Plan

_FREE = frozenset(
    {
        "save_steps",
        "compile",
        "compile_regions",
        "cpu_offload",
        "ddp_find_unused_parameters",
        "num_micro_batches",  # Only its product with the number of processes counts: see slots.
        "save_total_limit",
        "shard",
        "logging_steps",
        "report_to",
        "dataloader_num_workers",
        "progress",
        "sample_steps",
        "ema_snapshots",
        "threads",
    }
)


def identity(plan: Plan, num_processes: int) -> dict[str, Any]:
    """Return the values that determine what a run computes.

    Two processes compute the same as one with two micro-batches, so only their product, the number
    of slots, counts.
    """
    return {
        "model": plan.model.config.to_dict(),
        "data": _named(plan.data),
        "eval_data": None if plan.eval_data is None else _named(plan.eval_data),
        "stages": [stage.to_dict() for stage in plan.stages],
        # Seeds and process buffers belong to slots, so their number must stay the same; the number
        # per process may change.
        "slots": [num_processes * c.num_micro_batches for c in plan.configs],
        "trainer": [
            {name: value for name, value in config.to_dict().items() if name not in _FREE}
            for config in plan.configs
        ],
    }


def _named(data: Dataset) -> dict[str, Any]:
    return {"name": data.name, "rows": len(data), **data.identity()}


def demand_same(checkpoint: Checkpoint, now: Any) -> int | None:
    """Check that the resumed run is the same one; only its number of updates may change.

    Arguments:
        checkpoint: The checkpoint that is resumed from.
        now: The identity of the run.

    Returns:
        The earlier number of updates of the stage under way if it has changed, or None.

    Raises:
        CheckpointError: It was another run; or more updates have been made than it is to have.
    """
    then, stage = checkpoint.values["identity"], checkpoint.stage
    if then["slots"] != now["slots"]:
        before, slots = then["slots"][stage], now["slots"][stage]
        raise CheckpointError(
            f"Processes × micro-batches was {before} and is {slots}. It must stay the same: each "
            "has draws, chains and pools of its own. Resume with --num-processes and "
            f"--trainer.num-micro-batches whose product is {before}."
        )
    changed = list(_changes(_without_totals(then), _without_totals(now), ""))
    if changed:
        raise CheckpointError(
            f"The run in this folder was another one: {'; '.join(changed[:5])}. Resume with the "
            "values it was started with, or start anew in another folder."
        )
    before, total = (identity["trainer"][stage]["max_steps"] for identity in (then, now))
    if total < checkpoint.step:
        raise CheckpointError(
            f"The run has already made {checkpoint.step} updates, and max_steps is {total}. Give "
            "at least as many, or start anew in another folder."
        )
    return None if before == total else int(before)


def demand_same_factories(checkpoint: Checkpoint, now: Made, *, changed: bool) -> None:
    """Check that the functions of the user's make the same optimisers and schedules as before.

    Arguments:
        checkpoint: The checkpoint that is resumed from.
        now: What they made for each player of the stage.
        changed: Whether the run gets another number of updates.

    Raises:
        CheckpointError: They make others, or are missing; or a schedule of a function's should
            follow another number of updates.
    """
    if changed and any("lr_scheduler" in of_player for of_player in now.values()):
        raise CheckpointError(
            "The schedule that lr_scheduler made cannot follow another number of updates. Resume "
            "with max_steps as it was, or fine-tune the model in another folder."
        )
    # In the form of JSON, in which the checkpoint has them: tuples are lists.
    then, made = checkpoint.values["factories"], json.loads(json.dumps(now))
    if differ := list(_changes(then, made, "")):
        raise CheckpointError(
            f"The run in this folder had other optimisers or schedules: {differ[0]}. Resume with "
            "the functions (optimizer, lr_scheduler) that it was started with."
        )


def _without_totals(identity: Any) -> Any:
    stages = [{**values, "max_steps": None} for values in identity["trainer"]]
    return {**identity, "trainer": stages}


def _changes(then: Any, now: Any, path: str) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() | now.keys()):
            yield from _changes(then.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from _changes(a, b, f"{path}[{i}]")
    elif then != now:
        yield f"{path} was {then!r}, is {now!r}"
