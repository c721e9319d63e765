"""`torch.export` traces models with any number of rows, and the graph computes what they do."""

import logging

import pytest
import torch

from genzoo import registry
from genzoo.errors import DataError


class Call(torch.nn.Module):
    """A method of a model as a forward pass."""

    def __init__(self, model, method):
        super().__init__()
        self.model, self.method = model, method

    def forward(self, x, condition):
        return self.method(self.model, x, condition or None)


def decode(model, z, condition):
    return model.decode(z, condition=condition)


def encode(model, x, condition):
    return model.encode(x, condition=condition)


def denoise(model, x, condition):
    """A step of a sampler: x_0 of states at time 3."""
    num = x.shape[0]
    t = torch.full((num,), 3)
    return model.predicted_x_0(x, t, model.signal(condition, num))


@pytest.mark.parametrize(
    ("name", "method", "shape"),
    [
        ("vae", decode, (2,)),
        ("vae", encode, None),
        ("conditional-gan", decode, None),
        ("bigan", encode, None),
        ("rbm", decode, None),
        ("rbm", encode, None),
        pytest.param("ddpm", denoise, None, marks=pytest.mark.full),  # It takes ten seconds.
    ],
)
def test_the_graph_computes_what_the_model_does_for_any_number_of_rows(
    name, method, shape, caplog
):
    # PyTorch describes every step of a trace to a logger, which takes most of the time.
    caplog.set_level(logging.CRITICAL, logger="torch.__trace")
    cls = registry.load("models", name)
    config, batch = cls.example()
    model = cls(config).eval()
    condition = model.conditions_of(batch)
    x = batch["x"].to(model.dtype)
    if method is decode:
        codes = shape or getattr(getattr(model, "codes", None), "event_shape", None)
        x = torch.rand(len(x), *(codes or (config.latent_dim,)))
    # diffusers has another path for batches of 64 and more.
    rows = torch.export.Dim("rows", max=63)
    dynamic = {"x": {0: rows}, "condition": {field: {0: rows} for field in condition}}
    with torch.no_grad():
        program = torch.export.export(
            Call(model, method), (x, condition), dynamic_shapes=dynamic
        ).module()
        for num in (3, len(x)):
            part = {field: values[:num] for field, values in condition.items()}
            expected = method(model, x[:num], part or None)
            assert torch.allclose(program(x[:num], part), expected, atol=1e-6)


def test_outside_of_a_trace_values_are_checked():
    cls = registry.load("models", "vae")
    model = cls(cls.example()[0])
    with pytest.raises(DataError, match=r"NaN|finite"):
        model.decode(torch.full((1, 2), torch.nan), condition={"label": 0})
