"""CSV and Parquet files as people write them: headers, splits, and what is refused."""

import numpy as np
import pytest
import torch

from genzoo.data import load_dataset
from genzoo.data.split_names import split_of
from genzoo.data.tables.csv_file import dialect_of
from genzoo.errors import DataError, MissingDependencyError
from genzoo.spaces import Binary, Label, Real, Unit

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

ROWS = [[1.5, 2.0], [-2.5, 3.0], [0.25, 1.0]]
PLAIN = "a,b,label\n1.5,2,cat\n-2.5,3,dog\n0.25,1,cat\n"


def everything(dataset):
    return dataset.batch(range(len(dataset)))


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, pd.DataFrame):
            text.to_parquet(path)
        else:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def load(folder, text, name="a.csv", **config):
    return load_dataset(str(write(folder, {name: text}) / name), **config)


# How files are written.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", PLAIN),
        ("A.CSV", PLAIN.replace(",", ";")),
        ("a.tsv", PLAIN.replace(",", "\t")),
        ("a.csv", PLAIN.replace(",", " | ")),
        ("a.csv", "\ufeff" + PLAIN.replace("\n", "\r\n")),
        ("a.csv", PLAIN.replace(",", ";").replace(".", ",")),
        ("a.csv", PLAIN.replace(",", " , ").replace("a ,", "# a ,", 1)),
        ("a.csv", PLAIN.replace("a,b,label", '"a","b, or c","Label"')),
        ("a.csv", ",a,b,label\n0,1.5,2,cat\n1,-2.5,3,dog\n2,0.25,1,cat\n"),
        ("a.csv", PLAIN + "\n\n"),
    ],
)
def test_a_table_is_read_however_it_is_written(tmp_path, name, text):
    dataset = load(tmp_path, text, name)
    batch = everything(dataset)
    assert batch["x"].tolist() == ROWS
    assert batch["label"].tolist() == [0, 1, 0]
    assert dataset.info["x"] == Real(shape=(2,))
    assert dataset.info["label"] == Label(num_classes=2, names=("cat", "dog"))
    assert dataset.name == name


def test_what_is_unusual_is_said(tmp_path):
    assert load(tmp_path, PLAIN).notes == ("the column 'label' is the label.",)
    indexed = load(tmp_path, ",a\n0,1.5\n1,-2\n", "i.csv")
    assert indexed.notes == ("the first column has no name and numbers the rows: it is left out.",)
    comma = load(tmp_path, "a;b\n1,5;2\n-1;3\n", "c.csv")
    assert comma.notes == ("commas in numbers are read as decimal points.",)


def test_a_first_line_of_numbers_is_a_row(tmp_path):
    text = "0,1.5,2\n1,-2.5,3\n0,0.25,1\n"
    dataset = load(tmp_path, text, label_column="0")
    assert everything(dataset)["x"].tolist() == ROWS
    assert everything(dataset)["label"].tolist() == [0, 1, 0]
    assert dataset.notes == ("the first line holds numbers, so columns are named 0, 1, ….",)


def test_decimal_commas_are_not_assumed_where_there_are_points():
    assert dialect_of("a;b\n1,5;2.5\n").decimal == "."
    assert dialect_of("a,b\n1,5\n").decimal == "."
    assert dialect_of("1;2\n").header is None


def test_columns_are_chosen(tmp_path):
    text = "a,b,kind,words,name\n1.5,2,u,hello,x\n-2.5,3,,,y\n"
    dataset = load(tmp_path, text, label_column="kind", text_column="words", drop=["name"])
    batch = everything(dataset)
    assert (batch["label"].tolist(), batch["text"]) == ([0, -1], ["hello", ""])
    assert "1 of 2 rows have no kind." in dataset.notes
    unlabelled = load(tmp_path, PLAIN.replace("cat", "0").replace("dog", "1"), label_column="")
    assert unlabelled.info["x"].event_shape == (3,)


