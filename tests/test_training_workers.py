"""Worker processes read rows ahead where that helps, and change nothing else."""

import multiprocessing
import os
import pickle
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import dataloader, get_worker_info

import genzoo
from genzoo.data import keep_labels, pair, subset
from genzoo.data.transforms import Binarized
from genzoo.training import batches as batches_module, workers
from genzoo.training.batches import BatchPartition, batches
from genzoo.training.config import TrainerConfig


@pytest.fixture
def images(tmp_path):
    def load(**config):
        for i in range(12):
            folder = tmp_path / "ab"[i % 2]
            folder.mkdir(exist_ok=True)
            Image.fromarray(np.full((2, 2), 20 * i, np.uint8)).save(folder / f"{i}.png")
        return genzoo.load_dataset(str(tmp_path), **config)

    return load


def rows(data, num_workers, first=0, last=5):
    feed = batches(
        data, BatchPartition(4, 1, 1, 0), seed=3, first=first, last=last, num_workers=num_workers
    )
    return [micro["x"] for (micro,) in feed]


@pytest.fixture
def processors(monkeypatch):
    def have(num):
        monkeypatch.setattr(workers, "_num_processors", lambda: num)

    return have


@pytest.mark.parametrize(
    ("num_processors", "num_processes", "right"),
    [(1, 1, 0), (2, 1, 1), (4, 1, 3), (64, 1, 4), (4, 2, 1), (2, 2, 0), (2, 8, 0)],
)
def test_images_that_do_not_fit_get_workers(
    images, processors, num_processors, num_processes, right
):
    processors(num_processors)
    config = TrainerConfig()
    assert workers.choose(config, images(cache_bytes=47), num_processes) == right
    assert workers.choose(config, images(cache_bytes=48), num_processes) == 0
    assert workers.choose(config, genzoo.load_dataset("digits"), num_processes) == 0
    assert workers.choose(TrainerConfig(dataloader_num_workers=7), images(), 1) == 7
    assert workers.choose(TrainerConfig(dataloader_num_workers=0), images(cache_bytes=0), 1) == 0


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: data.select(["x"]),
        lambda data: Binarized(data, "dynamic"),
        lambda data: keep_labels(data, 2),
        lambda data: pair(torch.rand(3, 2), data),
        lambda data: subset(data, 11),
    ],
)
def test_the_need_is_known_through_transforms(images, wrap):
    slow, fast = wrap(images(cache_bytes=0)), wrap(images())
    assert slow.needs_workers(len(slow))
    assert not fast.needs_workers(len(fast))


def test_a_part_that_fits_needs_no_workers(images):
    data = images(cache_bytes=20)
    assert data.needs_workers(len(data))
    part = subset(data, 5)
    assert not part.needs_workers(len(part))


def test_workers_see_the_same_rows_and_leave_the_default_generator(images):
    data = Binarized(images(cache_bytes=0), "dynamic")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    there = rows(data, 1)
    assert torch.equal(torch.get_rng_state(), before)
    for here, ahead in zip(rows(data, 0), there, strict=True):
        assert torch.equal(here, ahead)


def test_an_error_of_the_rows_is_raised_as_it_is(images, tmp_path):
    data = images(cache_bytes=0)
    (tmp_path / "a/4.png").write_bytes(b"damaged")
    with pytest.raises(genzoo.DataError) as caught:
        rows(data, 1)
    assert str(caught.value).startswith(f"{tmp_path}/a/4.png cannot be read as an image (PNG")
    assert "Traceback" not in str(caught.value)


class Ending(genzoo.data.ArrayDataset):
    """Rows whose worker process is ended as by a signal of the system, after some batches."""

    def batch(self, indices, generator=None):
        if get_worker_info() is not None and 7 in indices:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().batch(indices, generator)


def test_after_the_end_of_a_worker_the_rest_is_read_here(caplog, monkeypatch):
    monkeypatch.setattr(
        dataloader._MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.2,)
    )
    x = torch.arange(12).float()[:, None]
    info = genzoo.DataInfo(fields={"x": genzoo.Real(shape=(1,))})
    data = Ending(x, info, "ending")
    for here, ahead in zip(rows(data, 0), rows(data, 1), strict=True):
        assert torch.equal(here, ahead)
    assert "A worker process has ended" in caplog.text


def test_the_end_of_a_worker_raises_nothing_in_the_midst_of_an_update(images):
    data = images(cache_bytes=0)
    others = set(multiprocessing.active_children())
    feed = batches(data, BatchPartition(4, 1, 1, 0), seed=3, first=0, last=50, num_workers=1)
    next(feed)
    (worker,) = set(multiprocessing.active_children()) - others
    before = signal.getsignal(signal.SIGCHLD)
    worker.kill()
    worker.join()
    signal.raise_signal(signal.SIGCHLD)
    feed.close()
    assert before == signal.SIG_DFL
    assert signal.getsignal(signal.SIGCHLD).__module__.startswith("torch.")


def _choose(queue):
    config = TrainerConfig(dataloader_num_workers=3)
    queue.put(workers.choose(config, genzoo.load_dataset("digits"), 1))


def test_a_daemon_process_starts_none():
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=_choose, args=(queue,), daemon=True)
    process.start()
    process.join(60)
    assert queue.get() == 0


def test_a_worker_keeps_no_images(images, monkeypatch):
    data = images()
    monkeypatch.setattr("genzoo.data.images.cache.get_worker_info", lambda: object())
    data.batch([0])
    assert data.cache._num_kept == 0
    monkeypatch.undo()
    data.batch([0])
    assert data.cache._num_kept == 1


def test_rows_can_be_sent_to_a_worker_process_that_is_not_forked(images):
    data = Binarized(images(), "dynamic")
    data.batch([0])
    micro = batches_module._micro(data, BatchPartition(4, 1, 1, 0), seed=3)
    sent = pickle.dumps(micro)
    assert torch.equal(pickle.loads(sent)[2, 0]["x"], micro[2, 0]["x"])
    assert pickle.loads(sent).dataset.dataset.cache._kept is None


@pytest.mark.parametrize("workers_by_default", [0, 1])
def test_training_is_the_same_with_workers_by_default(images, processors, workers_by_default):
    processors(1 + workers_by_default)
    weights = []
    for budget in (0, 2**20):
        data = images(cache_bytes=budget, binarize="dynamic")
        torch.manual_seed(0)
        model = genzoo.create_model("vae", data=data, hidden_dims=(4,), latent_dim=2)
        config = TrainerConfig(max_steps=5, batch_size=4)
        genzoo.Trainer(model, data, config=config).fit()
        weights.append([p.detach().clone() for p in model.parameters()])
    assert all(map(torch.equal, *weights))
