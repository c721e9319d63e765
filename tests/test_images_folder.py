"""Folders of images as people have them: what is read, what is left out, and what is said."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import TwoDomains, load_dataset
from genzoo.errors import DataError


def write(root, *names, value=0, shape=(2, 2)):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(shape, value, np.uint8)).save(path, format="PNG")


def load(root, split="train", **config):
    return load_dataset(str(root), split, **config)


def names_of(dataset, root):
    return [str(path.relative_to(root)) for path in dataset.paths]


def labels_of(dataset):
    return None if dataset.labels() is None else dataset.labels().tolist()


# What is left out


def test_hidden_and_system_entries_are_left_out_and_that_is_said(tmp_path):
    write(tmp_path, "cat/0.png", "dog/0.png")
    write(
        tmp_path, ".git/0.png", "__MACOSX/cat/0.png", "cat/._0.png", "dog/.ipynb_checkpoints/0.png"
    )
    (tmp_path / "cat" / "Thumbs.db").touch()
    dataset = load(tmp_path)
    assert names_of(dataset, tmp_path) == ["cat/0.png", "dog/0.png"]
    assert dataset.info["label"].names == ("cat", "dog")
    (note,) = dataset.notes
    assert note.startswith("5 hidden or system entries are left out (")


def test_other_files_are_left_out_with_their_number_and_endings(tmp_path):
    write(tmp_path, "a.png", "b.PNG")
    for name in ("labels.csv", "more.csv", "README", "photo.heic"):
        (tmp_path / name).touch()
    dataset = load(tmp_path)
    assert names_of(dataset, tmp_path) == ["a.png", "b.PNG"]
    (note,) = dataset.notes
    assert note.startswith("4 files are left out, because of the ending (.csv, ")
    assert ".heic" in note
    assert "no ending" in note


def test_a_folder_of_other_files_says_what_it_holds(tmp_path):
    (tmp_path / "photo.heic").touch()
    with pytest.raises(DataError, match=r"has no images .*1 file is left out.*\(\.heic\)"):
        load(tmp_path)


def test_a_clean_folder_has_no_notes(tmp_path):
    write(tmp_path, "train/cat/0.png", "train/dog/0.png", "test/cat/0.png")
    assert not load(tmp_path).notes
    assert not load(tmp_path, "test").notes


# Links


def test_links_to_folders_are_followed_once_and_a_loop_ends(tmp_path):
    write(tmp_path, "store/0.png", "data/b/0.png")
    data = tmp_path / "data"
    (data / "a").symlink_to(data / "b")
    (data / "c").symlink_to(tmp_path / "store")
    (data / "b" / "loop").symlink_to(data)
    (data / "self").symlink_to(data / "self")
    dataset = load(data)
    assert names_of(dataset, data) == ["b/0.png", "c/0.png"]
    assert dataset.info["label"].names == ("b", "c")
    assert any(note.startswith("2 links are left out") for note in dataset.notes)


def test_splits_may_link_to_one_folder(tmp_path):
    write(tmp_path, "store/0.png", "data/x.txt")
    for name in ("train", "test"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "store")
    assert len(load(tmp_path / "data")) == len(load(tmp_path / "data", "test")) == 1


def test_a_link_to_an_image_that_is_gone_is_an_error(tmp_path):
    write(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"b\.png cannot be read.*No such file"):
        load(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_or_file_that_may_not_be_read_is_an_error(tmp_path):
    write(tmp_path, "a/0.png", "b/0.png")
    for path in (tmp_path / "a", tmp_path / "b/0.png"):
        path.chmod(0)
        with pytest.raises(DataError, match="Permission denied"):
            load(tmp_path)
        path.chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_one_sentence(tmp_path, monkeypatch):
    write(tmp_path, "a/0.png", "b/0.png")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match=r"/b cannot be read: Permission denied\. Check"):
        load(tmp_path)


# Order, classes


def test_files_and_classes_are_in_natural_order(tmp_path):
    write(tmp_path, *(f"class {n}/{i}.png" for n in (10, 2, 1) for i in (10, 9)))
    dataset = load(tmp_path)
    assert dataset.info["label"].names == ("class 1", "class 2", "class 10")
    assert names_of(dataset, tmp_path)[-2:] == ["class 10/9.png", "class 10/10.png"]
    assert labels_of(dataset) == [0, 0, 1, 1, 2, 2]


def test_pictures_in_one_folder_have_no_labels(tmp_path):
    write(tmp_path, "0.png", "1.png")
    assert labels_of(load(tmp_path)) is None
    write(tmp_path / "more", "images/0.png", "images/1.png")
    dataset = load(tmp_path / "more")
    assert labels_of(dataset) is None
    assert dataset.notes == ("All images are in one folder, images, so they have no labels.",)


def test_pictures_outside_of_the_classes_are_said_to_take_the_labels(tmp_path):
    write(tmp_path, "cat/0.png", "dog/0.png", "loose.png")
    dataset = load(tmp_path)
    assert labels_of(dataset) is None
    assert dataset.notes == ("Some images are in no folder of a class, so none has a label.",)


# Splits


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("Train", "Test"), ("train", "test")),
        (("training", "validation", "testing"), ("train", "valid", "test")),
        (("TEST", "VAL", "TRAIN"), ("train", "valid", "test")),
        (("valid", "train"), ("train", "valid")),
    ],
)
def test_splits_have_their_usual_names_in_any_case(tmp_path, names, splits):
    for value, name in enumerate(names):
        write(tmp_path, f"{name}/cat/0.png", f"{name}/dog/0.png", value=10 * value)
    canonical = {"training": "train", "val": "valid", "validation": "valid", "testing": "test"}
    for value, name in enumerate(names):
        split = canonical.get(name.lower(), name.lower())
        dataset = load(tmp_path, split)
        assert dataset.info["label"].names == ("cat", "dog")
        assert (dataset.batch([0])["x"] * 255).unique().tolist() == [10 * value]
    with pytest.raises(DataError, match="has no split"):
        load(tmp_path, "other")
    assert load(tmp_path, None).split == ("test" if "test" in splits else "train")


def test_two_folders_for_one_split_are_refused(tmp_path):
    write(tmp_path, "train/0.png", "val/0.png", "validation/0.png")
    with pytest.raises(DataError, match="two folders for one split, val and validation"):
        load(tmp_path)


def test_images_that_are_in_no_split_are_left_out_and_that_is_said(tmp_path):
    write(tmp_path, "train/0.png", "test/0.png", "extra/0.png", "extra/1.png", "preview.png")
    (tmp_path / "docs").mkdir()
    dataset = load(tmp_path)
    assert len(dataset) == 1
    assert dataset.notes == ("3 images are left out, in no split (extra, preview.png).",)


def test_a_class_with_the_name_of_a_split_is_asked_about(tmp_path):
    write(tmp_path, "bus/0.png", "car/0.png", "train/0.png")
    with pytest.raises(
        DataError, match=r"folder train next to other images \(bus, car\): is it a"
    ):
        load(tmp_path)
    assert load(tmp_path, subfolders="classes").info["label"].names == ("bus", "car", "train")
    assert len(load(tmp_path, subfolders="splits")) == 1
    with pytest.raises(DataError, match="has no folder train, valid or test"):
        load(tmp_path / "bus", subfolders="splits")


# Two domains


def test_train_a_and_train_b_are_two_domains(tmp_path):
    for value, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write(tmp_path, f"{name}/0.png", f"{name}/1.png", value=10 * value)
    write(tmp_path, "trainA/2.png")
    for split, values in (("train", (0, 10)), ("test", (20, 30))):
        both = load(tmp_path, split)
        assert isinstance(both, TwoDomains)
        assert not both.info.aligned
        batch = both.batch([0, 1])
        assert (batch["x"] * 255).unique().tolist() == [values[0]]
        assert (batch["y"] * 255).unique().tolist() == [values[1]]
        assert both.name == f"{tmp_path.name}/{split}A | {tmp_path.name}/{split}B"
    assert len(load(tmp_path).x) == 3


def test_domains_may_differ_in_colour_and_size(tmp_path):
    write(tmp_path, "trainA/0.png")
    Image.new("RGB", (3, 3)).save(tmp_path / "b.png")
    (tmp_path / "trainB").mkdir()
    (tmp_path / "b.png").rename(tmp_path / "trainB/0.png")
    both = load(tmp_path)
    assert both.info["x"].event_shape == (1, 2, 2)
    assert both.info["y"].event_shape == (3, 3, 3)


@pytest.mark.parametrize("names", [("trainA",), ("train", "trainA", "trainB"), ("testB", "train")])
def test_one_domain_without_the_other_is_refused(tmp_path, names):
    write(tmp_path, *(f"{name}/0.png" for name in names))
    with pytest.raises(DataError, match="two domains need both"):
        load(tmp_path)


# Decoded images are kept


def counted(monkeypatch):
    """Return the list of the files that are decoded from now on."""
    from genzoo.data.images import folder

    found, decode = [], folder.decode

    def count(file, *args):
        found.append(file.name)
        return decode(file, *args)

    monkeypatch.setattr(folder, "decode", count)
    return found


def numbered(root, num):
    for i in range(num):
        write(root, f"{i}.png", value=i, shape=(4, 4))
    return root


def test_an_image_is_decoded_once_within_the_budget(tmp_path, monkeypatch):
    dataset, files = load(numbered(tmp_path, 6)), counted(monkeypatch)
    for rows in ([1, 3], [3, 1, 0], torch.arange(6), [5, 5, 2], []):
        found = dataset.batch(rows)["x"]
        right = torch.as_tensor(rows, dtype=torch.float).view(-1, 1, 1, 1)
        assert torch.equal(found, (right / 255).expand(-1, 1, 4, 4))
    assert sorted(files) == [f"{i}.png" for i in range(6)]
    assert not dataset.needs_workers(len(dataset))


@pytest.mark.parametrize(
    ("budget", "kept"), [(0, 0), (15, 0), (16, 1), (47, 2), (96, 6), (999, 6)]
)
def test_no_more_images_are_kept_than_the_budget_allows(tmp_path, monkeypatch, budget, kept):
    dataset, files = load(numbered(tmp_path, 6), cache_bytes=budget), counted(monkeypatch)
    for _ in range(3):
        found = dataset.batch(range(6))["x"]
        assert (found[:, 0, 0, 0] * 255).tolist() == [0, 1, 2, 3, 4, 5]
    assert len(files) == kept + 3 * (6 - kept)
    assert dataset.needs_workers(len(dataset)) == (kept < 6)
    assert dataset.needs_workers(3) == (kept < 3)


def test_an_image_that_occurs_twice_in_a_batch_is_kept_once(tmp_path, monkeypatch):
    dataset = load(numbered(tmp_path, 6), cache_bytes=32)
    dataset.batch([1, 1])
    dataset.batch([0])
    files = counted(monkeypatch)
    assert (dataset.batch([0, 1])["x"][:, 0, 0, 0] * 255).tolist() == [0, 1]
    assert files == []


def test_a_batch_that_is_changed_changes_no_image(tmp_path):
    dataset = load(numbered(tmp_path, 2))
    for _ in range(2):
        batch = dataset.batch([1])["x"]
        assert (batch * 255).unique().tolist() == [1]
        batch.zero_()


def test_a_file_that_has_changed_its_size_is_named(tmp_path):
    dataset = load(numbered(tmp_path, 2))
    write(tmp_path, "1.png", shape=(5, 4))
    with pytest.raises(
        DataError, match=r"1\.png has the shape \(1, 5, 4\), which was \(1, 4, 4\)"
    ):
        dataset.batch([1])


# Splits that are one folder deeper


def test_splits_within_the_folder_of_an_archive_are_pointed_out(tmp_path):
    write(tmp_path, "photos/Train/cat/0.png", "photos/Test/cat/0.png", "__MACOSX/photos/0.png")
    with pytest.raises(
        DataError, match=r"splits Test and Train one folder deeper.*Give '.*photos'"
    ):
        load(tmp_path)
    assert len(load(tmp_path / "photos")) == 1
    assert len(load(tmp_path, subfolders="classes")) == 2


def test_splits_within_classes_are_not_read_as_one(tmp_path):
    write(tmp_path, *(f"{kind}/{split}/0.png" for kind in "ab" for split in ("train", "val")))
    with pytest.raises(DataError, match=r"one folder deeper, in a\. Move them up"):
        load(tmp_path)
    write(tmp_path / "one", "a/test/0.png", "b/1.png")  # One such folder may mean anything.
    assert len(load(tmp_path / "one")) == 2
