"""How many samples our models draw at once: a part of what a seed means, so it stays."""

import pytest

from genzoo import GenModel, create_model, list_models, registry

IMAGE = (1, 28, 28)
VAE_CODES = {"name": "vae", "config": {"event_shape": IMAGE}}
IMAGE_CODES = {"name": "autoencoder-kl", "config": {"event_shape": IMAGE}}
BLOCKS = [
    ("rbm", {"event_shape": IMAGE}, 1024),
    ("rbm", {"event_shape": (16, 16, 16)}, 512),
    ("vae", {"event_shape": IMAGE}, 1024),
    ("vae", {"event_shape": (3, 32, 32)}, 512),
    ("vae", {"event_shape": IMAGE, "network": "image", "hidden_dims": (32, 64)}, 64),
    ("vae", {"event_shape": IMAGE, "network": "image", "hidden_dims": ()}, 1024),
    ("gan", {"event_shape": (2,)}, 1024),
    ("gan", {"event_shape": IMAGE, "network": "convolutional", "hidden_dims": (64, 32)}, 256),
    ("gan", {"event_shape": (3, 32, 32), "network": "residual", "hidden_dims": (64, 32)}, 64),
    ("gan", {"event_shape": (1, 8, 8), "network": "residual", "hidden_dims": ()}, 1024),
    ("bigan", {"event_shape": IMAGE}, 1024),
    ("conditional-gan", {"event_shape": IMAGE, "num_classes": 10}, 1024),
    ("semi-supervised-gan", {"event_shape": IMAGE, "num_classes": 10}, 1024),
    ("cyclegan", {"event_shape": IMAGE, "width": 16}, 128),
    ("classifier", {"image_shape": IMAGE, "num_classes": 10}, 64),
    ("classifier", {"image_shape": IMAGE, "num_classes": 10, "hidden_dims": ()}, 1024),
    ("ddpm", {"event_shape": (2,)}, 1024),
    ("ddpm", {"event_shape": IMAGE, "channels": (16, 32, 56)}, 128),
    ("ddpm", {"event_shape": (3, 32, 32), "channels": (64, 128)}, 32),
    ("latent-ddpm", {"autoencoder": VAE_CODES}, 1024),
    ("latent-ddpm", {"autoencoder": IMAGE_CODES}, 128),
    ("autoencoder-kl", {"event_shape": IMAGE}, 128),
]


@pytest.mark.parametrize(("name", "config", "size"), BLOCKS)
def test_the_default_batch_size_stays_as_it_was_chosen(name, config, size):
    """By benchmarks/sampling_blocks.py; another one would make other samples of every seed."""
    assert create_model(name, **config).default_batch_size == size


def test_the_table_has_every_model_of_ours():
    ours = {name for name in list_models() if _is_ours(name)}
    assert ours <= {name for name, _, _ in BLOCKS}


def test_a_model_that_is_loaded_draws_as_many_at_once(tmp_path):
    model = create_model("ddpm", event_shape=(1, 8, 8), channels=(8, 16))
    model.save_pretrained(tmp_path)
    assert (
        GenModel.from_pretrained(tmp_path).default_batch_size == model.default_batch_size == 1024
    )


def _is_ours(name):
    return registry.load("models", name).__module__.split(".")[0] in {
        "genzoo_boltzmann",
        "genzoo_diffusion",
        "genzoo_gan",
        "genzoo_vae",
    }