def test_pixels_are_levels_once_their_space_is_named(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (9, 16))
    table = pd.DataFrame(values, columns=[f"pixel{i}" for i in range(16)])
    table.insert(0, "label", np.arange(9) % 3)
    text = table.to_csv(index=False)
    with pytest.raises(DataError, match=r"--data.space unit or --data.space categorical"):
        load(tmp_path, text)
    dataset = load(tmp_path, text, space="unit")
    assert dataset.info["x"] == Unit(shape=(16,), levels=256)
    torch.testing.assert_close(everything(dataset)["x"], torch.from_numpy(values / 255).float())
    assert load(tmp_path, "a,b\n0,1\n1,1\n").info["x"] == Binary(shape=(2,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1.5,\n-1,3\n", r"'b' of a.csv has no value in row 0 \(1 of 2 are missing\)"),
        ("a,b\n1.5,NA\n-1,3\n", r"'b' of a.csv holds 'NA' in row 0.*--data.drop b"),
        ("a,b\n1.5,2\n-1,nan\n", r"'b' of a.csv holds 'nan' in row 1"),
        ("a,b\n1.5,2\n-1,?\n", r"'b' of a.csv holds '\?' in row 1.*--data.drop b\)\.$"),
        ("a,b\n1.5,2,9\n-1,3,9\n", "more values than names of columns"),
        ("a,b\n1.5,2\n-1,3,9\n", "Expected 2 fields in line 3, saw 3"),
        ("a,b,c\n1.5,2,3\n-1,3\n", "'c' of a.csv has no value in row 1"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "is empty"),
        ("größe\n1.5\n".encode("latin-1"), "is not text in UTF-8"),
        (bytes(range(256)), "is not text in UTF-8"),
        ('a,b\n"1.5,2\n', "cannot be read as CSV"),
        ("a,label\n1.5,0.5\n", r"'label' of a.csv has 0\.5 in row 0, which is not a label"),
        ("a b\n1 2\n", "'a b' of a.csv holds '1 2' in row 0"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, text)
    assert "a.csv" in str(caught.value)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(DataError, match=r"--data.max-bytes"):
        load(tmp_path, PLAIN, max_bytes=len(PLAIN) - 1)
    zeros = pd.DataFrame({"a": np.zeros(100_000)})
    zeros.to_parquet(tmp_path / "zeros.parquet")
    assert (tmp_path / "zeros.parquet").stat().st_size < 100_000
    with pytest.raises(DataError, match=r"800,000 bytes.*--data.max-bytes 800000"):
        load_dataset(str(tmp_path / "zeros.parquet"), max_bytes=100_000)


def test_a_missing_package_is_answered_with_the_line_that_installs_it(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match=r"pandas.*pip install 'genzoo\[data\]'"):
        load(tmp_path, PLAIN)


# Parquet.


def test_parquet_is_a_table_or_has_rows_of_values(tmp_path):
    table = pd.DataFrame({"a": [1.5, -2.5, 0.25], "b": [2.0, 3, 1], "Class": list("xyx")})
    dataset = load(tmp_path, table, "a.PARQUET")
    assert everything(dataset)["x"].tolist() == ROWS
    assert everything(dataset)["label"].tolist() == [0, 1, 0]
    lists = pd.DataFrame({"pixels": [[0.5, 0.25], [0.0, 0.1]], "label": [1, 0]})
    dataset = load(tmp_path, lists, "lists.parquet")
    torch.testing.assert_close(everything(dataset)["x"], torch.tensor([[0.5, 0.25], [0.0, 0.1]]))
    assert everything(dataset)["label"].tolist() == [1, 0]


@pytest.mark.parametrize("keep", [slice(0, 0), slice(0, 30), slice(0, -9), slice(9, None)])
def test_damaged_parquet_is_a_sentence(tmp_path, keep):
    path = write(tmp_path, {"a.parquet": pd.DataFrame({"a": [1.5]})}) / "a.parquet"
    path.write_bytes(path.read_bytes()[keep])
    with pytest.raises(DataError, match=r"a.parquet' cannot be read as Parquet"):
        load_dataset(str(path))


# Splits.


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("mnist_test", "test"),
        ("VAL", "valid"),
        ("validation-00000-of-00001", "valid"),
        ("trainings", None),
        ("test_of_train", None),
        ("data", None),
    ],
)
def test_names_say_the_split(name, split):
    assert split_of(name) == split


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "test.csv"),
        ("Train.csv", "TESTING.csv"),
        ("mnist_train.csv", "mnist_test.csv"),
        ("training/a.csv", "test/b.csv"),
        ("data/train-00000-of-00001.csv", "data/test-00000-of-00001.csv"),
    ],
)
def test_splits_share_the_space_and_the_classes(tmp_path, names):
    other = "label,a,b\nant,0.5,-1\ndog,3,4\n"
    folder = write(tmp_path / "d", dict(zip(names, (PLAIN, other), strict=True)))
    train, test = (load_dataset(str(folder), split) for split in ("train", "test"))
    assert (len(train), len(test)) == (3, 2)
    assert train.info.fields == test.info.fields
    assert train.info["label"].names == ("ant", "cat", "dog")
    assert everything(test)["label"].tolist() == [0, 2]
    assert everything(test)["x"].tolist() == [[0.5, -1], [3, 4]]
    assert (train.name, test.name) == ("d/train", "d/test")
    assert load_dataset(str(folder), None).name == "d/test"


