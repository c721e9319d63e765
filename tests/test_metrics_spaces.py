"""Figures of data that are not numbers: categories, labels, texts."""

import pytest
import torch

import families
from genzoo import (
    CapabilityError,
    Categorical,
    ConditionError,
    DataInfo,
    Label,
    Text,
    Unit,
    evaluate,
    registry,
    seeds,
)
from genzoo.data import ArrayDataset, load_dataset
from genzoo.evaluation.features import FeatureMetric, default_extractor
from genzoo.evaluation.probes import LatentProbes
from judges import LabelledReplay, Replay, case
from likelihoods import log_prob_of
from test_metrics_codes import Coded

SPACE = Categorical(shape=(1, 8, 8), num_categories=17)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", space="categorical", limit=600)


class Compared(FeatureMetric):
    """A metric on features."""

    def compute(self, case):
        return {}


def test_categories_are_compared_as_zeros_and_ones(digits):
    judged = case(Replay(digits.head(600)["x"], event=SPACE), digits)
    found = Compared().compared(judged)
    expected = torch.nn.functional.one_hot(judged.reference["x"], 17).flatten(1)
    assert torch.equal(found.reference, expected.double())
    assert found.provenance["dimensions"] == 64 * 17
    assert judged.samples.dtype == torch.int64


def test_samples_of_categories_that_are_data_are_as_near_as_data():
    space = Categorical(shape=(4,), num_categories=3)
    x = space.reference(400, seeds.generator(0))[0] // 2 * 2
    data = ArrayDataset(x, DataInfo(fields={"x": space}), "zeros and twos")
    found = evaluate(Replay(x, event=space), data)
    names = {name.partition("[")[0] for name in found.figures}
    assert names >= {"frechet-feature-distance", "two-sample", "precision", "coverage"}
    assert "independent-pixels" not in names
    distance = found.figures["frechet-feature-distance[pixels]"]
    assert distance.value < 5 * distance.reference.value
    noise = Replay(space.reference(400, seeds.generator(1))[0], event=space)
    worse = evaluate(noise, data, ["frechet-feature-distance"]).figures
    assert worse["frechet-feature-distance[pixels]"].value > 10 * distance.value


def test_probes_read_categories_as_zeros_and_ones():
    """The label is whether the category is even, which no plane of its number tells."""
    x = torch.arange(300)[:, None] % 10
    space = Categorical(shape=(1,), num_categories=10)
    info = DataInfo(fields={"x": space, "label": Label(num_classes=2)})
    data = ArrayDataset(x, info, "numbers", x[:, 0] % 2)
    model = Coded(x, event=space)
    model.function = lambda rows: rows.float()
    found = LatentProbes().compute(case(model, data))
    assert found["linear-accuracy"].value < 0.7
    assert found["linear-accuracy[pixels]"].value == 1


def test_texts_have_no_vectors_and_say_so():
    class Told(ArrayDataset):
        def batch(self, indices, generator=None):
            return {"x": [f"text {i}" for i in torch.as_tensor(indices).tolist()]}

    data = Told(torch.zeros(200, 1), DataInfo(fields={"x": Text()}), "texts")
    model = families.linear()
    assert (
        Compared().unavailable_reason(model, data)
        == "it compares vectors, which texts do not have"
    )
    assert default_extractor(Text()) == "pixels"


def test_a_model_of_labels_is_judged_by_its_labels_alone():
    cls = registry.load("models", "classifier")
    data = load_dataset("digits", "test")
    model = cls(cls.configure(data.info))
    found = evaluate(model, data, max_examples=200)
    assert set(found.figures) == {"accuracy"}
    assert (
        found.not_applicable["frechet-feature-distance"] == "it compares x; Classifier draws label"
    )
    with pytest.raises(CapabilityError, match=r"two-sample .*Classifier draws label"):
        evaluate(model, data, ["two-sample"])


def test_levels_add_their_bits_to_a_density_and_categories_have_none():
    """A uniform density on [0, 1] is 0 nats; of each of 17 levels log₂ 17 bits."""

    class Flat(Replay):
        def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
            return log_prob_of(torch.zeros(len(x)), "exact", measure=self.measure)

    data = load_dataset("digits", limit=200)
    model = Flat(data.head(200)["x"], event=Unit(shape=(1, 8, 8)))
    for measure, bits in (("density", 4.087463), ("mass", 0.0)):
        model.measure = measure
        figure = evaluate(model, data, ["log-likelihood"]).figures["bits-per-dimension"]
        assert figure.value == pytest.approx(bits)


def test_rows_without_a_label_are_counted_where_a_model_needs_them():
    rows = families.rows(200, 3)
    info = DataInfo(fields={"x": Unit(shape=(3,)), "label": Label(num_classes=2)})
    label = torch.arange(200) % 2
    label[::4] = -1
    data = ArrayDataset(rows, info, "rows", label)
    model = LabelledReplay(rows, torch.arange(200) % 2)
    with pytest.raises(ConditionError, match=r"needs a label for each row; \d+ of 100 have none"):
        evaluate(model, data, ["frechet-feature-distance"])
