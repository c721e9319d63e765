"""Notes: what was inferred in an unusual way or left out is said once and kept."""

import logging

import torch

from genzoo.data import DataConfig, DataSource, as_dataset, from_array, load_split, pair, subset


class Noted(DataSource[DataConfig]):
    """Two splits, each with a note of its own."""

    Config = DataConfig

    def splits(self):
        return ("train", "test")

    def load(self, split):
        found = from_array(torch.rand(6, 3), split, label=torch.arange(6) % 2)
        found.notes = (f"a column of {split} is left out.",)
        return found


def test_notes_of_the_split_asked_for_are_logged_once(caplog):
    for split in ("train", "test"):
        with caplog.at_level(logging.WARNING, logger="genzoo"):
            load_split(Noted(), split)
        assert [r.getMessage() for r in caplog.records] == [
            f"{split}: a column of {split} is left out."
        ]
        caplog.clear()


def test_notes_survive_what_prepares_the_rows():
    for config in (
        DataConfig(limit=4),
        DataConfig(binarize="threshold"),
        DataConfig(binarize="static"),
        DataConfig(labelled=2),
    ):
        prepared = load_split(Noted(config))
        assert prepared.notes == ("a column of train is left out.",)
        assert prepared.select(()).notes == prepared.notes


def test_a_pair_has_the_notes_of_both_domains(caplog):
    x, y = (load_split(Noted(), split) for split in ("train", "test"))
    caplog.clear()
    both = pair(x, y)
    assert both.notes == (*x.notes, *y.notes)
    assert not caplog.records, "they were said when the domains were loaded"


def test_most_data_have_no_notes():
    data = as_dataset(torch.rand(5, 2))
    assert data.notes == subset(data, 2).notes == ()
