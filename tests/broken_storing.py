"""Models broken on purpose: what is stored of them, and their samples."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import families
import genzoo
import genzoo.plugin
from breaking import ANY, broken, put, put_with_loss, sampler

# Storage


@broken("check_builds_empty", "other names or shapes", also=("check_save_load", "check_card"))
def another_model_without_memory(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        if self.net.weight.is_meta:
            self.extra = nn.Linear(2, 2)

    put(name, __init__=init)


@broken("check_builds_empty", "table take real memory")
def numpy_buffer(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.register_buffer("table", torch.from_numpy(np.ones((3, 3))), persistent=False)

    put(name, __init__=init)


@broken("check_state_is_registered", "a numpy array in the attribute 'table'")
def numpy_attribute(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.table = np.ones(9)

    put(name, __init__=init)


@broken("check_state_is_registered", "a tensor in the attribute 'scale'")
def tensor_that_is_no_buffer(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.scale = torch.ones(3)

    put(name, __init__=init)


@broken(
    "check_training_keeps_buffers",
    "not saved: seen",
    also=("check_resume_is_exact", "check_processes"),
)
def trained_buffer_that_is_not_saved(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def losses(self, batch, step):
        self.model.seen += 1
        yield genzoo.plugin.Loss(
            self.model.seen.item() * self.model.net(batch["x"]).square().mean()
        )

    put_with_loss(name, losses, __init__=init)


@broken("check_save_load", "samples other values", also=("check_resume_is_exact",))
def state_that_only_the_instance_has(name):
    serial = itertools.count()

    def init(self, config):
        families.Linear.__init__(self, config)
        self.offset = float(next(serial))

    put(name, __init__=init, to_data=lambda self, state: state + self.offset)


@broken("check_card", "limits must be a tuple of texts")
def limits_that_are_one_text(name):
    put(name, limits="It knows nothing.")


# Samples


@broken("check_seed_and_blocks", "The same seed gives other samples", also=ANY)
def sampler_of_the_global_generator(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield model.net(torch.randn(num, *model.event_shape, dtype=model.dtype))

    put(name, default_sampler=sampler(trajectory))


@broken("check_seed_and_blocks", "Another seed gives the same samples")
def sampler_that_ignores_its_seed(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield torch.zeros(num, *model.event_shape, dtype=model.dtype)

    put(name, default_sampler=sampler(trajectory))


@broken("check_samples", "Five samples have shape", also=ANY)
def samples_of_another_shape(name):
    put(name, to_data=lambda self, state: state.flatten())


@broken("check_samples", "not finite", also=ANY)
def samples_that_are_not_finite(name):
    put(name, to_data=lambda self, state: state / 0)


@broken("check_samples", "Samples are not in the model's space")
def binary_samples_that_are_grey(name):
    put(name, families.Autoregressive, to_data=lambda self, state: 0.5 * state)


@broken("check_samples_are_independent", "BatchNorm")
def batch_statistics_in_sampling(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        noise = torch.randn(num, 3, generator=generator, dtype=model.dtype)
        yield F.batch_norm(model.net(noise), None, None, training=True)

    put(name, default_sampler=sampler(trajectory))


@broken(
    "check_sampling_leaves_model",
    "Not bit-equal after sampling",
    also=("check_samples_are_independent", "check_save_load", "check_seed_and_blocks"),
)
def batch_norm_that_learns_in_sampling(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        z = torch.randn(num, 2, generator=generator, dtype=model.dtype)
        yield model.train().decode(z)

    put(name, families.GAN, default_sampler=sampler(trajectory))


@broken("check_trajectory", "yields no state", also=ANY)
def sampler_without_states(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield from ()

    put(name, default_sampler=sampler(trajectory))
