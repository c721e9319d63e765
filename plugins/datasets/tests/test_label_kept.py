"""Labels that translations keep."""

import numpy as np
import pytest
import torch

from genzoo import Component, evaluate, load_dataset, pair
from genzoo.plugin import TwoDomains
from genzoo_datasets import classifier
from genzoo_datasets.label_kept import LabelKept
from test_metrics_translation import aligned, grey, model


def test_labels_are_kept_by_the_identity_and_lost_by_another_row():
    digits = load_dataset("digits", "test")
    x = digits.head(200)["x"]
    shuffled = x[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    judge = classifier.load_classifier("digits-cnn")
    for y in (0.7 * x + 0.3, 0.7 * shuffled + 0.3):
        both = pair(digits, y)
        data = TwoDomains(both.x, both.y, aligned=True)
        found = evaluate(model(1, 8, 8), data, [Component(name="label-kept")]).figures[
            "label-kept"
        ]
        expected = judge.predict(y - 0.3) == judge.predict(x)
        assert found.value == pytest.approx(np.mean(expected.numpy()))
    assert found.value < 0.3
    assert (
        LabelKept()
        .unavailable_reason(model(1, 4, 4), aligned(grey(100), grey(100)))
        .startswith("no classifier comes with genzoo")
    )
