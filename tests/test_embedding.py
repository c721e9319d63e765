"""`embed` gives the codes of a model as an array, whatever the blocks, given conditions too."""

import numpy as np
import pytest
import torch

import families
import genzoo
from genzoo import registry


def conditional():
    cls = registry.load("models", "vae")
    config, batch = cls.example()
    fields = {"x": config.event, "label": config.conditions["label"]}
    data = genzoo.as_dataset({"x": batch["x"], "label": batch["label"]})
    assert data.info.fields.keys() == fields.keys()
    return cls(config).train(), data, batch


def test_it_gives_the_codes_of_each_row_given_its_condition():
    model, data, batch = conditional()
    found = genzoo.embed(model, data, batch_size=5)
    assert (found.shape, found.dtype, model.training) == ((12, 2), np.float32, True)
    expected = model.encode(batch["x"], condition={"label": batch["label"]})
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-6)
    other = model.encode(batch["x"], condition={"label": (batch["label"] + 1) % 3})
    assert not torch.allclose(torch.from_numpy(found), other, atol=1e-3)


def test_what_has_no_codes_or_does_not_fit_is_refused():
    with pytest.raises(genzoo.CapabilityError, match=r"Linear does not encode.*--can encode"):
        genzoo.embed(families.linear(), torch.zeros(2, 3))
    model, data, _ = conditional()
    with pytest.raises(genzoo.DataError, match="needs the field label"):
        genzoo.embed(model, data.select(["x"]))


def test_a_model_is_loaded_first():
    for take in (genzoo.embed, genzoo.evaluate):
        with pytest.raises(genzoo.ConfigError, match="takes a model, got 'runs/a'"):
            take("runs/a", torch.zeros(2, 3))
