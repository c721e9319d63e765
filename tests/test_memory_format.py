"""Channels last: the weights of convolutions lie differently, train alike, and files are equal."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import genzoo
from families_common import rows
from genzoo.errors import CheckpointError
from genzoo.training import loop

SHAPE = (3, 8, 8)
DATA = rows(32, *SHAPE)


def image_vae():
    torch.manual_seed(0)
    event = genzoo.Unit(shape=SHAPE)
    return genzoo.create_model(
        "vae", event=event, latent_dim=2, network="image", hidden_dims=(4, 8)
    )


@pytest.fixture
def states(monkeypatch):
    """The stages that were set up."""
    found, inner = [], loop.set_memory_format

    def keep(state, config):
        inner(state, config)
        found.append(state)

    monkeypatch.setattr(loop, "set_memory_format", keep)
    return found


def fit(model, folder=None, *, resume=False, **config):
    settings = {"max_steps": 6, "batch_size": 8, "progress": False, "sample_steps": 0}
    settings |= {"lr_scheduler": genzoo.Component(name="constant"), "ema_decay": 0.5}
    config = genzoo.TrainerConfig(**settings | config)
    genzoo.Trainer(model, DATA, "elbo", config, output_dir=folder).fit(resume=resume)
    return model


def kernels(model):
    layers = (nn.Conv2d, nn.ConvTranspose2d)
    found = [m.weight for m in model.modules() if isinstance(m, layers)]
    assert len(found) > 3
    return found


def is_channels_last(tensor):
    """Whether it is; some tensors are in both formats."""
    if tensor.is_contiguous():
        return tensor.shape[1] == 1 or tensor.shape[2:].numel() == 1
    return tensor.is_contiguous(memory_format=torch.channels_last)


def test_weights_averages_and_states_lie_channels_last(states, tmp_path):
    for resume, steps in ((False, 3), (True, 6)):
        values = {"max_steps": steps, "channels_last": True, "ema_sigma_rel": (0.1,)}
        model = fit(image_vae(), tmp_path / "run", resume=resume, **values)
        state, kept = states[-1], kernels(model)
        assert all(map(is_channels_last, kept))
        assert all(map(is_channels_last, kernels(state.average.model)))
        averages = state.power_averages.averages[0].values()
        assert all(is_channels_last(t) for t in averages if t.ndim == 4)
        (player,) = state.players.values()
        for weight in kept:
            own = [t for t in player.base.state[weight].values() if t.ndim == 4]
            assert len(own) == 2
            assert all(t.stride() == weight.stride() for t in own)


def test_without_the_flag_nothing_is_laid_out_anew(states):
    model = fit(image_vae())
    assert all(weight.is_contiguous() for weight in kernels(model))


def test_it_trains_the_same_weights_up_to_rounding():
    right, found = fit(image_vae()), fit(image_vae(), channels_last=True)
    start = image_vae().state_dict()
    for name, tensor in right.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)
    moved = [not torch.equal(start[n], t) for n, t in right.named_parameters()]
    assert all(moved)


def test_a_resumed_run_is_bit_equal(tmp_path):
    right = fit(image_vae(), tmp_path / "whole", channels_last=True)
    fit(image_vae(), tmp_path / "parts", channels_last=True, max_steps=3)
    found = fit(image_vae(), tmp_path / "parts", channels_last=True, resume=True)
    for name, tensor in right.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


def test_files_have_the_default_layout(tmp_path):
    model = fit(image_vae(), tmp_path / "run", channels_last=True)
    stored = load_file(tmp_path / "run" / "model.safetensors")
    loaded = genzoo.GenModel.from_pretrained(tmp_path / "run")
    for name, tensor in model.state_dict().items():
        assert stored[name].is_contiguous()
        assert torch.equal(stored[name], tensor), name
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert all(weight.is_contiguous() for weight in kernels(loaded))
    for path in (tmp_path / "run").glob("checkpoints/*/*.safetensors"):
        assert all(tensor.is_contiguous() for tensor in load_file(path).values())


def test_it_cannot_be_switched_when_a_run_is_resumed(tmp_path):
    """It changes rounding, and masks of dropout are drawn in the order of memory."""
    fit(image_vae(), tmp_path / "run", max_steps=3)
    with pytest.raises(CheckpointError, match="channels_last was False, is True"):
        fit(image_vae(), tmp_path / "run", channels_last=True, resume=True)


@pytest.mark.parametrize("network", ["residual", "convolutional"])
def test_all_weights_of_a_gan_are_laid_out(states, network):
    """Also those that spectral normalisation computes others from, and transposed ones."""
    event = genzoo.Unit(shape=SHAPE)
    model = genzoo.create_model("gan", event=event, network=network, hidden_dims=(8,))
    config = genzoo.TrainerConfig(
        max_steps=2, batch_size=8, progress=False, sample_steps=0, channels_last=True
    )
    genzoo.Trainer(model, DATA, "hinge", config).fit()
    inner = {n: p for n, p in states[-1].objective.named_parameters() if p.ndim == 4}
    assert len(inner) > 1
    assert [name for name, p in inner.items() if not is_channels_last(p)] == []


def test_a_model_without_convolutions_is_unchanged():
    data, event = rows(32, 3).round(), genzoo.Binary(shape=(3,))

    def trained(**config):
        torch.manual_seed(0)
        model = genzoo.create_model("vae", event=event, latent_dim=2, hidden_dims=(4,))
        config = genzoo.TrainerConfig(
            max_steps=3, batch_size=8, progress=False, sample_steps=0, **config
        )
        genzoo.Trainer(model, data, "elbo", config).fit()
        return model.state_dict()

    right, found = trained(), trained(channels_last=True)
    assert all(torch.equal(found[name], tensor) for name, tensor in right.items())
