"""Codes: what probes read from them, and how well they are decoded."""

import math

import pytest
import torch
from threadpoolctl import threadpool_limits

import families
from genzoo import Label, seeds
from genzoo.data import from_array
from genzoo.errors import CapabilityError
from genzoo.evaluation import evaluate
from genzoo.evaluation.metric import codes_of, rows_of
from genzoo.evaluation.probes import LatentProbes, ProbeConfig
from genzoo.evaluation.reconstruction import ReconstructionError
from judges import Replay, case

NAMES = ["knn-accuracy", "linear-accuracy", "knn-accuracy[pixels]", "linear-accuracy[pixels]"]
LABEL = torch.arange(300) % 3


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=seeds.generator(seed))


def labelled(x, label=LABEL):
    return from_array(x, "rows", label=label)


class Coded(Replay):
    """Encodes by a function of the rows that the test gives."""

    function = staticmethod(lambda x: x)

    @property
    def codes(self):
        return self.event

    def draw_codes(self, x, *, condition=None, generator):
        return self.encode(x, condition=condition)

    def encode(self, x, *, condition=None):
        self.asked = x.shape, condition
        return self.function(x)


class Projected(Coded):
    """Encodes by orthonormal columns, and decodes by their transpose."""

    def __init__(self, rows, columns):
        super().__init__(rows)
        self.columns = columns

    def encode(self, x, *, condition=None):
        return x @ self.columns

    def decode(self, z, *, condition=None):
        return z @ self.columns.T


class Conditional(Projected):
    Config = families.LabelledConfig
    condition_spaces = (Label,)

    def encode(self, x, *, condition=None):
        return x - condition["label"][:, None]

    def decode(self, z, *, condition=None):
        return z + condition["label"][:, None]


# Probes.


def test_codes_that_hold_the_label_are_read_and_noise_is_not():
    """Noise is right in a third of 300 rows, within four standard errors."""
    x = noise(300, 3)
    model = Coded(x)
    model.function = lambda rows: torch.nn.functional.one_hot(
        torch.cdist(rows, x).argmin(1) % 3, 3
    ).float()
    found = LatentProbes().compute(case(model, labelled(x)))
    assert list(found) == NAMES
    assert found["knn-accuracy"].value == found["linear-accuracy"].value == 1
    for name in NAMES[2:]:
        assert found[name].value == pytest.approx(1 / 3, abs=4 * (2 / 9 / 300) ** 0.5)


def test_a_linear_probe_reads_planes_and_neighbours_read_rings():
    """Three shells: no plane parts them."""
    direction = torch.nn.functional.normalize(noise(300, 2), dim=1)
    shells = direction * (1 + 3 * LABEL[:, None])
    found = LatentProbes().compute(case(Coded(shells), labelled(shells)))
    assert found["knn-accuracy"].value > 0.95
    assert found["linear-accuracy"].value < 0.7


def test_codes_are_standardised_for_the_linear_probe():
    x = torch.cat([1e-4 * (LABEL[:, None] - 1.0) + 1e-5 * noise(300, 1), 1e3 * noise(300, 1)], 1)
    assert LatentProbes().compute(case(Coded(x), labelled(x)))["linear-accuracy"].value > 0.95


def test_the_linear_probe_is_what_its_loss_says():
    """Two labels, one standardised code: the slope is where λw = −d(mean loss)/dw."""
    x = noise(300, 1) + (LABEL[:300, None] > 0)
    probe = LatentProbes(ProbeConfig(decay=0.3))._probes(375)["linear-accuracy"]
    y = (LABEL > 0).long()
    probe.fit(x.double().numpy(), y.numpy())
    w = torch.from_numpy(probe[-1].coef_[0])
    code = torch.from_numpy(probe[0].transform(x.double().numpy()))
    residual = y - torch.sigmoid(code @ w + float(probe[-1].intercept_[0]))
    assert (code.T @ residual / 300).item() == pytest.approx(0.3 * w.item(), rel=0.01)


def test_rows_are_judged_by_probes_that_did_not_see_them():
    """Every row its own direction: a probe that saw it would know it."""
    found = LatentProbes(ProbeConfig(k=1)).compute(
        case(Coded(torch.eye(300)), labelled(torch.eye(300)))
    )
    assert found["knn-accuracy"].value < 0.5
    assert found["linear-accuracy"].value < 0.5


def test_the_error_is_that_of_a_share_of_the_rows():
    x = noise(300, 3)
    figure = LatentProbes().compute(case(Coded(x), labelled(x)))["knn-accuracy"]
    expected = (figure.value * (1 - figure.value) / 299) ** 0.5
    assert figure.std_error == pytest.approx(expected, rel=1e-6)
    assert (figure.unit, figure.num_samples) == ("share", 300)
    assert figure.provenance == {"dimensions": 3, "folds": 5}


