"""The pool's law: what is shown and what is kept, exactly and in frequencies."""

import pytest
import torch

from genzoo_gan.pool import exchange


def numbered(first, last):
    return torch.arange(first, last).float().view(-1, 1, 1, 1)


def numbers(x):
    return x.flatten().int().tolist()


EMPTY = numbered(0, 0)


def test_while_there_is_room_fakes_are_shown_and_kept(generator):
    shown, pool = exchange(EMPTY, numbered(0, 4), 6, generator)
    assert numbers(shown) == numbers(pool) == [0, 1, 2, 3]
    shown, pool = exchange(pool, numbered(4, 6), 6, generator)
    assert (numbers(shown), numbers(pool)) == ([4, 5], [0, 1, 2, 3, 4, 5])


def test_once_it_is_full_nothing_is_lost_and_nothing_doubled(generator):
    """What is shown and what is held are together what was held and what is new."""
    pool = numbered(0, 5)
    for first in range(5, 200, 7):
        before = numbers(pool)
        shown, pool = exchange(pool, numbered(first, first + 7), 5, generator)
        assert len(pool) == 5
        assert sorted(numbers(shown) + numbers(pool)) == sorted(
            [*before, *range(first, first + 7)]
        )


def test_an_older_fake_is_shown_with_probability_one_half_each_as_likely(generator):
    """20,000 draws: a share within 4 standard errors; χ² of 7 degrees below its .9995 quantile."""
    trials, size = 20_000, 8
    counts = torch.zeros(size + 1)
    for _ in range(trials):
        shown, pool = exchange(numbered(0, size), numbered(size, size + 1), size, generator)
        counts[int(shown)] += 1
        if int(shown) < size:
            assert numbers(pool)[int(shown)] == size  # The new one takes the place of the old one.
    assert abs(counts[size] / trials - 0.5) < 4 * (0.25 / trials) ** 0.5
    old = counts[:size]
    expected = old.sum() / size
    assert ((old - expected) ** 2 / expected).sum() < 26.0


def test_a_fake_stays_with_probability_one_less_half_over_the_size_each_time(generator):
    """P(still held after n more fakes) = (1 − 1/(2N))^n, within 4 standard errors."""
    size, more, trials = 4, 6, 4000
    held = 0
    for _ in range(trials):
        _, pool = exchange(numbered(0, size), numbered(size, size + more), size, generator)
        held += numbers(pool).count(0)
    p = (1 - 1 / (2 * size)) ** more
    assert abs(held / trials - p) < 4 * (p * (1 - p) / trials) ** 0.5


def test_fakes_of_one_batch_meet_one_after_another(generator):
    """A fake may be replaced by a later one of its own batch, and be shown in its place."""
    own = 0
    for _ in range(200):
        shown, _ = exchange(numbered(0, 2), numbered(2, 12), 2, generator)
        own += any(a > b for a, b in zip(numbers(shown), numbers(shown)[1:], strict=False))
    assert own > 150


def test_no_pool_shows_the_fakes_themselves(generator):
    shown, pool = exchange(EMPTY, numbered(0, 3), 0, generator)
    assert (numbers(shown), len(pool)) == ([0, 1, 2], 0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_decides_the_draws(seed):
    def draw(seed):
        made = torch.Generator().manual_seed(seed)
        return numbers(exchange(numbered(0, 5), numbered(5, 30), 5, made)[0])

    assert draw(seed) == draw(seed) != draw(seed + 1)


def one_by_one(pool, fakes, size, generator):
    """The law in words, which looks at each draw."""
    coins = torch.rand(len(fakes), generator=generator).tolist()
    places = torch.randint(size, (len(fakes),), generator=generator).tolist()
    held, shown = list(pool), []
    for fake, coin, place in zip(fakes, coins, places, strict=True):
        shown.append(fake)
        if len(held) < size:
            held.append(fake)
        elif coin < 0.5:
            shown[-1], held[place] = held[place], fake
    return torch.stack(shown), torch.stack(held)


@pytest.mark.parametrize(("size", "num"), [(1, 1), (1, 4), (3, 7), (7, 3), (5, 5), (20, 4)])
def test_all_at_once_is_one_after_another(size, num):
    ours, theirs = torch.Generator().manual_seed(2), torch.Generator().manual_seed(2)
    pool = right_pool = EMPTY
    for first in range(0, 12 * num, num):
        fakes = numbered(first, first + num)
        shown, pool = exchange(pool, fakes, size, ours)
        right, right_pool = one_by_one(right_pool, fakes, size, theirs)
        assert torch.equal(shown, right)
        assert torch.equal(pool, right_pool)
