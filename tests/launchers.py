"""The launchers of docs/several-processes.md, real ones and the variables of those of clusters."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

_SETS = ("ACCELERATE_", "SLURM_", "OMPI_", "PMI", "MPI_", "MASTER_")


def free_port() -> str:
    """Return a port that nothing listens to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def environment(**values: str) -> dict[str, str]:
    """Return the variables of a process that no launcher has started."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith(_SETS)}
    return {**kept, "OMP_NUM_THREADS": "1", **values}


def SLURM(rank: int, size: int) -> dict[str, str]:
    """Return the variables of a process of srun on one host."""
    return {
        "SLURM_JOB_ID": "812",
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_STEP_NUM_TASKS": str(size),
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_NODELIST": "gpu[003-006,9]",
    }


def OPENMPI(rank: int, size: int) -> dict[str, str]:
    """Return the variables of a process of mpirun of Open MPI on one host."""
    return {
        "PMIX_NAMESPACE": "925499393",
        "OMPI_COMM_WORLD_RANK": str(rank),
        "OMPI_COMM_WORLD_SIZE": str(size),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(rank),
        "OMPI_COMM_WORLD_LOCAL_SIZE": str(size),
    }


def MPICH(rank: int, size: int) -> dict[str, str]:
    """Return the variables of a process of mpiexec of MPICH or Intel MPI on one host."""
    return {
        "PMI_RANK": str(rank),
        "PMI_SIZE": str(size),
        "MPI_LOCALRANKID": str(rank),
        "MPI_LOCALNRANKS": str(size),
    }


COMMANDS = {
    "--num-processes": (),
    "torchrun": ("torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    "accelerate": (
        *("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *("--main_process_port", "0"),
    ),
}
"""Modules that start both processes."""
VARIABLES = {"srun": SLURM, "mpirun": OPENMPI, "mpiexec": MPICH}
"""The variables that a launcher gives each of its processes."""


def start(
    launcher: str, words: Sequence[str], extra: Mapping[str, str] | None = None
) -> list[subprocess.Popen[str]]:
    """Start a command of genzoo in two processes, and return those that were started here."""
    own = [sys.executable, "-m", "genzoo", *words]
    each: list[dict[str, str]] = [{}]
    if launcher in VARIABLES:
        port = {"MASTER_PORT": free_port()}
        each = [{**VARIABLES[launcher](rank, 2), **port} for rank in (0, 1)]
    elif launcher == "--num-processes":
        own += ["--num-processes", "2"]
    else:
        own = [sys.executable, "-m", *COMMANDS[launcher], "-m", "genzoo", *words]
    return [
        subprocess.Popen(
            own,
            env=environment(**variables, **(extra or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for variables in each
    ]


def finish(
    started: Sequence[subprocess.Popen[str]], seconds: float = 200
) -> list[tuple[str, str]]:
    """Return what processes print on both outputs; none of them is left running."""
    try:
        return [process.communicate(timeout=seconds) for process in started]
    finally:
        for process in started:
            process.kill()
