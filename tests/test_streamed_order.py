"""The order of streamed rows: each once per epoch, a function of seed and position only."""

import pickle
import random

import pytest
import torch

from genzoo.data.streams.order import Chunks, WindowedOrder
from genzoo.training.batches import BatchPartition


def chunks_of(*shards):
    """Return chunks with these numbers of rows, of ten bytes each."""
    rows = torch.tensor([num for shard in shards for num in shard])
    number = torch.tensor([i for i, shard in enumerate(shards) for _ in shard])
    return Chunks(rows, rows * 10, number)


def drawn(rng):
    """Return chunks of random numbers and sizes."""
    sizes = [
        [rng.randint(1, 9) for _ in range(rng.randint(1, 5))] for _ in range(rng.randint(1, 7))
    ]
    return chunks_of(*sizes)


def ordered(chunks, seed=0, window=200, at_once=2, expect=None):
    return WindowedOrder(chunks, seed, window_bytes=window, shards_at_once=at_once, expect=expect)


def epoch_of(order, number=0):
    num = order.num_rows
    return order.indices(range(number * num, (number + 1) * num)).tolist()


@pytest.mark.parametrize("case", range(40))
def test_every_row_comes_once_in_each_epoch_however_it_is_asked_for(case):
    rng = random.Random(case)
    chunks, seed = drawn(rng), rng.randint(0, 99)
    options = {"window": rng.choice([1, 50, 100, 10_000]), "at_once": rng.randint(1, 8)}
    whole = ordered(chunks, seed, **options).indices(range(3 * int(chunks.rows.sum())))
    num = int(chunks.rows.sum())
    for epoch in range(3):
        assert sorted(whole[epoch * num : (epoch + 1) * num].tolist()) == list(range(num))
    order = ordered(chunks, seed, **options)
    for _ in range(20):  # In any order and in pieces of any size.
        first = rng.randrange(3 * num)
        last = rng.randint(first + 1, 3 * num)
        assert order.indices(range(first, last)).tolist() == whole[first:last].tolist()


def test_epochs_and_seeds_have_orders_of_their_own():
    chunks = chunks_of([5, 5], [5, 5], [5, 5])
    epochs = [epoch_of(ordered(chunks), number) for number in range(3)]
    assert len({tuple(rows) for rows in epochs}) == 3
    assert epoch_of(ordered(chunks, seed=1)) != epochs[0]
    assert epoch_of(ordered(chunks)) == epochs[0]


def test_epochs_shuffle_the_chunks_and_the_rows_of_a_window_anew():
    for chunks in (chunks_of([1] * 9), chunks_of([9])):  # Only one of the two has an effect.
        order = ordered(chunks, window=10)
        assert len({tuple(epoch_of(order, number)) for number in range(4)}) == 4


@pytest.mark.parametrize("num_processes", [1, 2, 4])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_processes_read_parts_of_one_global_order(num_processes, micro_batches):
    chunks = chunks_of([7, 3, 6], [5], [9, 9], [1, 2, 3])
    whole = ordered(chunks).indices(range(40 * 16))
    shares = [BatchPartition(16, micro_batches, num_processes, r) for r in range(num_processes)]
    orders = [ordered(chunks) for _ in shares]
    for update in range(40):
        slots = {
            slot: order.indices(share.rows(update, slot))
            for share, order in zip(shares, orders, strict=True)
            for slot in share.slots()
        }
        together = torch.cat([slots[slot] for slot in sorted(slots)])
        assert together.tolist() == whole[update * 16 : (update + 1) * 16].tolist()


def test_rows_of_a_window_come_together_and_are_mixed():
    chunks = chunks_of(*[[10] * 10 for _ in range(8)])
    rows = torch.tensor(epoch_of(ordered(chunks, window=1000, at_once=2)))
    for window in rows.split(100):  # Ten chunks of 100 bytes.
        used = torch.unique(window // 10)
        assert len(used) == 10
        assert (window // 10).tolist() != sorted((window // 10).tolist())
        assert len(torch.unique(used // 10)) <= 2
    shards = torch.stack([torch.unique(part // 100) for part in rows.split(200)])
    assert shards.shape == (4, 2)  # Two shards at once, until all of their rows were read.


def test_a_chunk_that_is_larger_than_a_window_is_one_by_itself():
    rows = epoch_of(ordered(chunks_of([3, 20, 3]), window=60))
    big = [place for place, row in enumerate(rows) if 3 <= row < 23]
    assert big == list(range(big[0], big[0] + 20))


def test_the_chunks_of_this_window_and_of_the_next_are_expected():
    asked = []
    chunks = chunks_of([5, 5], [5, 5])
    order = ordered(chunks, window=100, at_once=1, expect=lambda *both: asked.append(both))
    first = order.indices(range(10)).tolist()
    assert {row // 5 for row in first} == set(asked[0][0])
    later = {row // 5 for row in order.indices(range(10, 20)).tolist()}
    assert later == set(asked[0][1]) == set(asked[1][0])


def test_the_first_window_of_the_next_epoch_is_expected_at_the_end_of_one():
    asked = []
    chunks = chunks_of(*[[5, 5] for _ in range(8)])
    order = ordered(chunks, window=100, expect=lambda *both: asked.append(both))
    order.indices(range(70, 80))
    first = {row // 5 for row in order.indices(range(80, 90)).tolist()}
    assert set(asked[0][1]) == first
    assert first != {row // 5 for row in order.indices(range(10)).tolist()}


def test_a_batch_across_windows_expects_both_and_nothing_more():
    asked = []
    order = ordered(chunks_of([5, 5], [5, 5]), window=100, expect=lambda *both: asked.append(both))
    order.indices(range(8, 12))
    assert sorted(asked[0][0]) == [0, 1, 2, 3]
    assert not asked[0][1]


def test_worker_processes_get_the_same_order():
    order = ordered(chunks_of([5, 5], [4]))
    again = pickle.loads(pickle.dumps(order))
    assert epoch_of(again, 1) == epoch_of(order, 1)


def test_some_chunks_have_an_order_of_their_own():
    some = chunks_of([2], [3], [4]).at(torch.tensor([0, 2]))
    assert (some.rows.tolist(), some.shard.tolist()) == ([2, 4], [0, 1])
    assert sorted(epoch_of(ordered(some))) == list(range(6))
