"""The fingerprint of a random stream: of what it is, and what passes for the same."""

import os

import pytest
import torch

import genzoo
from genzoo import seeds
from genzoo.data import from_array
from genzoo.evaluation import evaluate
from genzoo.evaluation.streams import (
    MAX_THREADS,
    arithmetic,
    same_stream,
    stated_batch_size,
    stated_threads,
    stream_of,
)
from judges import LabelledReplay, Replay, case

FOUND = {
    "of": "samples",
    "mean": "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7",
    "std": "1 1 1 1 1 1 1 1",
    "batch_size": 8,
    "device": "cpu",
    "threads": 1,
    "processor": "AVX2",
    "arithmetic": "0123abcd",
}


def numbers(text):
    return torch.tensor([float(word) for word in text.split()])


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=seeds.generator(seed))


def test_two_fingerprints_are_the_same_or_not_in_plain_words():
    assert same_stream(FOUND, FOUND) is True
    assert same_stream({**FOUND, "mean": "0.5"}, FOUND) is False
    assert same_stream("samples", FOUND) is False


@pytest.mark.parametrize("key", FOUND)
def test_every_fact_counts_and_a_ninth_number_too(key):
    without = {k: value for k, value in FOUND.items() if k != key}
    for stated in (without, {**FOUND, key: "other"}, {**FOUND, key: f"{FOUND[key]} 1"}):
        assert same_stream(stated, FOUND) is False
    assert same_stream({**FOUND, "more": 1}, FOUND)


def test_numbers_may_be_off_by_a_thousandth_of_the_largest_sample():
    """The scale is the largest |mean| + deviation, 1.7 here: either way, in each place."""
    for place in (0, 7):
        for sign in (-1, 1):
            for off, same in ((0.0016, True), (0.0018, False)):
                means = numbers(FOUND["mean"]).double()
                means[place] += sign * off
                text = " ".join(f"{mean:.6f}" for mean in means)
                assert same_stream({**FOUND, "mean": text}, FOUND) is same


def test_a_block_size_is_a_whole_number_up_to_ten_thousand_of_samples():
    def stated(size, of="samples"):
        return stated_batch_size({"of": of, "batch_size": size})

    assert [stated(size) for size in (1, 10_000)] == [1, 10_000]
    assert [stated(size) for size in (0, -1, 10_001, True, 8.0, "8", None)] == [None] * 7
    assert stated(8, of="noise") is None
    assert stated_batch_size("samples") is None


def test_threads_are_a_whole_number_up_to_16_or_to_the_processors():
    assert max(16, os.cpu_count()) == MAX_THREADS
    assert [stated_threads({"threads": num}) for num in (1, MAX_THREADS)] == [1, MAX_THREADS]
    for num in (0, -1, MAX_THREADS + 1, 10**9, True, 1.0, "1", None):
        assert stated_threads({"threads": num}) is None
    assert stated_threads("1") is stated_threads({}) is None


def test_noise_stands_for_samples_that_nobody_has_drawn():
    """Rows as long as the event, and of two numbers at least: one number has no spread."""
    for size in (1, 2, 5):
        model = Replay(noise(50, size))
        stream = stream_of(case(model, from_array(model.rows, "rows"), seed=3))
        drawn = noise(8, max(2, size), seed=seeds.derive_seed(3, "samples"))
        torch.testing.assert_close(numbers(stream["mean"]), drawn.mean(1), rtol=1e-5, atol=1e-6)
        spread = drawn.std(1, correction=0)
        torch.testing.assert_close(numbers(stream["std"]), spread, rtol=1e-5, atol=1e-6)
        assert (stream["of"], stream["batch_size"]) == ("noise", 8)


@pytest.mark.parametrize("size", [1, 3, 20, 1000])
def test_samples_are_drawn_in_the_block_that_is_asked_for(size):
    """Not of more rows than there are to judge; the first eight are told."""
    model = Replay(noise(50, 4))
    opened = case(model, from_array(model.rows, "rows"), seed=3)
    stream = stream_of(opened, size)
    num = min(size, 25)
    drawn = model.sample(num, seed=seeds.derive_seed(3, "samples"), batch_size=num)[:8]
    assert (stream["of"], stream["batch_size"]) == ("samples", num)
    torch.testing.assert_close(numbers(stream["mean"]), drawn.mean(1), rtol=1e-5, atol=1e-6)


def test_samples_that_a_metric_has_drawn_are_told():
    model = Replay(noise(50, 4))
    opened = case(model, from_array(model.rows, "rows"), seed=3)
    drawn = opened.samples[:8]
    for size in (None, opened.batch_size):
        stream = stream_of(opened, size)
        assert (stream["of"], stream["batch_size"]) == ("samples", opened.batch_size)
        torch.testing.assert_close(numbers(stream["mean"]), drawn.mean(1), rtol=1e-5, atol=1e-6)
    assert stream_of(opened, 3)["batch_size"] == 3


def test_what_cannot_be_drawn_has_no_fingerprint_and_is_no_stream():
    model = LabelledReplay(noise(50, 4))
    opened = case(model, from_array(model.rows, "rows"))
    assert stream_of(opened, 8) == {}
    assert not same_stream(FOUND, stream_of(opened, 8))
    assert stream_of(opened)["of"] == "noise"


def test_one_more_number_of_threads_is_another_stream():
    data = genzoo.load_dataset("digits", "test", binarize="threshold", limit=20)
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=2)
    stream = evaluate(model, data, ["independent-pixels"]).provenance["stream"]
    assert stream["threads"] == torch.get_num_threads()
    assert same_stream(stream, stream)
    assert not same_stream({**stream, "threads": stream["threads"] + 1}, stream)


def test_the_digest_of_arithmetic_shows_one_other_bit(monkeypatch):
    first = arithmetic.__wrapped__(1)
    assert first == arithmetic.__wrapped__(1)
    assert len(first) == 8
    draw = torch.randn

    def other(*shape, generator):
        values = draw(*shape, generator=generator)
        values[-1, -1] = torch.nextafter(values[-1, -1], torch.tensor(9.0))
        return values

    monkeypatch.setattr(torch, "randn", other)
    assert arithmetic.__wrapped__(1) != first
