"""Two groups of two processes, each with a network address of its own, train one training.

The hosts are two network namespaces of Linux with a cable between them.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import launchers
from genzoo.cli import main

HOSTS = {"genzoo-a": "10.77.0.1", "genzoo-b": "10.77.0.2"}
WIRES = {"genzoo-a": "gz-wire-a", "genzoo-b": "gz-wire-b"}


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts():
    """Two hosts that reach each other and nothing else."""
    if not shutil.which("ip") or os.geteuid():
        pytest.skip("Network namespaces need Linux's ip command and root.")
    with contextlib.ExitStack() as made:
        try:
            for host in HOSTS:
                ip("netns", "add", host)
                made.callback(ip, "netns", "delete", host)
            (a, b), (wire_a, wire_b) = HOSTS, WIRES.values()
            ip(*f"link add {wire_a} netns {a} type veth peer name {wire_b} netns {b}".split())
            for host, address in HOSTS.items():
                ip(*f"-n {host} link set lo up".split())
                ip(*f"-n {host} link set {WIRES[host]} up".split())
                ip(*f"-n {host} addr add {address}/24 dev {WIRES[host]}".split())
        except subprocess.CalledProcessError as error:
            pytest.skip(f"This machine allows no network namespaces: {error.stderr.strip()}")
        yield HOSTS


@pytest.mark.full
def test_two_hosts_with_two_processes_equal_one_with_four_micro_batches(hosts, tmp_path):
    bits = (np.random.default_rng(0).random((40, 6)) < 0.5).astype(np.uint8)
    np.savez(tmp_path / "bits.npz", train=bits, test=bits[:10])
    trained = ["train", "rbm", "--data", str(tmp_path / "bits.npz"), "--model.num-hidden", "4"]
    trained += ["--trainer.max-steps", "2", "--trainer.batch-size", "8", "--trainer.threads", "1"]
    first = next(iter(hosts.values()))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
    torchrun += ["--nproc-per-node", "2", "--master-addr", first, "--master-port", "29500"]
    started = [
        subprocess.Popen(
            [
                *("ip", "netns", "exec", host, *torchrun, "--node-rank", str(number)),
                *("-m", "genzoo", *trained, "--output", str(tmp_path / "two")),
            ],
            # A host's name may stand for an address that the other one does not reach.
            env=launchers.environment(GLOO_SOCKET_IFNAME=WIRES[host]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, host in enumerate(hosts)
    ]
    said = launchers.finish(started)
    assert [process.returncode for process in started] == [0, 0], said
    assert ["The model is in" in out for out, _ in said] == [True, False]
    with pytest.raises(SystemExit) as left:
        main([*trained, "--trainer.num-micro-batches", "4", "--output", str(tmp_path / "one")])
    assert not left.value.code
    environment = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert environment["processes"] == "4"
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-7)
