"""Nothing elsewhere is written or removed, whatever links lie in a folder."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

import families
import genzoo
from fitting import DATA
from folders import contents, machine, saved
from genzoo import files
from genzoo.cli import main
from genzoo.errors import GenzooError, LoadError, OutputExistsError
from genzoo.files import atomic_file, open_end, write_text
from genzoo.hub.reference import Reference
from genzoo.pretrained.pulling import pull
from genzoo.training import checkpoint
from hubs import REPOSITORY, put_machine
from test_checkpoint import make

PRECIOUS = b"what somebody needs"


def fit(folder, *, steps, resume=False, overwrite=False, **config):
    config = {"max_steps": steps, "batch_size": 8, "progress": False, "logging_steps": 1, **config}
    trainer = genzoo.Trainer(
        families.linear(),
        DATA,
        config=genzoo.TrainerConfig(**config),
        output_dir=folder,
        overwrite=overwrite,
    )
    return trainer.fit(resume=resume)


@pytest.fixture
def victim(tmp_path):
    """A file elsewhere, and what it must hold at the end."""
    path = tmp_path / "elsewhere" / "victim"
    path.parent.mkdir()
    path.write_bytes(PRECIOUS)
    yield path
    assert path.read_bytes() == PRECIOUS
    assert not path.is_symlink()


@pytest.fixture
def elsewhere(tmp_path):
    """A folder elsewhere with files of the names that a run has, all of which must stay."""
    folder = tmp_path / "of somebody else"
    for name in ("stage-000-step-000000001", "stage-000-step-000000002", "samples.png", "a.json"):
        (folder / name).mkdir(parents=True)
        (folder / name / "precious").write_bytes(PRECIOUS)
    before = contents(folder)
    yield folder
    assert contents(folder) == before
    assert len(list(folder.iterdir())) == 4


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path / "model")


def run(line):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    return left.value.code


def plant(path, victim):
    """Put links in the place of a file, and of the temporary one that was once written first."""
    path.parent.mkdir(exist_ok=True)
    for name in (path.name, f".{path.stem}-{os.getpid()}{path.suffix}"):
        (path.parent / name).symlink_to(victim)


WRITERS = {
    "card": ("model/README.md", "card model --num 0"),
    "a picture of a card": ("model/samples.png", "card model"),
    "report": ("model/report.html", "report model"),
    "a report elsewhere": ("out/r.html", "report model --output out/r.html"),
    "evaluate": (
        "out/e.json",
        "evaluate model --data rows.npz --metrics log-likelihood --json out/e.json",
    ),
    "a picture": ("out/x.png", "sample model --num 4 --output out/x.png"),
    "an array": ("out/x.npz", "sample model --num 4 --output out/x.npz"),
    "a trajectory": ("out/t.png", "sample model --num 4 --output x.png --trajectory out/t.png"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_command_replaces_a_link_and_leaves_what_it_leads_to(
    writer, victim, model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    np.savez("rows.npz", np.random.default_rng(0).integers(0, 2, (20, 1, 2, 3)))
    name, line = WRITERS[writer]
    plant(tmp_path / name, victim)
    code = run(line)
    if writer == "card":  # A card that is a link is not read either, so it is not written anew.
        assert code == 2
        (tmp_path / name).unlink()
        code = run(line)
    assert code == 0
    assert not (tmp_path / name).is_symlink()
    assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_saving_replaces_a_link_and_leaves_what_it_leads_to(name, victim, tmp_path):
    plant(tmp_path / "model" / name, victim)
    saved(tmp_path / "model")
    assert genzoo.GenModel.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "README.md", "extra.png"])
def test_pulling_replaces_a_link_and_leaves_what_it_leads_to(name, victim, hub, tmp_path):
    put_machine(hub, tmp_path)
    hub.put(REPOSITORY, {"README.md": b"# A card\n", "extra.png": b"x"})
    plant(tmp_path / "pulled" / name, victim)
    pull(Reference(REPOSITORY), tmp_path / "pulled", overwrite=True)
    assert not (tmp_path / "pulled" / name).is_symlink()


def test_a_temporary_file_lies_in_a_new_folder_whose_name_cannot_be_foreseen(tmp_path):
    seen = set()
    for _ in range(20):
        with atomic_file(tmp_path / "a.txt") as temporary:
            assert temporary.parent.parent == tmp_path
            assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
            assert list(temporary.parent.iterdir()) == []
            seen.add(temporary.parent.name)
            write_text(temporary, "new")
    assert len(seen) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_written_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "usual").write_text("")
    with atomic_file(tmp_path / "a.txt") as temporary:
        write_text(temporary, "new")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "usual").stat().st_mode
    path = checkpoint.save(make(1), tmp_path / "checkpoints")
    (tmp_path / "folder").mkdir()
    assert path.stat().st_mode == (tmp_path / "folder").stat().st_mode


def test_nothing_that_has_a_name_already_is_written_into(victim, tmp_path):
    (tmp_path / "a.txt").symlink_to(victim)
    for path in (victim, tmp_path / "a.txt"):
        with pytest.raises(FileExistsError):
            write_text(path, "new")
    with pytest.raises(OSError, match="symbolic link"):
        open_end(tmp_path / "a.txt")


def test_what_is_written_at_the_end_of_is_a_plain_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        open_end(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="it is not a plain file"):
        open_end(tmp_path / "pipe")
    os.close(reader)
    for _ in range(2):
        with open_end(tmp_path / "log") as file:
            file.write("line\n")
    assert (tmp_path / "log").read_text() == "line\nline\n"


def test_removing_takes_links_themselves(elsewhere, tmp_path):
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "inner").symlink_to(elsewhere)
    (tmp_path / "file").write_text("")
    for name in ("link", "own", "file", "nothing"):
        files.remove(tmp_path / name)
        assert not os.path.lexists(tmp_path / name)


# Runs


@pytest.mark.parametrize("call", [checkpoint.prune, checkpoint.save])
def test_checkpoints_behind_a_link_are_not_pruned_nor_written(call, elsewhere, tmp_path):
    root = tmp_path / "checkpoints"
    root.symlink_to(elsewhere)
    with pytest.raises(LoadError, match="is a link, to"):
        call(*((root, 2) if call is checkpoint.prune else (make(9), root)))


def test_stale_checkpoints_behind_a_link_stay(elsewhere, tmp_path):
    (tmp_path / "checkpoints").symlink_to(elsewhere)
    with pytest.raises(LoadError, match="is a link, to"):
        checkpoint.load_newest(tmp_path / "checkpoints")


def test_a_checkpoint_that_is_a_link_goes_away_by_itself(elsewhere, tmp_path):
    for step in (1, 2, 3):
        checkpoint.save(make(step), tmp_path)
    oldest = checkpoint.list_checkpoints(tmp_path)[0]
    files.remove(oldest)
    oldest.symlink_to(elsewhere)
    (tmp_path / ".stage-000-step-000000009.writing").symlink_to(elsewhere)
    (tmp_path / "stage-000-step-000000004").symlink_to(elsewhere)
    checkpoint.save(make(4), tmp_path)
    checkpoint.save(make(5), tmp_path)
    checkpoint.remove_stale(tmp_path)
    assert {path.name[-1] for path in checkpoint.list_checkpoints(tmp_path)} == {"4", "5"}
    assert not any(path.is_symlink() for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["checkpoints", "samples", "genzoo"])
def test_a_run_does_not_write_through_a_link(name, elsewhere, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(elsewhere)
    kinds = (OutputExistsError, LoadError)
    with pytest.raises(kinds):
        fit(folder, steps=2, sample_steps=1, save_steps=1)
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("name", ["checkpoints", "samples", "genzoo"])
def test_replacing_a_run_takes_links_themselves(name, elsewhere, tmp_path):
    folder = tmp_path / "run"
    fit(folder, steps=2)
    files.remove(folder / name)
    (folder / name).symlink_to(elsewhere)
    fit(folder, steps=2, overwrite=True)
    assert not (folder / name).is_symlink()


@pytest.mark.parametrize("name", ["checkpoints", "samples"])
def test_going_on_with_a_run_does_not_write_through_a_link(name, elsewhere, tmp_path):
    folder = tmp_path / "run"
    fit(folder, steps=2)
    files.remove(folder / name)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(LoadError, match=f"{name} is a link, to"):
        fit(folder, steps=4, resume=True)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("there", [True, False])
def test_the_log_is_not_cut_nor_made_behind_a_link(resume, there, victim, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    if resume:
        fit(folder, steps=2)
        files.remove(folder / "metrics.jsonl")
    target = victim if there else victim.with_name("new")
    (folder / "metrics.jsonl").symlink_to(target)
    with pytest.raises((OutputExistsError, LoadError)):
        fit(folder, steps=4, resume=resume)
    assert not victim.with_name("new").exists()
    fit(folder, steps=2, overwrite=True)
    assert json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])


def test_a_log_that_is_a_pipe_is_an_error_in_words(tmp_path):
    folder = tmp_path / "run"
    fit(folder, steps=2)
    files.remove(folder / "metrics.jsonl")
    os.mkfifo(folder / "metrics.jsonl")
    with pytest.raises(GenzooError, match=r"metrics.jsonl' cannot be written"):
        fit(folder, steps=2, resume=True)


def test_the_quickstart_does_not_clear_behind_a_link(elsewhere, tmp_path, capsys):
    output = tmp_path / "quickstart"
    output.mkdir()
    (output / "rbm").symlink_to(elsewhere)
    assert run(f"quickstart --fast --output {output}") == 2
    assert "is a link, to" in capsys.readouterr().err


def test_a_model_is_saved_into_a_folder_that_its_user_names_by_a_link(tmp_path):
    """Where to write is the user's own word, and may lead wherever that one wants."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "disk")
    machine().save_pretrained(tmp_path / "model")
    assert (tmp_path / "disk" / "config.json").is_file()
    fit(tmp_path / "model", steps=2, overwrite=True)
    assert Path(tmp_path / "disk" / "checkpoints").is_dir()
