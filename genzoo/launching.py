"""Groups of processes that a launcher has started: the variables of SLURM and MPI as torch's.

torchrun and Accelerate's launcher set torch's own variables. srun and mpirun set others, which
`join` translates, so that everything after it reads torch's alone.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from genzoo.errors import ConfigError, TrainingError

_TORCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_HERE = "127.0.0.1"
_PORT = 29500
"""The port if nothing tells jobs apart: that of torch."""
_FIRST_PORT, _PORTS = 15000, 10000
"""The ports that are chosen by job, below those that systems give to outgoing connections."""


@dataclass(frozen=True)
class Group:
    """The place of this process in a group.

    Arguments:
        rank: Its number.
        size: The number of processes.
        local_rank: Its number on its host.
        local_size: The number of processes on its host.
        host: The host of the first process; "" if nothing says it.
        port: The port at which the first process waits for the others.
        launcher: What has started them.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: str
    port: int
    launcher: str

    @property
    def variables(self) -> dict[str, str]:
        """The variables of torch."""
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.local_size),
            "MASTER_ADDR": self.host,
            "MASTER_PORT": str(self.port),
        }


def join(environment: MutableMapping[str, str] | None = None) -> None:
    """Set torch's variables if SLURM or MPI has started a group; those that are set stay.

    Arguments:
        environment: The variables; by default those of this process.

    Raises:
        TrainingError: The processes are on several hosts, and nothing says which is the first.
        ConfigError: A variable is not a number.
    """
    given = os.environ if environment is None else environment
    if all(name in given for name in _TORCH):
        return
    found = _of_mpi(given) or _of_slurm(given)
    if found is None:
        return
    if not found.host and "MASTER_ADDR" not in given:
        raise TrainingError(
            f"{found.launcher} has started {found.size} processes on several hosts, and does not "
            "say where the first is. Set MASTER_ADDR to its host, for all processes: mpirun -x "
            "MASTER_ADDR=HOST, or with MPICH and Intel MPI, mpiexec -genv MASTER_ADDR HOST."
        )
    given.update({name: given.get(name, value) for name, value in found.variables.items()})


def size_of(environment: Mapping[str, str] | None = None) -> int:
    """Return the number of processes of the group of torch's variables; 1 without a group."""
    given = os.environ if environment is None else environment
    size = given.get("WORLD_SIZE", "")
    return int(size) if "LOCAL_RANK" in given and size.isdecimal() else 1


def is_main(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this process is the first of its group, or in none."""
    given = os.environ if environment is None else environment
    return size_of(given) == 1 or given.get("RANK", "0") == "0"


def first_host(nodes: str) -> str:
    """Return the first host of a node list of SLURM.

    Raises:
        ConfigError: It is empty, or a bracket is not closed.

    >>> first_host("gpu[003-006,9],login1"), first_host("rack[2,5]-node[08-11]"), first_host("a,b")
    ('gpu003', 'rack2-node08', 'a')
    """
    # Of every bracket the first number. `scontrol show hostnames` lists all hosts, but it needs
    # the controller to answer, and is missing in containers.
    first = re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", nodes.strip()).partition(",")[0]
    if not first or "[" in first or "]" in first:
        raise ConfigError(f"SLURM_STEP_NODELIST is not a node list: {nodes!r}. Set MASTER_ADDR.")
    return first


def _of_slurm(given: Mapping[str, str]) -> Group | None:
    """Return the group of a step of srun.

    The script of sbatch has SLURM_PROCID and SLURM_NTASKS too, but is one process, without the
    variables of a step.
    """
    if "SLURM_PROCID" not in given or (size := _number(given, "SLURM_STEP_NUM_TASKS", 1)) == 1:
        return None
    hosts = _number(given, "SLURM_STEP_NUM_NODES", 0)
    nodes = given.get("SLURM_STEP_NODELIST", "")
    host = _HERE if hosts == 1 else given.get("MASTER_ADDR") or first_host(nodes)
    job = f"{given.get('SLURM_JOB_ID', '')}.{given.get('SLURM_STEP_ID', '')}"
    return Group(
        rank=_number(given, "SLURM_PROCID", 0),
        size=size,
        local_rank=_number(given, "SLURM_LOCALID", 0),
        local_size=-(-size // max(hosts, 1)),
        host=host,
        port=_port_of(job),
        launcher="srun",
    )


@dataclass(frozen=True)
class _Mpi:
    """The variables of an implementation of MPI; MVAPICH has those of MPICH's launcher too.

    Arguments:
        launcher: What starts its processes.
        rank: The variable of the rank; likewise the others.
    """

    launcher: str
    rank: str
    size: str
    local_rank: str
    local_size: str


_MPIS = (
    _Mpi(
        "mpirun",
        *("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        *("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ),
    _Mpi("mpiexec", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)
_JOBS = ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid")
"""The variables that tell two jobs of mpirun apart; MPICH's launcher has none."""


def _of_mpi(given: Mapping[str, str]) -> Group | None:
    """Return the group of a launcher of MPI.

    It is looked for before SLURM's: inside of a job, mpirun starts its daemons with srun, whose
    variables the processes inherit. `srun --mpi=pmi2` sets PMI_RANK, but no local rank.
    """
    for mpi in _MPIS:
        if mpi.rank in given and mpi.local_rank in given and _number(given, mpi.size, 1) > 1:
            size = _number(given, mpi.size, 1)
            local_size = _number(given, mpi.local_size, size)
            return Group(
                rank=_number(given, mpi.rank, 0),
                size=size,
                local_rank=_number(given, mpi.local_rank, 0),
                local_size=local_size,
                host=_HERE if local_size == size else "",
                port=_port_of(next((given[name] for name in _JOBS if name in given), "")),
                launcher=mpi.launcher,
            )
    return None


def _port_of(job: str) -> int:
    """Return a port for a job, so that two jobs on one host seldom meet."""
    return _FIRST_PORT + zlib.crc32(job.encode()) % _PORTS if job else _PORT


def _number(given: Mapping[str, str], name: str, default: int) -> int:
    """Return a variable that holds a whole number.

    Raises:
        ConfigError: It holds something else.
    """
    text = given.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise ConfigError(f"{name} must be a whole number, got {text!r}. The launcher sets it.")
    return int(text)
