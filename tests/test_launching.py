"""Groups of processes: the variables of SLURM and MPI, and what a group must have in common."""

import os
import signal
import types

import pytest
import torch

import genzoo
from genzoo import launching
from genzoo.cli import commands, ends, processes
from genzoo.cli.ends import End
from genzoo.errors import ConfigError, TrainingError
from genzoo.training import accelerating
from genzoo.version import __version__
from launchers import MPICH, OPENMPI, SLURM

BATCH = {
    "SLURM_JOB_ID": "812",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_JOB_NODELIST": "gpu[1-2]",
}
"""The variables of a script of sbatch, before srun."""
STEP = {
    **BATCH,
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[003-006,9],login1",
}


def joined(variables):
    """Return what is set in addition."""
    found = dict(variables)
    launching.join(found)
    assert {name: found[name] for name in variables} == dict(variables)
    return {name: value for name, value in found.items() if name not in variables}


def test_a_step_of_srun_is_a_group_with_the_first_host_as_address():
    found = joined(STEP)
    port = found.pop("MASTER_PORT")
    assert 15000 <= int(port) < 25000
    assert found == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "gpu003",
    }
    assert joined({**STEP, "SLURM_PROCID": "6"})["MASTER_PORT"] == port
    others = [{"SLURM_JOB_ID": "813"}, {"SLURM_STEP_ID": "1"}]
    assert port not in [joined({**STEP, **other})["MASTER_PORT"] for other in others]


def test_a_script_of_sbatch_and_a_step_of_one_task_are_one_process():
    assert joined(BATCH) == {}
    assert joined({**STEP, "SLURM_STEP_NUM_TASKS": "1"}) == {}


def test_a_step_on_one_host_needs_no_host_name():
    assert joined({**STEP, "SLURM_STEP_NUM_NODES": "1"})["MASTER_ADDR"] == "127.0.0.1"


def test_what_torch_is_told_already_stays():
    given = {"MASTER_ADDR": "head", "MASTER_PORT": "1234"}
    assert not joined({**STEP, **given}).keys() & given.keys()
    torchrun = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}
    assert joined({**STEP, **torchrun}) == {}


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[003-006,9],login1", "gpu003"),
        ("login1,gpu[003-006]", "login1"),
        ("gpu[9,003-006]", "gpu9"),
        ("rack[2-3]-node[08-11]x,a", "rack2-node08x"),
        ("n1", "n1"),
        ("host-a.example,host-b", "host-a.example"),
        ("dgx-[01-04]", "dgx-01"),
    ],
)
def test_the_first_host_of_a_node_list(nodes, first):
    assert launching.first_host(nodes) == first


@pytest.mark.parametrize("nodes", ["", "gpu[1-2", "gpu]1", ",a"])
def test_no_node_list_is_refused(nodes):
    with pytest.raises(ConfigError, match="Set MASTER_ADDR"):
        launching.first_host(nodes)


@pytest.mark.parametrize("mpi", [OPENMPI, MPICH], ids=["openmpi", "mpich"])
def test_processes_of_mpi_are_a_group_on_one_host(mpi):
    found = joined(mpi(1, 2))
    del found["MASTER_PORT"]
    assert found == {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
    }
    assert joined(mpi(0, 1)) == {}


@pytest.mark.parametrize("mpi", [OPENMPI, MPICH], ids=["openmpi", "mpich"])
def test_mpi_on_several_hosts_needs_the_address_of_the_first(mpi):
    given = {name: "4" if name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE") else value
             for name, value in mpi(1, 2).items()}  # fmt: skip
    with pytest.raises(TrainingError, match=r"4 processes on several hosts.*MASTER_ADDR=HOST"):
        joined(given)
    assert joined({**given, "MASTER_ADDR": "n1"})["WORLD_SIZE"] == "4"


def test_mpirun_in_a_job_of_slurm_is_the_group_and_not_its_daemons():
    """Its daemons are a step with a task for each host, whose variables processes inherit."""
    daemons = {**STEP, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}
    assert joined({**daemons, **OPENMPI(1, 2)})["RANK"] == "1"
    # `srun --mpi=pmi2` sets these, and no local rank of MPI.
    assert joined({**STEP, "PMI_RANK": "5", "PMI_SIZE": "8"})["LOCAL_RANK"] == "1"


