"""Map-style datasets that are read item by item: kind, labels, random transforms, errors."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from genzoo import seeds
from genzoo.data import as_dataset
from genzoo.data.items import rows as item_rows
from genzoo.errors import DataError
from genzoo.spaces import Binary, Label, Real, Text, Unit
from genzoo.training.batches import BatchPartition, batches

X = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))


class Items(torch.utils.data.Dataset):
    """Items that a function makes."""

    def __init__(self, make, num=12):
        self.make, self.num = make, num

    def __len__(self):
        return self.num

    def __getitem__(self, index):
        if not 0 <= index < self.num:
            raise IndexError(index)
        return self.make(index)


class MapStyle:
    """What has a length and items is enough: such a dataset need not derive from that of torch."""

    __len__, __getitem__ = Items.__len__, Items.__getitem__

    def __init__(self, make, num=12):
        self.make, self.num = make, num


def everything(dataset):
    return dataset.batch(range(len(dataset)))


# The form of items.


@pytest.mark.parametrize(
    "make",
    [
        lambda i: (X[i], i % 3),
        lambda i: [X[i].numpy(), torch.tensor(i % 3)],
        lambda i: {"image": X[i], "label": np.int64(i % 3)},
        lambda i: {"X": X[i].tolist(), "targets": i % 3},
        lambda i: (X[i].double(), torch.tensor([i % 3])),
    ],
)
@pytest.mark.parametrize("kind", [Items, MapStyle])
def test_items_are_tuples_or_mappings_of_x_and_a_label(make, kind):
    dataset = as_dataset(kind(make))
    batch = everything(dataset)
    assert torch.equal(batch["x"], X)
    assert batch["label"].tolist() == [i % 3 for i in range(12)]
    assert dataset.info.fields == {"x": Unit(shape=(1, 4, 4)), "label": Label(num_classes=3)}
    assert len(dataset) == 12
    assert dataset[[]]["x"].shape == (0, 1, 4, 4)


def test_items_are_x_alone():
    assert torch.equal(everything(as_dataset(Items(lambda i: X[i])))["x"], X)
    assert set(everything(as_dataset(Items(lambda i: (X[i],))))) == {"x"}
    assert set(everything(as_dataset(Items(lambda i: (X[i], None))))) == {"x"}
    for pairs in ([(x, 0) for x in X], [[x, 0] for x in X]):
        assert torch.equal(everything(as_dataset(pairs))["x"], X)
    nested = as_dataset([[x, x] for x in X])
    assert nested.info["x"].event_shape == (2, 1, 4, 4)


def test_single_numbers_of_a_mapping_are_one_row():
    dataset = as_dataset(Items(lambda i: {"a": i * 0.5, "b": -i * 0.1, "label": i % 2}))
    assert dataset.info["x"] == Real(shape=(2,))
    torch.testing.assert_close(dataset[3]["x"], torch.tensor([1.5, -0.3]))


def test_captions_are_read_and_what_is_left_out_is_said():
    dataset = as_dataset(
        Items(lambda i: {"x": X[i], "caption": f"number {i}", "id": f"u{i}", "other": X[i]})
    )
    assert everything(dataset)["text"][3] == "number 3"
    assert dataset.info["text"] == Text()
    assert dataset.notes == ("'id', 'other' of each item are left out.",)
    pairs = as_dataset(Items(lambda i: (X[i], "told", X[i])))
    assert pairs[0]["text"] == "told"
    assert pairs.notes == (
        "item[1] of each row is the text.",
        "item[2] of each row is left out.",
    )


# Images.


def picture(i, mode="L"):
    return Image.new(mode, (4, 3), (20 * i,) * len(mode) if mode != "L" else 20 * i)


def test_images_of_pillow_are_bytes():
    for data in (Items(lambda i: (picture(i), 0)), [picture(i) for i in range(12)]):
        dataset = as_dataset(data)
        assert dataset.info["x"] == Unit(shape=(1, 3, 4), levels=256)
        assert torch.equal(dataset[5]["x"], torch.full((1, 3, 4), 100 / 255))
    columns = as_dataset({"image": [picture(i, "RGB") for i in range(12)], "label": range(12)})
    assert columns.info["x"] == Unit(shape=(3, 3, 4), levels=256)
    assert columns[7]["label"] == 7
    named = as_dataset({"images": [picture(i) for i in range(4)], "y": list("baba"), "z": "?"})
    assert (everything(named)["label"].tolist(), named.info["label"].names) == (
        [1, 0] * 2,
        ("a", "b"),
    )
    assert named.notes == ("'z' left out: not one value for each image.",)


def test_colour_and_grey_are_both_read_in_colour_and_that_is_said():
    dataset = as_dataset(Items(lambda i: picture(i, "RGB" if i % 2 else "L")))
    assert dataset.info["x"].event_shape == (3, 3, 4)
    assert dataset.notes == ("6 of 12 images are grey; all are read in colour.",)


# Kinds.


def test_the_kind_is_inferred_from_rows_spread_over_all_and_later_rows_are_checked():
    asked = []

    def make(i):
        asked.append(i)
        return torch.tensor([0.0, 1.0] if i != 5001 else [0.0, 0.3])

    dataset = as_dataset(Items(make, 10_000))
    assert dataset.info["x"] == Binary(shape=(2,))
    assert len(set(asked)) <= 1000
    assert {0, 9999} <= set(asked)
    with pytest.raises(DataError, match=r"row 5001 holds 0\.3"):
        dataset.batch([4, 5001, 6])
    assert dataset.batch([4, 6])["x"].tolist() == [[0, 1]] * 2


def test_large_rows_are_looked_at_less_often(monkeypatch):
    monkeypatch.setattr(item_rows, "_VALUES", 1000)
    asked = set()
    as_dataset(Items(lambda i: asked.add(i) or torch.rand(100), 500))
    assert {0, 499} <= asked
    assert len(asked) == 10


def test_bytes_and_channels_last_are_converted_in_each_batch_too():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (12, 5, 4, 3), dtype=np.uint8)
    dataset = as_dataset(Items(lambda i: images[i]))
    assert dataset.info["x"] == Unit(shape=(3, 5, 4), levels=256)
    expected = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(everything(dataset)["x"], expected)


# Labels.


def test_labels_that_a_dataset_lists_are_known_without_reading_it():
    items = Items(lambda i: (X[i], i % 3))
    items.targets, items.classes = [i % 3 for i in range(12)], ["cat", "dog", "emu", "fox"]
    dataset = as_dataset(items)
    assert dataset.labels().tolist() == items.targets
    assert dataset.info["label"] == Label(num_classes=4, names=("cat", "dog", "emu", "fox"))
    part = as_dataset(Subset(items, [5, 1, 0]))
    assert part.labels().tolist() == [2, 1, 0]
    assert part.info["label"].names == ("cat", "dog", "emu", "fox")


def test_a_list_that_a_transform_changes_is_not_trusted():
    items = Items(lambda i: (X[i], 1 - i % 2))
    items.targets = [i % 2 for i in range(12)]
    dataset = as_dataset(items)
    assert dataset.labels() is None
    assert everything(dataset)["label"].tolist() == [1, 0] * 6


def test_labels_can_be_given():
    dataset = as_dataset(Items(lambda i: {"x": X[i], "label": "u"}), label=["b", "a", None] * 4)
    assert everything(dataset)["label"].tolist() == [1, 0, -1] * 4
    assert dataset.info["label"].names == ("a", "b")
    assert dataset.notes == ("4 of 12 rows have no label.",)
    with pytest.raises(DataError, match="has 12 rows, and 2 labels are given"):
        as_dataset(Items(lambda i: X[i]), label=[0, 1])


def test_a_class_that_no_row_looked_at_has_is_an_error_that_names_the_row():
    dataset = as_dataset(Items(lambda i: (torch.rand(2), int(i == 1502)), 3000))
    with pytest.raises(DataError, match=r"Row 1502 of .* has the label 1; .* below 1.*label=\["):
        dataset.batch([7, 1502])


def test_a_label_where_no_row_looked_at_has_one_is_an_error_too():
    dataset = as_dataset(Items(lambda i: (torch.rand(2), 1 if i == 1502 else None), 3000))
    assert "label" not in dataset.info
    with pytest.raises(DataError, match=r"Row 1502 of .* has the label 1"):
        dataset.batch([7, 1502])


# Random transforms.


def augmented(i):
    return X[i] - 3 + torch.rand(1) + random.random() + np.random.rand()


def test_random_transforms_draw_from_the_generator_of_the_batch():
    dataset = as_dataset(Items(augmented))
    first, again, other = (dataset.batch([3, 4], seeds.generator(seed))["x"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0] - X[3], first[1] - X[4]), "Rows have draws of their own."


def test_the_global_streams_are_left_alone():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    expected = [torch.rand(1).item(), random.random(), np.random.rand()]
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    as_dataset(Items(augmented)).batch([1, 2], seeds.generator(5))
    assert [torch.rand(1).item(), random.random(), np.random.rand()] == expected


def test_resuming_is_exact_also_with_worker_processes():
    dataset, shares = as_dataset(Items(augmented)), BatchPartition(4, 1, 1, 0)

    def rows(first, workers):
        found = batches(dataset, shares, seed=1, first=first, last=5, num_workers=workers)
        return [micro["x"] for update in found for micro in update]

    whole = rows(0, 0)
    for other in (rows(2, 0), rows(2, 1)):
        assert all(map(torch.equal, whole[2:], other))


# Errors.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda i: torch.rand(2 + (i == 7)),
            r"Row 7 of .* has the shape \(3,\), row 0 has \(2,\)",
        ),
        (
            lambda i: 1 / (i - 7),
            r"Row 7 of .* cannot be read: ZeroDivisionError: division by zero",
        ),
        (lambda i: (X[i], "ab"[i % 2], i)[:: 1 if i != 7 else -1], "Row 7 of"),
        (lambda i: {"x": X[i], "label": "ab"[i % 2]}, r"Row 0 of .* has the label 'a'.*label=\["),
        (lambda i: {"x": X[i], "label": 0.5}, r"Row 0 of .* has the label 0\.5"),
        (lambda i: {"name": "Bob"}, r"Row 0 of .* has no numbers and no image.*'name'"),
        (lambda i: {"p": X[i], "q": X[i]}, r"Row 0 of .* has rows of values in 'p', 'q'"),
        (lambda i: "text", r"Row 0 of .* holds 'text': numbers or an image are needed"),
        (lambda i: X[i] / (i != 7), r"NaN or infinity.* row 7"),
        (lambda i: {"x": X[i]} if i != 7 else {}, r"Row 7 of .* cannot be read: KeyError: 'x'"),
    ],
)
def test_an_item_that_does_not_fit_is_named(make, message):
    with pytest.raises(DataError, match=message):
        as_dataset(Items(make))


def test_keys_that_are_not_there_are_answered_and_others_can_be_chosen():
    items = Items(lambda i: {"p": X[i], "q": X[i], "kind": i % 2, "words": "w"})
    with pytest.raises(DataError, match=r"has no 'sort'.*Known: kind, p, q, words"):
        as_dataset(items, label="sort")
    dataset = as_dataset(items, label="kind", text="words", drop=["q"])
    assert set(dataset[0]) == {"x", "label", "text"}


def test_no_items_are_refused():
    with pytest.raises(DataError, match="is empty"):
        as_dataset(Items(lambda i: X[i], 0))
