"""For a GPU, a thread puts batches into page-locked memory; for a CPU nothing is done."""

import itertools
import threading

import pytest
import torch

import genzoo
from genzoo.errors import DataError
from genzoo.training import batches as batches_module, reading_ahead
from genzoo.training.batches import BatchPartition, batches, to_device
from genzoo.training.pinning import in_background, pinned, pins

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
DATA = genzoo.load_dataset("digits")


def same(item):
    return item


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "genzoo-pinning"]


@pytest.fixture
def pinning(monkeypatch):
    """The names of the threads that pinned batches; memory is left as it is."""
    found = []

    def pin(batch):
        found.append(threading.current_thread().name)
        return batch

    monkeypatch.setattr(batches_module, "pinned", pin)
    return found


def read(device, num_workers=0, first=0, last=6):
    partition = BatchPartition(8, 2, 1, 0)
    feed = batches(
        DATA, partition, seed=3, first=first, last=last, num_workers=num_workers, device=device
    )
    return [micro["x"] for micros in feed for micro in micros]


@pytest.mark.parametrize(("kind", "right"), [("cpu", False), ("mps", False), ("cuda", True)])
def test_only_batches_for_cuda_are_pinned(kind, right):
    assert pins(torch.device(kind)) is right


def test_a_thread_pins_each_batch_of_a_gpu_in_order(pinning):
    right = read(CPU)
    assert pinning == []
    found = read(CUDA)
    assert pinning == ["genzoo-pinning"] * 12
    assert all(map(torch.equal, found, right))
    assert len(found) == len(right) == 12
    assert threads() == []


def test_what_workers_read_is_pinned_by_the_loader(pinning, monkeypatch):
    asked = []

    class Loader(reading_ahead.DataLoader):
        def __init__(self, *args, pin_memory, **kwargs):
            asked.append(pin_memory)
            super().__init__(*args, pin_memory=False, **kwargs)

    monkeypatch.setattr(reading_ahead, "DataLoader", Loader)
    for device in (CPU, CUDA):
        assert all(map(torch.equal, read(device, num_workers=1), read(CPU)))
    assert asked == [False, True]
    assert pinning == []


def test_pinned_batches_keep_what_is_no_tensor_of_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    elsewhere = torch.zeros(2, device="meta")
    found = pinned({"x": torch.zeros(2), "text": ["a", "b"], "y": elsewhere})
    assert found["x"].tolist() == [1, 1]
    assert found["y"] is elsewhere
    assert found["text"] == ["a", "b"]


def test_items_come_in_order_and_only_some_are_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    feed = in_background(items(), lambda number: 10 * number, ahead=2)
    assert list(itertools.islice(feed, 3)) == [0, 10, 20]
    feed.close()
    assert threads() == []
    assert len(taken) <= 7


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise DataError("row 3 is damaged")

    feed = in_background(items(), same)
    assert [next(feed), next(feed)] == [1, 2]
    with pytest.raises(DataError, match="row 3 is damaged"):
        next(feed)
    assert threads() == []


def test_an_error_of_the_preparation_is_raised_too():
    def prepare(item):
        raise MemoryError("no page-locked memory")

    with pytest.raises(MemoryError, match="page-locked"):
        next(in_background(iter([1]), prepare))
    assert threads() == []


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_its_thread_ends_when_the_batches_are_left(pinning, taken):
    partition = BatchPartition(8, 1, 1, 0)
    feed = batches(DATA, partition, seed=3, first=0, last=10**6, device=CUDA)
    for _ in range(taken):
        next(feed)
    feed.close()
    assert threads() == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_on_the_device_has_the_dtype_of_the_model(dtype):
    batch = {"x": torch.rand(3, 2, dtype=torch.float64), "label": torch.arange(3), "text": ["a"]}
    found = to_device(batch, CPU, dtype)
    assert torch.equal(found["x"], batch["x"].to(dtype))
    assert found["label"].dtype == torch.int64
    assert found["text"] == ["a"]
