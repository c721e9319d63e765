"""Power-function averages during training, their snapshots, and the mathematics of their sums."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import genzoo
from genzoo.errors import CheckpointError, ConfigError, LoadError
from genzoo.model_files import EMA_FIGURES, is_pushed
from genzoo.training import Callback
from genzoo.training.power_functions import (
    Profiles,
    gamma_of,
    inner_product,
    kept_share,
    sigma_rel_of,
)
from genzoo.training.snapshots import is_due, list_snapshots, write
from test_resume import forget_after, game

LENGTHS = (0.05, 0.1)
TWO = {"ema_sigma_rel": LENGTHS, "ema_snapshots": 6}


def files(folder):
    root = folder / "ema-snapshots"
    return {path.name: path.read_bytes() for path in sorted(root.glob("*"))}


def steps(folder, stage=0):
    return sorted({one.step for one in list_snapshots(folder) if one.stage == stage})


# The mathematics.


@pytest.mark.parametrize("sigma_rel", [0.01, 0.03, 0.05, 0.1, 0.2, 0.28])
def test_length_and_exponent_are_inverse(sigma_rel):
    gamma = gamma_of(sigma_rel)
    assert sigma_rel_of(gamma) == pytest.approx(sigma_rel, rel=1e-12)
    # By definition: the standard deviation of the profile over the updates, for t = 1.
    tau = (np.arange(400_000) + 0.5) / 400_000
    profile = (gamma + 1) * tau**gamma / len(tau)
    mean = (profile * tau).sum()
    assert np.sqrt((profile * (tau - mean) ** 2).sum()) == pytest.approx(sigma_rel, rel=1e-5)


@pytest.mark.parametrize("sigma_rel", [0.0, 0.005, 0.289, 0.5, -1.0])
def test_lengths_that_no_power_function_has_are_refused(sigma_rel):
    with pytest.raises(ConfigError, match=r"sigma_rel must be in \[0.01, 0.28\]"):
        gamma_of(sigma_rel)


@pytest.mark.parametrize("a", [3.0, 40.0, 100.0])
@pytest.mark.parametrize("b", [7.0, 40.0])
@pytest.mark.parametrize(("first", "second"), [(0.05, 0.1), (0.2, 0.2), (0.28, 0.03)])
def test_the_closed_form_is_the_integral(a, b, first, second):
    gamma, delta = gamma_of(first), gamma_of(second)
    end = min(a, b)
    tau = (np.arange(1_000_000) + 0.5) * end / 1_000_000
    one = (gamma + 1) * tau**gamma / a ** (gamma + 1)
    other = (delta + 1) * tau**delta / b ** (delta + 1)
    integral = (one * other).sum() * end / 1_000_000
    assert inner_product(a, gamma, b, delta) == pytest.approx(integral, rel=1e-6)


def test_large_updates_do_not_overflow():
    gamma = gamma_of(0.01)
    expected = 1e-9 * (gamma + 1) ** 2 / (2 * gamma + 1)
    assert inner_product(1e9, gamma, 1e9, gamma) == pytest.approx(expected)


@pytest.mark.parametrize("sigma_rel", [0.03, 0.1, 0.28])
def test_the_recursion_gives_the_weights_of_the_power_function(sigma_rel):
    gamma, t = gamma_of(sigma_rel), 50
    weights = np.zeros(t + 1)
    weights[0] = 1.0  # What was there before the first update.
    for step in range(1, t + 1):
        weights *= kept_share(step, gamma)
        weights[step] += 1 - kept_share(step, gamma)
    i = np.arange(1, t + 1)
    expected = (i ** (gamma + 1) - (i - 1.0) ** (gamma + 1)) / t ** (gamma + 1)
    assert weights[0] == 0.0
    assert weights[1:] == pytest.approx(expected, abs=1e-14)


def fitted(sigma_rel, *, number=50, total=5000):
    at = np.array([step for step in range(1, total + 1) if is_due(step, total, number)], float)
    times = np.concatenate([at, at])
    gammas = np.repeat([gamma_of(one) for one in LENGTHS], len(at))
    return Profiles(times, gammas).fit(float(total), gamma_of(sigma_rel)), times, gammas


@pytest.mark.parametrize("sigma_rel", [0.03, 0.04, 0.07, 0.13, 0.17, 0.20])
@pytest.mark.parametrize("total", [200, 5000, 7777])
def test_fifty_snapshots_of_two_lengths_are_enough(sigma_rel, total):
    found, _, _ = fitted(sigma_rel, total=total)
    assert found.relative_error <= 5e-3


def test_the_relative_error_is_that_of_the_profiles():
    found, times, gammas = fitted(0.25, number=10, total=200)
    tau = (np.arange(200_000) + 0.5) * 200 / 200_000
    profiles = np.where(
        tau <= times[:, None],
        (gammas[:, None] + 1) * (tau / times[:, None]) ** gammas[:, None] / times[:, None],
        0.0,
    )
    gamma = gamma_of(0.25)
    target = (gamma + 1) * (tau / 200) ** gamma / 200
    rest = np.linalg.norm(target - found.weights @ profiles) / np.linalg.norm(target)
    assert found.relative_error == pytest.approx(rest, rel=1e-3)
    # Least squares: what is left is orthogonal to each profile.
    left = profiles @ (target - found.weights @ profiles)
    assert np.abs(left).max() < 1e-4 * np.abs(profiles @ target).max()


# Training.


class Weights(Callback):
    """Keeps the weights after every update, in float64."""

    def __init__(self):
        self.kept = []

    def on_step(self, state, row):
        model = state.model
        self.kept.append({n: p.detach().double().clone() for n, p in model.named_parameters()})


def test_snapshots_are_the_sums_of_all_weights(tmp_path):
    """Against the direct sum; the average that is published does not matter."""
    watching = Weights()
    trainer = game(tmp_path, ema_decay=0.0, **TWO)
    trainer.callbacks.append(watching)
    trainer.fit()
    assert steps(tmp_path) == [2, 4, 6, 8, 10, 12]
    for one in list_snapshots(tmp_path):
        saved, gamma = load_file(one.path), gamma_of(one.sigma_rel)
        i = np.arange(1, one.step + 1)
        weights = (i ** (gamma + 1) - (i - 1.0) ** (gamma + 1)) / one.step ** (gamma + 1)
        pairs = list(zip(weights, watching.kept, strict=False))
        for name in watching.kept[0]:
            direct = sum(weight * kept[name] for weight, kept in pairs)
            assert saved[name].dtype == torch.float32
            assert torch.allclose(saved[name].double(), direct, atol=1e-6)


def test_what_is_published_does_not_change(tmp_path):
    plain = game(tmp_path / "plain").fit().state_dict()
    averaged = game(tmp_path / "averaged", **TWO).fit().state_dict()
    assert all(torch.equal(plain[name], averaged[name]) for name in plain)
    assert not (tmp_path / "plain" / "ema-snapshots").exists()


def test_buffers_are_those_of_the_update(tmp_path):
    trainer = game(tmp_path, ema_decay=0.0, **TWO)
    trainer.fit()
    last = load_file(list_snapshots(tmp_path)[-1].path)
    parameters = dict(trainer.model.named_parameters())
    buffers = {n: t for n, t in trainer.model.state_dict().items() if n not in parameters}
    assert buffers
    assert all(torch.equal(last[name], tensor) for name, tensor in buffers.items())


def test_a_narrow_model_is_averaged_in_float32(tmp_path):
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=6)
    model.to(torch.bfloat16)
    config = genzoo.TrainerConfig(max_steps=4, batch_size=10, threads=1, **TWO)
    data = genzoo.load_dataset("digits", binarize="threshold")
    genzoo.Trainer(model, data, config=config, output_dir=tmp_path).fit()
    saved = load_file(list_snapshots(tmp_path)[-1].path)
    assert {saved[name].dtype for name, _ in model.named_parameters()} == {torch.float32}


@pytest.mark.parametrize(("stop", "written"), [(4, 4), (4, 12), (8, 9)])
def test_resumed_equals_straight_with_its_snapshots(stop, written, tmp_path):
    """Also where the run was killed after snapshots that its checkpoint knows nothing of."""
    straight = game(tmp_path / "straight", **TWO).fit().state_dict()
    expected = files(tmp_path / "straight")
    assert len(expected) == 12
    folder = tmp_path / "stopped"
    game(folder, **TWO).fit()
    forget_after(folder, stop)
    for one in list_snapshots(folder):
        if one.step > written:
            one.path.unlink()
        elif one.step > stop:
            one.path.write_bytes(b"half")
    resumed = game(folder, **TWO).fit(resume=True).state_dict()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert files(folder) == expected


def test_without_the_averages_of_the_checkpoint_it_is_another_run(tmp_path, monkeypatch):
    """What the test above would not notice if averages began anew."""
    from genzoo.training.power_averages import PowerAverages

    game(tmp_path / "straight", **TWO).fit()
    game(tmp_path / "stopped", **TWO).fit()
    forget_after(tmp_path / "stopped", 4)
    monkeypatch.setattr(PowerAverages, "load", lambda *_: None)
    game(tmp_path / "stopped", **TWO).fit(resume=True)
    assert files(tmp_path / "stopped") != files(tmp_path / "straight")


def test_a_run_goes_on_with_more_steps(tmp_path):
    values = {**TWO, "lr_scheduler": "constant"}
    game(tmp_path / "longer", steps=24, **values).fit()
    game(tmp_path / "two", **values).fit()
    (tmp_path / "two" / EMA_FIGURES.name).write_text("{}")
    game(tmp_path / "two", steps=24, **values).fit(resume=True)
    # Those of the first part remain, and their figures: they are of the same run.
    assert steps(tmp_path / "two") == [2, 4, 6, 8, 10, 12, 16, 20, 24]
    assert steps(tmp_path / "longer") == [4, 8, 12, 16, 20, 24]
    assert (tmp_path / "two" / EMA_FIGURES.name).exists()
    longer, two = files(tmp_path / "longer"), files(tmp_path / "two")
    assert all(two[name] == longer[name] for name in longer)


def test_snapshots_of_updates_that_are_made_again_are_removed(tmp_path):
    """With another total they are of another run, so they must not remain among the new ones."""
    game(tmp_path, **TWO).fit()
    (tmp_path / EMA_FIGURES.name).write_text("{}")
    forget_after(tmp_path, 4)
    game(tmp_path, steps=24, **TWO).fit(resume=True)
    assert steps(tmp_path) == [2, 4, 8, 12, 16, 20, 24]
    assert not (tmp_path / EMA_FIGURES.name).exists()


def test_a_new_run_does_not_mix_with_old_snapshots(tmp_path):
    game(tmp_path, **TWO).fit()
    (tmp_path / EMA_FIGURES.name).write_text("{}")
    (tmp_path / "ema").mkdir()
    trainer = game(tmp_path, steps=4)
    trainer.folder = type(trainer.folder)(tmp_path, overwrite=True)
    trainer.fit()
    left = {path.name for path in tmp_path.iterdir()}
    assert not left & {"ema-snapshots", EMA_FIGURES.name, "ema"}


def test_other_lengths_cannot_be_resumed_but_other_numbers_can(tmp_path):
    game(tmp_path, **TWO).fit()
    for lengths in ((0.05, 0.2), None):
        with pytest.raises(CheckpointError, match="ema_sigma_rel"):
            game(tmp_path, steps=16, **{**TWO, "ema_sigma_rel": lengths}).fit(resume=True)
    game(tmp_path, steps=16, **{**TWO, "ema_snapshots": 2}).fit(resume=True)
    assert steps(tmp_path)[-2:] == [12, 16]


def test_the_last_update_has_snapshots_also_after_an_early_stop(tmp_path):
    from test_training_evaluation import PATIENT, log_of, trainer

    trainer(tmp_path, **{**PATIENT, "ema_sigma_rel": LENGTHS, "ema_snapshots": 2}).fit()
    assert steps(tmp_path)[-1] == max(log_of(tmp_path)) < PATIENT["max_steps"]


def test_each_stage_keeps_the_parameters_that_it_trains(tmp_path):
    from test_nested_stages import train, upon

    train(upon(), folder=tmp_path, ema_sigma_rel=LENGTHS, ema_snapshots=2)
    parameters = {name for name, _ in upon().named_parameters()}
    kept = {0: set(), 1: set()}
    for one in list_snapshots(tmp_path):
        names = set(load_file(one.path)) & parameters
        kept[one.stage] |= {name.partition(".")[0] for name in names}
    assert kept == {0: {"inner"}, 1: {"net", "other"}}
    assert steps(tmp_path) == steps(tmp_path, 1) == [2, 3]


def test_a_folder_of_snapshots_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "ema-snapshots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LoadError, match="is a link"):
        game(folder, **TWO).fit()
    with pytest.raises(LoadError, match="is a link"):
        write(folder, 0, 1, [(0.1, {"x": torch.zeros(2)})])
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_cannot_be_kept_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="ema_sigma_rel keeps snapshots in the folder"):
        game(None, **TWO)
    with pytest.raises(ConfigError, match="has a length twice"):
        game(tmp_path, ema_sigma_rel=(0.1, 0.1))
    for wrong in ((), (0.05, 0.06, 0.07, 0.08, 0.09)):
        with pytest.raises(ConfigError, match=r"ema_sigma_rel: give 1 to 4 lengths, got \("):
            game(tmp_path, ema_sigma_rel=wrong)
    for wrong, word in (((0.3,), "shorter"), ((0.1, 0.0), "longer")):
        index = len(wrong) - 1
        message = rf"ema_sigma_rel\[{index}\] must be in .* Give a {word} length, such as 0\.1"
        with pytest.raises(ConfigError, match=message):
            game(tmp_path, ema_sigma_rel=wrong)


def test_they_stay_on_this_machine(tmp_path):
    game(tmp_path, **TWO).fit()
    made = [path.name for path in tmp_path.iterdir() if path.name.startswith("ema")]
    assert made == ["ema-snapshots"]
    assert not any(is_pushed(name) for name in ("ema-snapshots", "ema", "ema.json"))