def test_classes_that_look_like_numbers_in_one_split_are_those_of_the_other(tmp_path):
    files = {"train.csv": "a,label\n1.5,10\n-1,x\n2,2\n", "test.csv": "a,label\n1.5,10\n-1,2\n"}
    folder = write(tmp_path, files)
    assert everything(load_dataset(str(folder), "test"))["label"].tolist() == [1, 0]
    write(folder, {"test.csv": "a,label\n1.5,7\n-1,2\n"})
    test = load_dataset(str(folder), "test")
    assert everything(test)["label"].tolist() == [1, 0]
    assert test.info["label"].names == ("2", "7", "10", "x")


def test_splits_share_the_number_of_classes(tmp_path):
    files = {"train.csv": "a,label\n1.5,4\n-1,0\n", "test.csv": "a,label\n1.5,2\n-1,6\n"}
    folder = write(tmp_path, files)
    for split in ("train", "test"):
        assert load_dataset(str(folder), split).info["label"] == Label(num_classes=7)


def test_pixels_can_be_binarised(tmp_path):
    text = "a,b\n0,255\n200,100\n"
    dataset = load(tmp_path, text, scale=255.0, binarize="threshold")
    assert everything(dataset)["x"].tolist() == [[0, 1], [1, 0]]
    assert load(tmp_path, text, space="unit", binarize="threshold").info["x"] == Binary(shape=(2,))


def test_a_column_of_texts_may_be_meant_as_the_label(tmp_path):
    with pytest.raises(DataError, match=r"Is 'kind' the label\? .*\(--data.label-column kind"):
        load(tmp_path, "a,kind\n1.5,u\n-1,v\n")
    with pytest.raises(DataError, match=r"\(--data.drop 'a b'\)\.$"):
        load(tmp_path, "a b\n1.5\n?\n")
    with pytest.raises(DataError, match=r"--data.drop kind\)\.$"):
        load(tmp_path, "a,kind,label\n1.5,u,0\n-1,v,1\n")


def test_a_test_split_may_lack_the_label_and_have_further_columns(tmp_path):
    folder = write(tmp_path, {"train.csv": PLAIN, "test.csv": "id,b,a\n7,1,0.5\n9,2,-3\n"})
    test = load_dataset(str(folder), "test")
    assert everything(test)["x"].tolist() == [[0.5, 1], [-3, 2]]
    assert "label" not in test.info
    assert test.notes == ("'id' is left out: the first split has no such column.",)