def test_codes_of_any_shape_are_flattened_in_blocks():
    x = noise(300, 3)
    model = Coded(x)
    model.function = lambda rows: rows[:, :, None].expand(-1, -1, 2)
    figure = LatentProbes().compute(case(model, labelled(x)))["knn-accuracy"]
    assert figure.provenance["dimensions"] == 6
    assert model.asked == ((300 % 256, 3), {})


def test_rows_and_conditions_are_on_the_models_device_and_codes_on_the_cpu():
    """The device that has no memory stands for one that has its own."""
    asked = []

    class Elsewhere(Conditional):
        device, dtype = torch.device("meta"), torch.float64

        def encode(self, x, *, condition=None):
            asked.append((x.device.type, x.dtype, condition["label"].device.type, len(x)))
            return torch.zeros(len(x), 2, 3)

    x = noise(300, 1)
    assert codes_of(case(Elsewhere(x, None), labelled(x))).shape == (300, 6)
    assert asked == [("meta", torch.float64, "meta", num) for num in (256, 44)]


def test_a_seed_gives_the_same_folds():
    x = noise(300, 3)

    def value(seed):
        return LatentProbes().compute(case(Coded(x), labelled(x), seed=seed))["knn-accuracy"].value

    assert value(0) == value(0)
    assert len({value(seed) for seed in range(4)}) > 1


def test_the_number_of_threads_decides_nothing():
    """Many rows of a few zeros and ones lie at one distance: which of them vote may not vary."""
    x = (noise(3000, 24) > 0).float()
    data = labelled(x, (x.sum(1).long() + torch.arange(3000)) % 3)
    found = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            figures = LatentProbes(ProbeConfig(max_steps=20)).compute(case(Coded(x), data))
        found.append([figures[name].value for name in NAMES])
    assert found[0] == found[1] == found[2]


def test_one_label_cannot_be_told_and_rare_ones_are_left_out():
    x = noise(300, 3)
    alone = LatentProbes().compute(case(Coded(x), labelled(x, torch.zeros(300).long())))
    assert math.isnan(alone["knn-accuracy"].value)
    assert alone["knn-accuracy"].notes[0].text.startswith("fewer than two labels")
    two = (LABEL > 0).long()
    told = LatentProbes().compute(case(Coded(x), labelled(two[:, None].float() + 0 * x, two)))
    for name in NAMES[2:]:
        assert (told[name].value, told[name].notes) == (1, ())
    for num, judged in ((3, 297), (4, 296), (5, 300)):  # Five folds want five rows.
        rare = LABEL.clone()
        rare[:num] = 7
        found = LatentProbes().compute(case(Coded(x), labelled(x, rare)))["knn-accuracy"]
        assert found.num_samples == judged


def test_a_regression_that_did_not_converge_says_so():
    x = noise(300, 3)
    probes = LatentProbes(ProbeConfig(max_steps=1))
    found = probes.compute(case(Coded(x), labelled(x)))
    assert found["knn-accuracy"].notes == ()
    assert "had not converged; give more max_steps" in found["linear-accuracy"].notes[0].text


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        (Coded, from_array(noise(100, 3), "rows"), "the data have no labels"),
        (Replay, labelled(noise(300, 3)), "the model does not encode"),
        (Coded, labelled(noise(99, 3), LABEL[:99]), "at least 100 rows are needed; there are 99"),
    ],
)
def test_what_probes_need_is_said(model, data, reason):
    assert LatentProbes().unavailable_reason(model(noise(9, 3)), data) == reason


# Reconstructions.


def test_the_error_of_a_projection_is_what_it_leaves_out():
    x = noise(300, 4)
    columns = torch.linalg.qr(noise(4, 2, seed=1)).Q
    figure = ReconstructionError().compute(case(Projected(x, columns), labelled(x)))
    (item,) = figure.items()
    left = ((x - x @ columns @ columns.T) ** 2).mean(1)
    assert item[0] == "reconstruction-error"
    assert item[1].value == pytest.approx(left.mean().item(), rel=1e-5)
    assert item[1].std_error == pytest.approx((left.std() / 300**0.5).item(), rel=1e-5)
    assert (item[1].kind, item[1].unit, item[1].num_samples) == ("exact", "", 300)
    baseline = x.var(0, correction=0).mean().item()
    assert item[1].reference.value == pytest.approx(baseline)
    assert (item[1].reference.kind, item[1].notes) == ("mean row", ())


def test_conditions_of_the_rows_are_given_both_ways():
    x = noise(300, 1) + 5
    found = evaluate(Conditional(x, None), labelled(x), ["reconstruction-error"])
    assert found.figures["reconstruction-error"].value < 1e-10
    batch = rows_of(labelled(x).head(300), torch.arange(3))
    assert batch["label"].tolist() == [0, 1, 2]


def test_data_of_another_shape_are_refused_before_they_are_broadcast():
    x = noise(300, 4)

    class Wrong(Projected):
        def decode(self, z, *, condition=None):
            return z[:, :1]

    with pytest.raises(CapabilityError, match=r"Wrong.decode gave shape \(256, 1\) for rows of"):
        ReconstructionError().compute(case(Wrong(x, torch.eye(4)), labelled(x)))
