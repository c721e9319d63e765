"""Models broken on purpose: how they learn, their manners, and their numbers."""

import threading

import torch
import torch.nn.functional as F
from torch import nn

import families
import genzoo
import genzoo.plugin
from breaking import ANY, broken, put, put_with_loss, sampler
from genzoo import registry

# Learning


@broken(
    "check_losses_move_their_player",
    "the move of 'critic' changes",
    also=("check_accumulation", "check_processes"),
)
def loss_that_touches_another_player(name):
    def losses(self, batch, step):
        for loss in families.Game.losses(self, batch, step):
            if loss.player == "critic":
                with torch.no_grad():
                    next(self.model.parameters()).add_(0.01)
            yield loss

    put_with_loss(name, losses, families.Game, families.GAN)


@broken("check_losses_move_their_player", "model.idle", also=ANY)
def parameter_without_a_gradient(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.idle = nn.Parameter(torch.zeros(2))

    put(name, __init__=init)


@broken("check_loss_is_a_mean", "yields a Tensor instead of a Loss: yield Loss(value)", also=ANY)
def loss_that_is_a_tensor(name):
    def losses(self, batch, step):
        yield self.model.net(batch["x"]).square().mean()

    put_with_loss(name, losses)


@broken("check_loss_is_a_mean", "has shape (8,)", also=ANY)
def loss_for_each_row(name):
    def losses(self, batch, step):
        yield genzoo.plugin.Loss(self.model.net(batch["x"]).sum(1))

    put_with_loss(name, losses)


@broken("check_loss_is_a_mean", "'size' is not a detached scalar")
def metric_with_a_gradient(name):
    def losses(self, batch, step):
        value = self.model.net(batch["x"]).square().mean()
        yield genzoo.plugin.Loss(value, metrics={"size": value})

    put_with_loss(name, losses)


@broken("check_loss_is_a_mean", "(3, 3) is given, or one that is not detached", also=ANY)
def handed_gradient_with_a_graph(name):
    def losses(self, batch, step):
        weight, bias = self.model.net.parameters()
        value = self.model.net(batch["x"]).square().mean()
        yield genzoo.plugin.Loss(
            value.detach(), gradients={weight: 2 * weight, bias: 0.1 + 0 * bias}
        )

    put_with_loss(name, losses)


@broken("check_loss_is_a_mean", "Parameters of the player 'model' get no gradient: 1", also=ANY)
def handed_gradient_of_half_the_parameters(name):
    def losses(self, batch, step):
        weight, _ = self.model.net.parameters()
        value = self.model.net(batch["x"]).square().mean().detach()
        yield genzoo.plugin.Loss(value, gradients={weight: 2 * weight.detach()})

    put_with_loss(name, losses)


@broken(
    "check_state_is_registered",
    "set_process_buffer",
    also=("check_resume_is_exact", "check_processes", "check_float64"),
)
def chains_that_are_not_saved(name):
    def losses(self, batch, step):
        chains = getattr(self, "chains", torch.zeros_like(batch["x"]))
        self.chains = 0.5 * chains + batch["x"]
        yield genzoo.plugin.Loss((self.model.net(self.chains) - 1).square().mean())

    put_with_loss(name, losses)


@broken("check_resume_is_exact", "after resuming", also=("check_processes", "check_accumulation"))
def counter_that_is_not_saved(name):
    def losses(self, batch, step):
        self.count = getattr(self, "count", 0) + 1
        yield genzoo.plugin.Loss(self.count * (self.model.net(batch["x"]) - 1).square().mean())

    put_with_loss(name, losses)


@broken("check_processes", "must go by step.slot", also=("check_accumulation",))
def baseline_of_the_rows_before(name):
    def init(self, model, config=None):
        families.LeastSquares.__init__(self, model, config)
        self.register_buffer("baseline", torch.zeros(()))

    def losses(self, batch, step):
        target = 1 + self.baseline
        self.baseline = 0.5 * self.baseline + batch["x"].mean()
        yield genzoo.plugin.Loss((self.model.net(batch["x"]) - target).square().mean())

    made = type("Objective", (families.LeastSquares,), {"__init__": init, "losses": losses})
    registry.register("objectives", name)(made)
    put(name, default_stages=classmethod(lambda cls, config: families.stage(name)))


@broken("check_average_is_published", "averaged weights", also=("check_resume_is_exact",))
def average_that_is_not_taken_over(name):
    def load_state_dict(self, state, strict=True, assign=False):
        kept = state if assign else {**state, "net.bias": self.net.bias.detach().clone()}
        return nn.Module.load_state_dict(self, kept, strict, assign)

    put(name, load_state_dict=load_state_dict)


@broken(
    "check_conditions_in_training",
    "a row with the label -1 ends in RuntimeError (Class values must be non-negative",
)
def null_that_it_says_it_takes(name):
    put(name, families.VAE, takes_null=property(lambda self: True))


# Manners


@broken("check_no_side_effects", "deterministic")
def global_flag(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        torch.use_deterministic_algorithms(True)

    put(name, __init__=init)


@broken("check_no_side_effects", "torch generator", also=("check_seed_and_blocks",))
def global_seed(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        torch.manual_seed(0)
        yield model.net(torch.randn(num, 3, generator=generator, dtype=model.dtype))

    put(name, default_sampler=sampler(trajectory))


@broken("check_no_side_effects", "It prints 'loss 0")
def print_in_training(name):
    def losses(self, batch, step):
        print("loss", step.index)
        yield genzoo.plugin.Loss((self.model.net(batch["x"]) - 1).square().mean())

    put_with_loss(name, losses)


@broken("check_no_side_effects", "running threads")
def thread_that_is_left(name):
    def to_data(self, state):
        LEFT.clear()
        threading.Thread(target=LEFT.wait, name=f"left-{len(THREADS)}", daemon=True).start()
        THREADS.append(name)
        return state

    put(name, to_data=to_data)


LEFT = threading.Event()
THREADS = []


@broken("check_no_side_effects", "Replaced for everybody: torch.nn.functional.relu")
def patched_torch(name):
    original = F.relu

    def init(self, config):
        families.Linear.__init__(self, config)
        F.relu = lambda *given, **options: original(*given, **options)

    put(name, __init__=init)


# Numbers


@broken("check_float64", "RuntimeError")
def float32_whatever_the_model_is(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield model.net(torch.randn(num, 3, generator=generator))

    put(name, default_sampler=sampler(trajectory))


@broken("check_autocast", "RuntimeError")
def loss_that_cannot_be_had_in_bfloat16(name):
    def losses(self, batch, step):
        mixed = self.model.net(batch["x"]).lerp(batch["x"], 0.5)
        yield genzoo.plugin.Loss((mixed - 1).square().mean())

    put_with_loss(name, losses)
