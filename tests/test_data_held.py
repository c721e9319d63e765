"""as_dataset takes what people hold, says what it leaves out, and refuses other things."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)

from genzoo.data import as_dataset, load_dataset
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Label, Real, Text, Unit

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 2)).astype(np.float32)
IMAGES = torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(10) % 3


def everything(dataset):
    return dataset.batch(range(len(dataset)))


def frame(**columns):
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], **columns})


# Arrays and pairs.


@pytest.mark.parametrize(
    "data", [X, torch.from_numpy(X), X.tolist(), tuple(map(tuple, X.tolist()))]
)
def test_rows_are_taken_whatever_holds_them(data):
    dataset = as_dataset(data, name="mine")
    assert np.array_equal(everything(dataset)["x"], X)
    assert (dataset.info["x"], dataset.name, dataset.notes) == (Real(shape=(2,)), "mine", ())


@pytest.mark.parametrize("labels", [["b", "a", None, "b", "a", "a"], [1, 0, -1, 1, 0, 0]])
def test_x_and_y_are_rows_and_labels(labels):
    for given in (labels, np.array(labels, dtype=object)):
        dataset = as_dataset((X, given))
        assert everything(dataset)["label"].tolist() == [1, 0, -1, 1, 0, 0]
        assert np.array_equal(everything(dataset)["x"], X)
    names = ("a", "b") if "a" in labels else ()
    assert dataset.info["label"] == Label(num_classes=2, names=names)
    assert everything(as_dataset(X, label=labels))["label"].tolist() == [1, 0, -1, 1, 0, 0]


def test_two_rows_are_not_a_pair():
    assert len(as_dataset(((0.5, -2.0), (3.0, 4.0)))) == 2
    assert "label" not in as_dataset((X[0], X[1])).info


def test_a_frame_and_a_series_are_a_pair():
    dataset = as_dataset((frame(), pd.Series(list("babaab"))))
    assert everything(dataset)["label"].tolist() == [1, 0, 1, 0, 0, 1]
    assert np.array_equal(everything(dataset)["x"], X)


# Tables.


def test_a_frame_is_a_row_of_numbers_with_a_label(caplog):
    dataset = as_dataset(frame(Target=["x10", "x2", "x10", "x1", "x2", "x1"]))
    assert np.array_equal(everything(dataset)["x"], X)
    assert dataset.info["label"].names == ("x1", "x2", "x10")
    assert everything(dataset)["label"].tolist() == [2, 1, 2, 0, 1, 0]
    assert dataset.notes == ("the column 'Target' is the label.",)
    assert [r.getMessage() for r in caplog.records] == [f"{dataset.name}: {dataset.notes[0]}"]


def test_columns_are_named_or_dropped_or_not_taken_by_their_name():
    table = frame(kind=list("uvuvuv"), y=[0, 1, 0, 1, 0, 1])
    named = as_dataset(table, label="kind", drop="y")
    assert named.info["label"].names == ("u", "v")
    assert (named.info["x"].event_shape, named.notes) == ((2,), ())
    assert as_dataset(table, label="", drop=["kind"]).info["x"].event_shape == (3,)
    assert "label" not in as_dataset(table, label="", drop=["kind"]).info


def test_a_column_of_integers_has_an_integer_for_its_name():
    table = pd.DataFrame(X).assign(**{"9": [0, 1] * 3}).rename(columns={"9": 9})
    assert everything(as_dataset(table, label=9))["label"].tolist() == [0, 1] * 3


def test_a_column_called_y_may_be_a_number_and_one_called_label_may_not():
    points = as_dataset(pd.DataFrame(X, columns=["x", "y"]))
    assert np.array_equal(everything(points)["x"], X)
    assert points.notes == (
        "the column 'y' holds numbers that are not classes, so it is part of x.",
    )
    with pytest.raises(
        DataError, match=r"column 'label' of .* has .* in row 0, which is not a la"
    ):
        as_dataset(frame(label=X[:, 0]))


def test_categories_keep_their_order_and_those_that_do_not_occur():
    kind = pd.Categorical(["v", "u", None, "v", "u", "u"], categories=["v", "u", "w"])
    dataset = as_dataset(frame(label=kind))
    assert dataset.info["label"].names == ("v", "u", "w")
    assert everything(dataset)["label"].tolist() == [0, 1, -1, 0, 1, 1]
    assert "1 of 6 rows have no label." in dataset.notes


def test_what_counts_the_rows_is_pointed_out_and_an_index_is_left_out():
    table = pd.DataFrame({"id": range(12), "a": np.linspace(-1, 1, 12)})
    assert "'id' numbers the rows" in as_dataset(table).notes[0]
    assert as_dataset(table.set_index("id")).notes == ("its index, id, is left out.",)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            [1.0, None, 3, 4, None, 6],
            r"'c' of .* has no value in row 1 \(2 of 6 are missing\).*'c'",
        ),
        (pd.array([1, 2, 3, 4, 5, None], dtype="Int64"), r"'c' of .* has no value in row 5"),
        (pd.array([True, None] * 3, dtype="boolean"), r"'c' of .* has no value in row 1"),
        (["u", "v"] * 3, r"'c' of .* holds 'u' in row 0: numbers are needed.*drop=\['c'\]"),
        ([1, 2, "?", 4, 5, 6], r"'c' of .* holds '\?' in row 2.*--data.drop c"),
        (pd.to_datetime(["2020-01-01"] * 6), r"'c' of .* holds datetime.* in row 0"),
        (pd.Categorical(["u"] * 6), r"'c' of .* holds 'u' in row 0"),
        ([1 + 2j] * 6, r"'c' of .* holds \(1\+2j\) in row 0"),
        (
            [1.0, np.inf, 0, 0, 0, 0],
            r"NaN or infinity, in 1 of 6 rows, the first of which is row 1",
        ),
    ],
)
def test_a_value_that_is_not_a_number_is_named_with_its_column_and_row(column, message):
    with pytest.raises(DataError, match=message):
        as_dataset(frame(c=column))


def test_all_columns_of_text_are_named_at_once():
    table = frame(name=list("abcdef"), town=list("abcdef"))
    with pytest.raises(DataError, match=r"drop=\['name', 'town'\] \(--data.drop name town\)"):
        as_dataset(table)
    assert as_dataset(table, drop=["name", "town"]).info["x"].event_shape == (2,)


def test_other_tables_are_taken_through_pandas():
    arrow = pytest.importorskip("pyarrow")
    dataset = as_dataset(arrow.table({"a": X[:, 0], "b": X[:, 1], "label": list("ababab")}))
    assert np.array_equal(everything(dataset)["x"], X)
    assert dataset.info["label"].names == ("a", "b")


# Mappings.


@pytest.mark.parametrize("key", ["x", "X", "data", "Images", "pixel_values"])
def test_a_mapping_has_rows_labels_captions_and_further_fields(key):
    dataset = as_dataset(
        {
            key: IMAGES[:6],
            "targets": ["b", "a", "b", "a", None, "b"],
            "caption": ["one", None, "three", "four", "five", "six"],
            "colour": list("rgbrgb"),
            "size": X[:, 0],
            "count": [0, 1, 2, 0, 1, 2],
            "Not a field": range(6),
            "short": [1, 2],
            "description": "digits of somebody",
        }
    )
    batch = everything(dataset)
    assert torch.equal(batch["x"], IMAGES[:6])
    assert batch["label"].tolist() == [1, 0, 1, 0, -1, 1]
    assert batch["text"] == ["one", "", "three", "four", "five", "six"]
    assert (batch["colour"].tolist(), batch["count"].tolist()) == ([2, 1, 0] * 2, [0, 1, 2] * 2)
    assert torch.equal(batch["size"], torch.from_numpy(X[:, :1]))
    fields = dataset.info.fields
    assert set(fields) == {"x", "label", "text", "colour", "size", "count"}
    assert fields["colour"] == Label(num_classes=3, names=("b", "g", "r"))
    assert (fields["size"], fields["text"]) == (Real(shape=(1,)), Text())
    left = next(note for note in dataset.notes if "left out" in note)
    assert all(name in left for name in ("'Not a field'", "'short'", "'description'"))


def test_a_mapping_without_rows_is_a_table():
    dataset = as_dataset(
        {"width": X[:, 0], "height": X[:, 1].tolist(), "kind": list("aabbab")}, label="kind"
    )
    assert np.array_equal(everything(dataset)["x"], X)


def test_records_are_a_table():
    records = [{"a": -1.5, "b": 2, "label": "u"}, {"a": 0.5, "b": 3, "label": "v"}]
    assert everything(as_dataset(records))["x"].tolist() == [[-1.5, 2], [0.5, 3]]
    with pytest.raises(DataError, match=r"'b' of .* has no value in row 1"):
        as_dataset([*records[:1], {"a": 0.5, "label": "v"}])


def test_what_scikit_learn_loads_is_taken():
    from sklearn.datasets import load_iris

    for data in (load_iris(), load_iris(as_frame=True).frame, load_iris(return_X_y=True)):
        dataset = as_dataset(data)
        assert np.allclose(everything(dataset)["x"], load_iris().data)
        assert everything(dataset)["label"].tolist() == load_iris().target.tolist()


# Datasets of torch that hold tensors, and their loaders.


def test_tensors_are_taken_as_they_are():
    data = TensorDataset(IMAGES, Y)
    part, rest = random_split(data, [7, 3], torch.Generator().manual_seed(0))
    for given, rows in (
        (data, range(10)),
        (Subset(data, [3, 1]), [3, 1]),
        (Subset(Subset(data, [3, 1, 7]), [2, 0]), [7, 3]),
        (part, part.indices),
        (rest, rest.indices),
    ):
        dataset = as_dataset(given)
        assert torch.equal(everything(dataset)["x"], IMAGES[list(rows)])
        assert torch.equal(everything(dataset)["label"], Y[list(rows)])
        assert torch.equal(dataset.labels(), Y[list(rows)])


def test_tensors_that_are_no_labels_are_left_out_and_that_is_said():
    assert as_dataset(TensorDataset(IMAGES)).notes == ()
    dataset = as_dataset(TensorDataset(IMAGES, IMAGES, Y))
    assert torch.equal(everything(dataset)["label"], Y)
    assert dataset.notes == ("1 of its 3 tensors is left out.",)


def test_a_loader_is_its_dataset_and_what_is_ignored_is_said():
    data = TensorDataset(IMAGES, Y)
    dataset = as_dataset(DataLoader(data, batch_size=3, shuffle=True))
    assert torch.equal(everything(dataset)["x"], IMAGES)
    assert "ignored are its batch size, order, workers" in dataset.notes[0]
    odd = DataLoader(
        data, sampler=WeightedRandomSampler([1.0] * 10, 10), collate_fn=lambda items: items
    )
    assert "sampler (WeightedRandomSampler), collate_fn." in as_dataset(odd).notes[0]


def test_a_loader_of_some_rows_is_these_rows():
    loader = DataLoader(TensorDataset(IMAGES, Y), sampler=SubsetRandomSampler([8, 2, 5]))
    assert torch.equal(everything(as_dataset(loader))["x"], IMAGES[[8, 2, 5]])


# Refused, or passed on.


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(IMAGES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "None is not a dataset"),
        (3, "The given int is not a dataset"),
        ({1, 2}, "The given set is not a dataset"),
        (Image.new("L", (4, 3)), "The given Image is not a dataset"),
        ((row for row in X), "The given generator yields rows one after another"),
        (Streamed(), "The given Streamed yields rows one after another"),
        (DataLoader(Streamed()), "The given Streamed yields rows one after another"),
        ([[1, 2], [3]], "different shapes"),
        ([], "the given array"),
        ({}, "has no column to model"),
        (pd.DataFrame(), "has no column to model"),
        (frame()[:0], "is empty"),
        (((X, [0] * 6), (X, [1] * 6)), r"Two pairs \(X, y\) are two splits"),
        ((X, np.eye(6)), r"the shape \(6, 6\): one label for each row is needed"),
        ((X, [0, 1]), "must be 6 whole numbers"),
        (Subset(TensorDataset(IMAGES), [3, 10]), "names the row 10 of 10 rows"),
        (torch.utils.data.Dataset(), "does not say how many rows it has: TypeError"),
        ({"train": X, "test": X}, r"has the splits 'train', 'test'. Give one: data\['train'\]"),
        ({"p": X, "q": X}, r"in the columns 'p', 'q': it is not clear.*drop=\['q'\]"),
        (pd.DataFrame(X, columns=["a", "a"]), "two columns with the name 'a'"),
    ],
)
def test_other_things_are_answered_in_a_sentence(data, message):
    with pytest.raises(DataError, match=message):
        as_dataset(data)


def test_a_column_that_is_not_there_is_answered_with_those_there_are():
    for given in ({"label": "tgt"}, {"drop": ["tgt"]}, {"text": "tgt"}):
        with pytest.raises(
            DataError, match=r"no column 'tgt'. Did you mean 'target'.*a, b, target"
        ):
            as_dataset(frame(target=[0, 1] * 3), **given)


def test_columns_of_what_has_none_are_refused():
    with pytest.raises(ConfigError, match=r"ndarray has no columns, so 'a' cannot be one.*label="):
        as_dataset(X, drop=["a"])
    with pytest.raises(ConfigError, match="leave label, drop out"):
        as_dataset(load_dataset("digits"), label="a", drop="b")
    with pytest.raises(ConfigError, match="has its labels already"):
        as_dataset((X, [0] * 6), label=[1] * 6)


def test_labels_of_another_number_are_refused():
    with pytest.raises(DataError, match="has 6 rows, and 2 values are given as label"):
        as_dataset(frame(), label=[0, 1])
    with pytest.raises(DataError, match="one label for each row is needed; got <generator"):
        as_dataset(frame(), label=(i for i in range(6)))


def test_wrong_types_of_settings_are_answered():
    with pytest.raises(ConfigError, match="scale must be a number, got 'x'"):
        as_dataset(X, scale="x")
    with pytest.raises(ConfigError, match="like must be a dataset"):
        as_dataset(X, like=X)


def test_labels_such_as_years_are_pointed_out():
    dataset = as_dataset(frame(label=[1990, 1991, 2024] * 2))
    assert "the numbers of 'label' are class indices: 3 of 2025 classes occur." in dataset.notes


def test_an_array_with_named_columns_is_a_table():
    rows = [(a, b, "uv"[i % 2]) for i, (a, b) in enumerate(X)]
    dataset = as_dataset(np.array(rows, dtype=[("a", "f4"), ("b", "f4"), ("label", "U1")]))
    assert np.array_equal(everything(dataset)["x"], X)
    assert everything(dataset)["label"].tolist() == [0, 1] * 3


def test_a_dataset_is_returned_and_a_name_is_not_loaded(tmp_path):
    digits = load_dataset("digits")
    assert as_dataset(digits) is digits
    for name in ("digits", tmp_path):
        with pytest.raises(ConfigError, match="load_dataset"):
            as_dataset(name)


def test_the_space_and_the_divisor_can_be_given():
    grey = RNG.integers(0, 256, (8, 5))
    assert as_dataset(grey, space="unit").info["x"] == Unit(shape=(5,), levels=256)
    table = pd.DataFrame(grey)
    assert as_dataset(table, space="real").info["x"] == Real(shape=(5,))
    scaled = as_dataset({"data": grey.astype(float)}, scale=255)
    torch.testing.assert_close(everything(scaled)["x"], torch.from_numpy(grey / 255).float())


def test_another_split_has_the_space_and_the_classes_of_the_first():
    train = as_dataset(frame(label=list("abcabc")))
    inside = pd.DataFrame({"a": [0.25, 0.5], "b": [0.5, 0.75], "label": ["c", "b"]})
    assert as_dataset(inside).info["x"] == Unit(shape=(2,))
    values = inside[["a", "b"]].to_numpy().copy()
    for data in (
        inside,
        (values, ["c", "b"]),
        {"x": values, "y": [2, 1]},
        [(torch.from_numpy(row), i) for row, i in zip(values, (2, 1), strict=True)],
        TensorDataset(torch.from_numpy(values), torch.tensor([2, 1])),
    ):
        test = as_dataset(data, like=train)
        assert test.info.fields == train.info.fields
        assert everything(test)["label"].tolist() == [2, 1]
    with pytest.raises(DataError, match=r"'label' of .* has an unknown class.*Known: a, b, c"):
        as_dataset(inside.assign(label=["c", "z"]), like=train)


def test_the_mean_is_known():
    torch.testing.assert_close(
        as_dataset(frame(label=[0, 1] * 3)).info.mean["x"], torch.from_numpy(X.mean(0))
    )


# What would be misread.


def test_a_list_of_two_arrays_is_a_pair_where_it_cannot_be_rows():
    dataset = as_dataset([X, np.array([1, 0, 2, 1, 0, 0])])
    assert everything(dataset)["label"].tolist() == [1, 0, 2, 1, 0, 0]
    assert "label" not in as_dataset([X[:2], X[2:4]]).info


def test_images_of_pillow_and_labels_are_a_pair():
    pictures = [Image.new("L", (4, 4), level) for level in (0, 100, 200)]
    assert everything(as_dataset((pictures, [1, 0, 1])))["label"].tolist() == [1, 0, 1]


def test_a_flat_x_with_classes_is_refused_and_not_read_as_two_rows():
    with pytest.raises(DataError, match=r"shape \(6,\): rows .* Give X\[:, None\]"):
        as_dataset((X[:, 0], np.array([0, 1] * 3)))


def test_rows_of_different_shapes_are_refused_in_plain_words():
    with pytest.raises(DataError, match="its rows have different shapes"):
        as_dataset([[1.0, 2.0], [3.0]])


def test_labels_in_the_order_of_other_rows_are_refused():
    labels = pd.Series(list("babaab"))
    with pytest.raises(DataError, match=r"another order .* label\.loc\[table\.index\]"):
        as_dataset((frame().iloc[::-1], labels))
    with pytest.raises(DataError, match="another order"):
        as_dataset(frame(), label=labels.iloc[::-1])
    # Another index altogether does not say which rows are meant.
    assert len(as_dataset((frame(), labels.set_axis(range(10, 16))))) == 6


def test_a_label_of_another_length_is_refused_and_not_dropped():
    with pytest.raises(DataError, match=r"6 rows, and its column 'Y' has 2 values"):
        as_dataset({"X": X, "Y": [0, 1]})
    assert "label" not in as_dataset({"X": X, "Y": [0, 1]}, label="").info
    assert "label" in as_dataset({"X": X, "y": [0, 1] * 3, "labels": ["a", "b"]}).info


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([-1, 1, -1, 1, 1, 1], "−1 of 'label' is not a class"),
        ([1, 2, 3, 1, 2, 3], "class indices: 3 of 4 classes occur"),
        ([2001, 2000] * 3, "class indices: 2 of 2002 classes occur"),
        (["cat", "Cat ", "dog"] * 2, "'cat' and 'Cat ' of 'label' are two classes"),
        ([0, None] * 3, "3 of 6 rows have no label."),
        ([0, 1] * 3, ""),
    ],
)
def test_labels_that_may_mean_something_else_are_pointed_out(labels, said, tmp_path):
    kept = np.array([-1 if v is None else v for v in labels])
    np.savez(tmp_path / "a.npz", x=X, y=kept)
    named = {"x": X, "label": labels}
    for dataset in (
        as_dataset((X, labels)),
        as_dataset(named),
        as_dataset(list(X[:, :, None]), label=labels),
        load_dataset(tmp_path / "a.npz"),
    ):
        assert said in " ".join(dataset.notes)
        assert bool(said) == bool(dataset.notes)


def test_labels_of_a_file_may_be_stored_as_floats(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=np.array([0, 1, np.nan, 1, 0, 1.0]))
    assert everything(load_dataset(tmp_path / "a.npz"))["label"].tolist() == [0, 1, -1, 1, 0, 1]
    np.savez(tmp_path / "b.npz", x=X, labels=np.array([0, 1.0, 0.5, 1, 0, 1]))
    with pytest.raises(DataError, match=r"'labels' of .* has 0\.5 in row 2, which is not a label"):
        load_dataset(tmp_path / "b.npz")


def test_numbers_that_rounding_makes_equal_are_pointed_out():
    days = [20200101 + day for day in range(6)]
    assert "'day' holds numbers that are equal once" in as_dataset(frame(day=days)).notes[-1]
    assert as_dataset(frame(far=[2.0**30 * k for k in range(6)])).notes == ()
