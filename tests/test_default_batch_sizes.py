"""How many samples our models draw at once: a part of what a seed means, so it stays."""

import pytest

from genzoo import Binary, GenModel, Label, Real, Unit, create_model, list_models, registry

IMAGE = (1, 28, 28)
UNIT = {"event": Unit(shape=IMAGE)}
LABEL = {"conditions": {"label": Label(num_classes=10)}}
VAE_CODES = {"name": "vae", "config": {"event": Binary(shape=IMAGE).to_dict()}}
IMAGE_CODES = {"name": "autoencoder-kl", "config": {"event": Unit(shape=IMAGE).to_dict()}}
BLOCKS = [
    ("fvsbn", {"event": Binary(shape=IMAGE)}, 1024),
    ("fvsbn", {"event": Unit(shape=IMAGE, levels=256)}, 128),
    ("made", {"event": Binary(shape=IMAGE)}, 1024),
    ("made", {"event": Binary(shape=IMAGE), "hidden_dims": (8000,)}, 256),
    ("nade", {"event": Binary(shape=IMAGE)}, 1024),
    ("pixelcnn", {"event": Binary(shape=IMAGE)}, 128),
    ("pixelcnn", {"event": Binary(shape=IMAGE), "patch_size": 2}, 256),
    ("pixelrnn", {"event": Binary(shape=IMAGE)}, 256),
    ("transformer", {"event": Binary(shape=IMAGE)}, 16),
    ("rbm", {"event": Binary(shape=IMAGE)}, 1024),
    ("rbm", {"event": Binary(shape=(16, 16, 16))}, 512),
    ("boltzmann-machine", {"event": Binary(shape=IMAGE)}, 1024),
    ("conv-rbm", {"event": Binary(shape=IMAGE)}, 64),
    ("dbm", {"event": Binary(shape=IMAGE)}, 1024),
    ("gaussian-rbm", {"event": Real(shape=IMAGE)}, 1024),
    ("dbn", {"event": Binary(shape=IMAGE)}, 1024),
    ("vae", {"event": Binary(shape=IMAGE)}, 1024),
    ("vae", {"event": Binary(shape=(3, 32, 32))}, 512),
    ("vae", {"event": Binary(shape=IMAGE), "network": "image", "hidden_dims": (32, 64)}, 64),
    ("vae", {"event": Binary(shape=IMAGE), "network": "image", "hidden_dims": ()}, 1024),
    ("discrete-vae", {"event": Binary(shape=IMAGE)}, 1024),
    ("sbn", {"event": Binary(shape=IMAGE)}, 1024),
    ("discrete-diffusion", {"event": Binary(shape=IMAGE), "patch_size": 4}, 64),
    ("discrete-diffusion", {"event": Binary(shape=IMAGE), "network": "flat"}, 256),
    ("discrete-diffusion", {"event": Binary(shape=IMAGE), "network": "image"}, 64),
    ("gan", {"event": Real(shape=(2,))}, 1024),
    (
        "gan",
        {"event": Unit(shape=IMAGE), "network": "convolutional", "hidden_dims": (64, 32)},
        256,
    ),
    (
        "gan",
        {"event": Unit(shape=(3, 32, 32)), "network": "residual", "hidden_dims": (64, 32)},
        64,
    ),
    ("gan", {"event": Unit(shape=(1, 8, 8)), "network": "residual", "hidden_dims": ()}, 1024),
    ("bigan", {"event": Unit(shape=IMAGE)}, 1024),
    ("conditional-gan", {**UNIT, **LABEL}, 1024),
    ("semi-supervised-gan", {"event": Unit(shape=IMAGE), "num_classes": 10}, 1024),
    ("cyclegan", {**UNIT, "conditions": {"y": Unit(shape=IMAGE)}, "width": 16}, 128),
    ("classifier", {"event": Label(num_classes=10), "conditions": {"x": Unit(shape=IMAGE)}}, 64),
    (
        "classifier",
        {
            "event": Label(num_classes=10),
            "conditions": {"x": Unit(shape=IMAGE)},
            "hidden_dims": (),
        },
        1024,
    ),
    ("ddpm", {"event": Real(shape=(2,))}, 1024),
    ("ddpm", {"event": Unit(shape=IMAGE), "channels": (16, 32, 56)}, 128),
    ("ddpm", {"event": Unit(shape=(3, 32, 32)), "channels": (64, 128)}, 32),
    ("latent-ddpm", {"autoencoder": VAE_CODES}, 1024),
    ("latent-ddpm", {"autoencoder": IMAGE_CODES}, 128),
    ("autoencoder-kl", {"event": Unit(shape=IMAGE)}, 128),
    ("rectified-flow", {"event": Real(shape=(2,))}, 1024),
    ("rectified-flow", {"event": Unit(shape=IMAGE), "channels": (16, 32, 56)}, 128),
    ("latent-rectified-flow", {"autoencoder": VAE_CODES}, 1024),
    ("latent-rectified-flow", {"autoencoder": IMAGE_CODES}, 128),
]


@pytest.mark.parametrize(("name", "config", "size"), BLOCKS)
def test_the_default_batch_size_stays_as_it_was_chosen(name, config, size):
    """By benchmarks/sampling_blocks.py; another one would make other samples of every seed."""
    assert create_model(name, **config).default_batch_size == size


def test_the_table_has_every_model_of_ours():
    ours = {name for name in list_models() if _is_ours(name)}
    assert ours <= {name for name, _, _ in BLOCKS}


def test_a_model_that_is_loaded_draws_as_many_at_once(tmp_path):
    model = create_model("ddpm", event=Unit(shape=(1, 8, 8)), channels=(8, 16))
    model.save_pretrained(tmp_path)
    assert (
        GenModel.from_pretrained(tmp_path).default_batch_size == model.default_batch_size == 1024
    )


def _is_ours(name):
    return registry.load("models", name).__module__.split(".")[0] in {
        "genzoo_autoregressive",
        "genzoo_boltzmann",
        "genzoo_diffusion",
        "genzoo_gan",
        "genzoo_vae",
    }