def test_a_split_with_other_columns_or_another_kind_is_refused(tmp_path):
    folder = write(tmp_path, {"train.csv": PLAIN, "test.csv": "a,c\n1.5,2\n"})
    for split in ("train", "test"):  # Before training, not after it.
        with pytest.raises(DataError, match=r"test lacks the columns 'b'"):
            load_dataset(str(folder), split)
    folder = write(tmp_path / "k", {"train.csv": "a\n0.5\n0.25\n", "test.csv": "a\n3.5\n"})
    with pytest.raises(DataError, match=r"row 0 holds 3\.5"):
        load_dataset(str(folder), "test")


def test_files_of_one_split_are_joined_and_others_are_left_out_and_both_is_said(tmp_path):
    folder = write(
        tmp_path,
        {"train/10.csv": "a\n3.5\n", "train/2.csv": "a\n-1\n2.5\n", "notes.csv": "a\n1\n"},
    )
    dataset = load_dataset(str(folder))
    assert everything(dataset)["x"].flatten().tolist() == [-1, 2.5, 3.5]
    assert dataset.notes == (
        "no split has the rows of notes.csv.",
        "the rows are those of 2 files, 2.csv to 10.csv.",
    )
    write(folder, {"train/3.csv": "b\n1\n"})
    with pytest.raises(DataError, match=r"3.csv' has other columns than 2.csv: b"):
        load_dataset(str(folder))


def test_several_tables_without_the_name_of_a_split_are_not_guessed_at(tmp_path):
    folder = write(tmp_path, {"a.csv": PLAIN})
    assert len(load_dataset(str(folder))) == 3
    write(folder, {"b.csv": PLAIN})
    with pytest.raises(DataError, match=r"several tables without the name of a split \(a.csv, b"):
        load_dataset(str(folder))


def test_a_file_by_itself_points_to_the_splits_next_to_it(tmp_path):
    folder = write(tmp_path, {"train.csv": "a\n1.5\n-1\n", "test.csv": "a\n1.5\n"})
    dataset = load_dataset(str(folder / "train.csv"))
    assert dataset.notes == ("test.csv next to it: give the folder to read all splits.",)


# What would be misread.


@pytest.mark.parametrize("index", [[17, 4, 9], [1, 2, 3], [0, 1, 2]])
def test_an_index_that_pandas_wrote_is_left_out_in_any_order(tmp_path, index):
    text = pd.DataFrame(ROWS, columns=["a", "b"], index=index).to_csv()
    assert everything(load(tmp_path, text))["x"].tolist() == ROWS


def test_a_first_column_without_a_name_that_is_not_an_index_is_kept_and_said(tmp_path):
    dataset = load(tmp_path, ",a\n3,1.5\n3,-2\n")
    assert everything(dataset)["x"].tolist() == [[3, 1.5], [3, -2]]
    assert dataset.notes == (
        "the first column has no name. It is not an index, because values repeat.",
    )


@pytest.mark.parametrize("num", [2, 3])
def test_the_names_that_pandas_gives_are_not_a_row(tmp_path, num):
    rows = np.random.default_rng(0).random((4, num)).round(3)
    dataset = load(tmp_path, pd.DataFrame(rows).to_csv(index=False))
    assert everything(dataset)["x"].tolist() == rows.astype(np.float32).tolist()


def test_zero_and_one_may_be_a_row(tmp_path):
    assert len(load(tmp_path, "0,1\n1,1\n0,0\n")) == 3


def test_a_first_line_with_decimals_is_a_row_even_with_a_class(tmp_path):
    text = "5.1,3.5,setosa\n4.9,3.0,virginica\n6,2.5,setosa\n"
    dataset = load(tmp_path, text, label_column="2")
    assert len(dataset) == 3
    assert dataset.info["label"].names == ("setosa", "virginica")
    wavelengths = load(tmp_path, "kind,400.5,401.5\nu,0.2,0.3\nv,0.1,0.2\n", label_column="kind")
    assert len(wavelengths) == 2


def test_two_columns_with_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="two columns with the name 'label'"):
        load(tmp_path, "a,label,label\n1.5,u,v\n2.5,v,u\n")
