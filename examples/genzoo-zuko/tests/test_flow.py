"""The flow passes genzoo's conformance suite, and computes what it says."""

import pytest
import torch
import zuko

import genzoo
from genzoo.testing import conformance


@conformance("flow")
def test_conformance(check):
    check()


def flow(**config):
    """Return a small flow, whose transforms are not near the identity."""
    torch.manual_seed(0)
    model = genzoo.create_model(
        "flow", event=genzoo.Real(shape=(1, 3)), hidden_dims=(8,), **config
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model.double()


@pytest.mark.parametrize("transform", ["maf", "nsf"])
def test_codes_come_back(transform):
    model = flow(transform=transform)
    x = torch.randn(50, 1, 3, dtype=torch.float64)
    torch.testing.assert_close(model.decode(model.encode(x)), x, rtol=1e-6, atol=1e-6)
    assert torch.equal(model.draw_codes(x, generator=torch.Generator()), model.encode(x))


def test_the_density_is_zukos_times_the_scale():
    model, x = flow(), torch.randn(5, 1, 3, dtype=torch.float64)
    model.scale.fill_(2.0)
    expected = model.flow().log_prob(x.flatten(1) / 2) - 3 * torch.log(torch.tensor(2.0))
    torch.testing.assert_close(model.log_prob(x).values, expected)
    assert isinstance(model.flow, zuko.flows.NSF)


def test_the_density_is_that_of_the_change_of_variables():
    """Log p(x) = log N(f(x); 0, I) + log |det ∂f(x)/∂x|, by autograd's Jacobian."""
    model, x = flow(), torch.randn(1, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: model.encode(v[None])[0], x)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(model.encode(x[None])).sum()
    expected = normal + jacobian.reshape(3, 3).det().abs().log()
    torch.testing.assert_close(model.log_prob(x[None]).values[0], expected)


def test_what_is_too_large_is_refused():
    with pytest.raises(genzoo.ConfigError, match="Make the images smaller"):
        genzoo.create_model("flow", event=genzoo.Unit(shape=(3, 256, 256)))


def test_a_density_of_grey_data_is_one_of_any_levels():
    grey = genzoo.load_dataset("digits")
    cls = type(flow())
    config = cls.configure(grey.info, hidden_dims=(8,))
    assert config.event == genzoo.Unit(shape=(1, 8, 8))
    cls(config).check_data(grey.info)


def test_it_learns_a_ring_better_than_one_normal_distribution(tmp_path):
    data = genzoo.load_dataset("ring")
    config = genzoo.TrainerConfig(max_steps=300, batch_size=256, threads=1, progress=False)
    torch.manual_seed(0)
    model = genzoo.create_model("flow", event=data.info["x"])
    genzoo.Trainer(model, data, config=config, output_dir=tmp_path / "run").fit()
    x = genzoo.load_dataset("ring", "test").head(1000)["x"]
    normal = torch.distributions.Normal(x.mean(0), x.std(0)).log_prob(x).sum(1).mean().item()
    loaded = genzoo.GenModel.from_pretrained(tmp_path / "run")
    assert loaded.log_prob(x).mean().value > normal + 0.5
