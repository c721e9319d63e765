"""What benchmarks/gpu.py measures of a loop: its rate, memory, busy share and waiting."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from step_time_pairs import interval
from torch.autograd import DeviceType

OnStep = Callable[[int], None]
Loop = Callable[[int, OnStep], None]
"""Makes so many updates from the start, and calls back with the number of each after it."""

_HOST_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
_SYNCHRONIZING = "called a synchronizing CUDA operation"


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Row:
    """A loop, and what was measured of it.

    Arguments:
        name: Its name in the table.
        loop: The loop.
        reference: The name of the loop that its rate is compared with; empty for none.
        compiles: Whether its first updates compile.
        per_update: The number of updates, or of samples, that a step of the loop counts as.
    """

    name: str
    loop: Loop
    reference: str = ""
    compiles: bool = False
    per_update: int = 1
    set_up: float = 0.0
    steps: int = 1
    rates: list[float] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    failure: str = ""


def prepare(row: Row, device: torch.device, warm: int, seconds: float, most: int) -> None:
    """Run a loop once for its set-up, and choose how many steps are measured at a time.

    Arguments:
        row: The loop.
        device: The device.
        warm: The steps that are not counted.
        seconds: How long a measurement takes about.
        most: The largest number of steps of a measurement.
    """
    began = time.perf_counter()
    row.loop(warm, lambda step: None)
    synchronize(device)
    row.set_up = time.perf_counter() - began
    spent = timed(row.loop, device, warm, 2)
    row.steps = max(2, min(most, round(2 * seconds / max(spent, 1e-6))))


def timed(loop: Loop, device: torch.device, warm: int, steps: int) -> float:
    """Return the seconds of ``steps`` steps after ``warm`` others."""
    times: dict[int, float] = {}

    def on_step(step: int) -> None:
        if step in (warm, warm + steps):
            synchronize(device)
            times[step] = time.perf_counter()

    loop(warm + steps, on_step)
    return times[warm + steps] - times[warm]


def measure(row: Row, device: torch.device, warm: int) -> None:
    """Add one measurement of a loop's rate, and its peak of memory."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    seconds = timed(row.loop, device, warm, row.steps)
    row.rates.append(row.per_update * row.steps / seconds)
    if device.type == "cuda":
        row.facts["peak"] = torch.cuda.max_memory_allocated(device) / 2**30


def look_inside(row: Row, device: torch.device, warm: int, steps: int = 5) -> None:
    """Measure how often and how long a loop waits for the device, and how long that computes.

    Counted are operations that PyTorch knows to wait (its debug mode of synchronisation); times
    are those of the profiler. Nothing is measured on a CPU.
    """
    if device.type != "cuda":
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def on_step(step: int) -> None:
            if step == warm:
                caught.clear()
                torch.cuda.set_sync_debug_mode("warn")
            elif step == warm + steps:
                torch.cuda.set_sync_debug_mode("default")

        try:
            row.loop(warm + steps, on_step)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [w for w in caught if _SYNCHRONIZING in str(w.message)]
    row.facts["waits"] = len(waits) / steps
    _profile(row, device, warm, steps)


def _profile(row: Row, device: torch.device, warm: int, steps: int) -> None:
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    profiler = torch.profiler.profile(activities=activities, acc_events=True)
    began: list[float] = []

    def on_step(step: int) -> None:
        if step == warm:
            synchronize(device)
            profiler.start()
            began.append(time.perf_counter())
        elif step == warm + steps:
            synchronize(device)
            began.append(time.perf_counter())
            profiler.stop()

    row.loop(warm + steps, on_step)
    events: list[Any] = list(profiler.key_averages())
    on_device = [
        e
        for e in events
        if e.device_type == DeviceType.CUDA and not getattr(e, "is_user_annotation", False)
    ]
    copies = [e for e in on_device if "HtoD" in e.key]
    waits = [e for e in events if e.key in _HOST_WAITS]
    milliseconds = 1e-3 / steps
    row.facts["busy"] = sum(e.self_device_time_total for e in on_device) * milliseconds
    row.facts["copied"] = sum(e.self_device_time_total for e in copies) * milliseconds
    row.facts["waited"] = sum(e.self_cpu_time_total for e in waits) * milliseconds


HEADINGS = (
    "loop",
    "set-up, s",
    "rate, median",
    "relative to",
    "ratio (95 % interval)",
    "rounds",
    "peak, GiB",
    "device busy, %",
    "host waits an update",
    "of it waited, ms",
    "copies to the device, ms",
)


def heading(unit: str) -> str:
    """Return the head of the table, with the unit of its rates."""
    names = [name if name != "rate, median" else f"{unit}, median" for name in HEADINGS]
    return f"| {' | '.join(names)} |\n|{' --- |' * len(names)}"


def line(row: Row, reference: Row | None) -> str:
    """Return a line of the table; a dash stands for what was not measured."""
    if row.failure or not row.rates:
        return f"| {row.name} | {row.failure or 'left out: no time'} |{' |' * (len(HEADINGS) - 2)}"
    rate = statistics.median(row.rates)
    ratio = "–"
    if reference is not None and reference.rates:
        ratios = [a / b for a, b in zip(row.rates, reference.rates, strict=False)]
        low, high = interval(ratios)
        ratio = f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"
    busy = row.facts.get("busy")
    # Profiled steps take longer, so the share is of the time without the profiler.
    share = None if busy is None else busy / (1e3 * row.per_update / rate)
    cells = [
        row.name,
        f"{row.set_up:.1f}",
        f"{rate:.3g}",
        row.reference or "–",
        ratio,
        str(len(row.rates)),
        _shown(row.facts.get("peak"), "{:.2f}"),
        _shown(share, "{:.0%}").removesuffix("%"),
        _shown(row.facts.get("waits"), "{:.1f}"),
        _shown(row.facts.get("waited"), "{:.2f}"),
        _shown(row.facts.get("copied"), "{:.3f}"),
    ]
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