def test_two_runs_of_mpirun_on_one_host_have_two_ports():
    ports = [joined({**OPENMPI(0, 2), "PMIX_NAMESPACE": job})["MASTER_PORT"] for job in "ab"]
    assert ports[0] != ports[1]


def test_a_variable_that_is_no_number_is_named():
    with pytest.raises(ConfigError, match=r"SLURM_LOCALID must be a whole number, got 'x'"):
        joined({**SLURM(0, 2), "SLURM_LOCALID": "x"})


def member(**changes):
    versions = f"genzoo {__version__}, torch {torch.__version__}, Python 3.11.7"
    return {"host": "a1", "versions": versions, "folder": "runs/x", **changes}


def test_other_versions_on_a_host_are_refused_with_the_hosts():
    accelerating._demand_alike([member(), member(host="a2")])
    other = member(host="b7", versions="genzoo 9, torch 2.7.0, Python 3.12.1")
    with pytest.raises(TrainingError) as caught:
        accelerating._demand_alike([member(), member(), member(host="a2"), other])
    said = str(caught.value)
    assert f"a1, a2: {member()['versions']}; b7: {other['versions']}" in said


def test_other_folders_are_refused():
    with pytest.raises(TrainingError, match=r"different folders: runs/x, runs/y\."):
        accelerating._demand_alike([member(), member(folder="runs/y")])


def test_a_process_that_does_not_answer_is_waited_for_as_long_as_the_page_says(monkeypatch):
    seen = []

    class Stop(ValueError):
        pass

    def accelerator(**given):
        seen.extend(given["kwargs_handlers"])
        raise Stop

    monkeypatch.setattr(accelerating, "Accelerator", accelerator)
    config = genzoo.TrainerConfig()
    with pytest.raises(ConfigError):
        accelerating._make(config, None)
    assert seen[0].to_kwargs() == {"timeout": accelerating.ANSWER_WITHIN}
    assert accelerating.ANSWER_WITHIN.total_seconds() == 30 * 60


@pytest.mark.parametrize(
    ("given", "cores", "bound", "threads"),
    [
        ({"LOCAL_WORLD_SIZE": "2"}, 8, 8, "4"),
        ({"LOCAL_WORLD_SIZE": "2"}, 8, 3, "3"),
        ({"LOCAL_WORLD_SIZE": "16"}, 8, 8, "1"),
        ({}, 8, 8, "8"),
        ({"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "5"}, 8, 8, "5"),
    ],
)
def test_processes_share_the_cores_that_are_theirs(given, cores, bound, threads, monkeypatch):
    for name in ("LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(bound)), raising=False)
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    accelerating._share_cores()
    assert os.environ["OMP_NUM_THREADS"] == threads
    assert used == ([] if "OMP_NUM_THREADS" in given else [int(threads)])
    monkeypatch.delenv("OMP_NUM_THREADS")


@pytest.mark.parametrize(
    ("found", "codes", "code", "said"),
    [
        ([], {}, 0, ""),
        ([End(1, 2, "no\n", 5.0), End(0, 2, "no\n", 6.0)], {0: 2, 1: 2}, 2, "no\n"),
        ([End(0, 2, "late\n", 9.0), End(1, 1, "first\n", 5.0)], {0: 2, 1: 1}, 1, "first\n"),
        ([End(0, 2, "lost\n", 1.0, True), End(1, 2, "nan\n", 2.0)], {0: 2, 1: 2}, 2, "nan\n"),
        ([End(0, 143, "saved\n", 3.0), End(1, 2, "nan\n", 2.0)], {1: 2, 0: 143}, 2, "nan\n"),
        ([End(1, 143, "saved\n", 2.0), End(0, 143, "saved\n", 3.0)], {0: 143}, 143, "saved\n"),
        ([End(0, 143, "saved\n", 3.0)], {1: -9, 0: 143}, 137, "Process 1 was ended by SIGKILL"),
        ([End(0, 2, "lost\n", 3.0, True)], {1: 7, 0: 2}, 7, "Process 1 ended with exit code 7"),
        ([End(0, 2, "lost\n", 3.0, True)], {1: -15, 0: 2}, 2, "lost\n"),
        ([], {0: -15, 1: -15}, 143, ""),
        ([], {0: -2, 1: -15}, 130, "Stopped.\n"),
        ([], {0: -1}, 129, "Process 0 was ended by SIGHUP"),
    ],
)
def test_a_group_ends_as_the_process_that_ended_first(found, codes, code, said):
    verdict = ends.verdict(found, codes)
    assert verdict[0] == code
    assert said in verdict[1]
    assert len(verdict[1].splitlines()) == bool(said)


def arguments(num, **fields):
    return types.SimpleNamespace(num_processes=num, **fields)


@pytest.fixture
def alone(monkeypatch):
    """No launcher, four cores and no accelerator; what would be launched is returned."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    launched = []
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    monkeypatch.setattr(processes, "_launch", lambda words, num: launched.append(num) or 3)
    return launched


@pytest.mark.parametrize("num", [None, 1])
def test_one_process_needs_no_launcher(num, alone):
    with processes.entered(arguments(num), ["train"]):
        print("here")
    assert not alone


def test_more_than_one_are_launched_and_their_code_is_the_commands(alone):
    with pytest.raises(SystemExit) as left, processes.entered(arguments(2), ["train"]):
        pytest.fail("The command itself computes.")
    assert left.value.code == 3
    assert alone == [2]


def test_more_processes_than_cores_accelerators_or_rows_are_refused(alone, monkeypatch):
    def refused(num, words, **fields):
        with (
            pytest.raises(ConfigError, match=words),
            processes.entered(arguments(num, **fields), ["train"]),
        ):
            pass

    refused(7, "--num-processes is 7, and this machine has 6 cores. Use at most 6 processes.")
    trainer = types.SimpleNamespace(batch_size=4, num_micro_batches=1)
    refused(5, "batch_size 4 cannot be divided into 1 micro-batches × 5", trainer=trainer)
    device = torch.device("cuda")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: device)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    refused(2, "--num-processes is 2, and this machine has 1 accelerator. ")
    assert not alone


@pytest.mark.parametrize(("rank", "seen"), [("0", "said\n"), ("1", "")])
def test_in_a_group_the_first_process_prints_and_another_number_is_refused(
    rank, seen, alone, monkeypatch, capsys
):
    for name, value in {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, value)
    for num in (None, 2):
        with processes.entered(arguments(num), ["train"]):
            print("said")
        assert capsys.readouterr().out == seen
    for num in (1, 3):
        with (
            pytest.raises(ConfigError, match=f"is {num}, and this is one of 2 processes"),
            processes.entered(arguments(num), ["train"]),
        ):
            pass
    assert not alone


@pytest.mark.parametrize("num", ["0", "-1", "10001"])
def test_a_number_out_of_bounds_is_refused(num):
    with pytest.raises(ConfigError, match=rf"--num-processes must be in .*, got {num}"):
        commands.run("evaluate", ["model", "--num-processes", num])


def test_the_launcher_gets_arguments_as_they_were_typed(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    given = processes._launcher_arguments(["train", "--output", "a $1 $$ ${local_rank}"], 2)
    from string import Template

    last = Template(given.training_script_args[-1]).safe_substitute(local_rank=0)
    assert last == "a $1 $$ ${local_rank}"
    assert (given.num_processes, given.num_machines, given.main_process_port) == (2, 1, 0)
    assert given.num_cpu_threads_per_process == 4


def test_signals_are_given_back_after_the_launch():
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with processes._passing_signals_on(2):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # As torch's launcher does.
        assert signal.getsignal(signal.SIGTERM) not in (*before, signal.SIG_DFL)
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before
    if hasattr(signal, "pthread_sigmask"):
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & ends.PASSED_ON
