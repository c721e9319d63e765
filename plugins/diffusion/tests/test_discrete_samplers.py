"""Samplers of discrete diffusion: laws by enumeration of the chain, and diffusers' schedulers."""

import itertools
import math

import pytest
import torch

from enumerable_chains import (
    K,
    exact,
    forward_law,
    index_of,
    law_of_chain,
    random_law,
    small,
    states,
)
from genzoo import Binary, Categorical, GenzooError
from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion, DiscreteDiffusionConfig
from genzoo_diffusion.discrete_kernels import Absorbing, Uniform
from genzoo_diffusion.discrete_samplers import (
    ConfidenceConfig,
    ConfidenceUnmasking,
    DiscreteAncestral,
    DiscreteAncestralConfig,
    draw,
)

KERNELS = ("absorbing", "uniform")
NUM = 20_000
CHI2 = 4.5
"""Standard deviations of χ² above its mean; one in 200,000 tests of a right law is above."""


def drawn(model, num=NUM, seed=0, sampler=None, **options):
    sampler = sampler or DiscreteAncestral(DiscreteAncestralConfig(**options))
    return model.sample(num, sampler=sampler, seed=seed, batch_size=num)


def counts(x, num=K):
    return torch.bincount(index_of(x, num), minlength=num ** x.shape[1]).double()


def chi2(x, law, num=K):
    """Return how many standard deviations χ² lies above its mean; cells below 5 are pooled."""
    seen, expected = counts(x, num), law * len(x)
    rare = expected < 5
    if bool(rare.any()):
        seen = torch.cat([seen[~rare], seen[rare].sum()[None]])
        expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    if expected[-1] < 1:  # Nothing is expected there: nothing may be seen.
        assert seen[-1] <= 3
        seen, expected = seen[:-1], expected[:-1]
    df = len(expected) - 1
    return float((((seen - expected) ** 2 / expected).sum() - df) / math.sqrt(2 * df))


def of_data(law, model):
    """Return the probabilities of rows without masks."""
    n = model.kernel.num_states
    return law[index_of(states(K, 3), n)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_samples_have_the_law_of_the_chain(kernel):
    """The sum over all chains, with a network of random logits."""
    model = small(kernel, T=4)
    law = of_data(law_of_chain(model, 4), model)
    assert law.sum() == pytest.approx(1)
    assert chi2(drawn(model), law) < CHI2


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_exact_network_draws_the_data_and_ends_at_the_prior(kernel):
    """One place at a time with masks, else 150 steps, whose error hides in 4,000 draws."""
    model = exact(kernel)
    steps, num = (3, NUM) if kernel == "absorbing" else (150, 4000)
    assert chi2(drawn(model, num, num_inference_steps=steps), random_law()) < CHI2
    at_end = torch.zeros(model.kernel.num_states**3, dtype=torch.float64)
    for p, x in zip(random_law(), states(K, 3), strict=True):
        at_end += p * forward_law(model, x, model.schedule.grid(1)[1])
    if kernel == "absorbing":
        assert at_end[-1] == pytest.approx(1)
    else:
        assert torch.allclose(at_end, torch.full_like(at_end, K**-3.0))


def test_few_steps_of_an_exact_network_draw_another_law_and_corrections_mend_it():
    """Places that are shown at once are independent; masking some again makes them depend."""
    law = torch.zeros(27, dtype=torch.float64)
    law[0] = law[13] = law[26] = 1 / 3  # 000, 111, 222
    model = exact(law=0.97 * law + 0.03 / 27)
    wrong = chi2(drawn(model, num_inference_steps=2), 0.97 * law + 0.03 / 27)
    mended = chi2(drawn(model, num_inference_steps=2, corrector_steps=20), 0.97 * law + 0.03 / 27)
    assert wrong > 100
    assert mended < wrong / 2


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_law_of_a_chain_of_few_steps_is_the_product_of_its_matrices(kernel):
    model = exact(kernel)
    law = of_data(law_of_chain(model, 2), model)
    assert chi2(drawn(model, num_inference_steps=2), law) < CHI2


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_inpainted_has_the_conditional_law(kernel):
    """With masks exactly; the uniform kernel's repeated steps are within .08 of it."""
    model, law = exact(kernel), random_law()
    num = NUM if kernel == "absorbing" else 3000
    x = torch.tensor([[1, 0, 2]]).expand(num, -1)
    mask = torch.tensor([True, False, True])
    generator = torch.Generator().manual_seed(0)
    steps = 64 if kernel == "absorbing" else 25
    found = model.inpaint(x, mask, generator=generator, num_inference_steps=steps)
    assert bool((found[:, 1] == 0).all())
    rows = states(K, 3)
    given = torch.where(rows[:, 1] == 0, law, 0.0)
    given = given / given.sum()
    if kernel == "absorbing":
        assert chi2(found, given) < CHI2
    else:
        assert 0.5 * (counts(found) / num - given).abs().sum() < 0.08


def test_confidence_shows_the_most_probable_draws_first():
    """Without noise, the place whose law is certain comes first, and is never changed."""
    law = torch.zeros(27, dtype=torch.float64)
    rows = states(K, 3)
    law[rows[:, 2] == 1] = 1 / 9
    model = exact(law=law + 1e-9)
    sampler = ConfidenceUnmasking(ConfidenceConfig(num_inference_steps=3, choice_temperature=0.0))
    generator = torch.Generator().manual_seed(0)
    path = list(sampler.trajectory(model, 500, generator=generator))
    assert [int((x == K).sum(1).float().mean().round()) for x in path] == [2, 1, 0]
    assert bool((path[0][:, 2] == 1).all())
    assert bool((path[0][:, :2] == K).all())


def test_confidence_keeps_the_schedule_of_the_paper():
    """cos(π/2 · i/n) of the places stay masked, as many for each row."""
    config = DiscreteDiffusionConfig(
        event=Binary(shape=(1, 4, 4)), network="flat", hidden_dim=4, num_blocks=1
    )
    model = DiscreteDiffusion(config)
    sampler = ConfidenceUnmasking(ConfidenceConfig(num_inference_steps=4))
    path = list(sampler.trajectory(model, 6, generator=torch.Generator().manual_seed(0)))
    left = [(x == 2).flatten(1).sum(1) for x in path]
    want = [int(16 * math.cos(math.pi / 2 * i / 4)) for i in (1, 2, 3)] + [0]
    assert [each.unique().tolist() for each in left] == [[n] for n in want]
    for before, after in itertools.pairwise(path):
        shown = before != 2
        assert bool((after[shown] == before[shown]).all())


def test_confidence_needs_masks():
    sampler = ConfidenceUnmasking(ConfidenceConfig(num_inference_steps=3))
    with pytest.raises(GenzooError, match="absorbing kernel"):
        small("uniform").sample(2, sampler=sampler)


def test_guidance_and_temperature_sharpen_the_law():
    model = exact()
    cold = drawn(model, num_inference_steps=3, temperature=0.2)
    assert counts(cold).max() > counts(drawn(model, num_inference_steps=3)).max()


def test_a_draw_never_has_probability_zero():
    p = torch.tensor([0.0, 0.3, 0.0, 0.7, 0.0]).expand(200_000, -1)
    found = draw(p, torch.Generator().manual_seed(0))
    assert found.unique().tolist() == [1, 3]
    # Six standard deviations.
    assert abs((found == 1).float().mean().item() - 0.3) < 6 * math.sqrt(0.21 / 200_000)


# Texts


def test_no_sample_has_a_letter_after_its_end():
    event = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
    model = small(event=event, T=None)
    for sampler in (
        DiscreteAncestral(DiscreteAncestralConfig(num_inference_steps=2)),
        DiscreteAncestral(DiscreteAncestralConfig(num_inference_steps=2, corrector_steps=1)),
        DiscreteAncestral(DiscreteAncestralConfig(num_inference_steps=4)),
        ConfidenceUnmasking(ConfidenceConfig(num_inference_steps=2)),
    ):
        x = drawn(model, 500, sampler=sampler)
        event.check(x)
        assert len(event.lines(x)) == 500
    uniform = small("uniform", event=event, T=3)
    event.check(drawn(uniform, 500))


# diffusers


def test_ancestral_steps_are_those_of_diffusers_vq_diffusion():
    """Its kernel with masks alone: p(x_{t−1} | x_t) of random predictions, within float32."""
    from diffusers import VQDiffusionScheduler

    T, D = 10, 5
    scheduler = VQDiffusionScheduler(num_vec_classes=K + 1, num_train_timesteps=T)
    # Without uniform replacement: a place is kept with α = 1 − (t + 1) / (T + 1), else masked.
    keep = torch.linspace(1, 0, T + 1, dtype=torch.float64)[1:].clamp(min=1e-9)
    before = torch.cat([torch.ones(1, dtype=torch.float64), keep[:-1]])
    step = keep / before
    tiny = 1e-30
    laws = {
        "log_at": step.log(),
        "log_bt": torch.full_like(step, math.log(tiny)),
        "log_ct": (1 - step).clamp(min=tiny).log(),
        "log_cumprod_at": keep.log(),
        "log_cumprod_bt": torch.full_like(step, math.log(tiny)),
        "log_cumprod_ct": (1 - keep).clamp(min=tiny).log(),
    }
    for name, value in laws.items():
        setattr(scheduler, name, value)
    generator = torch.Generator().manual_seed(0)
    log_p = torch.randn(2, K, D, generator=generator, dtype=torch.float64).log_softmax(1)
    x_t = torch.tensor([[0, K, 2, K, K], [K, K, 1, 1, K]])
    # A place that is shown is known; their kernel would let a network contradict it.
    known = torch.nn.functional.one_hot(x_t, K + 1)[..., :K].mT.double().clamp(min=tiny).log()
    log_p = torch.where((x_t == K)[:, None], log_p, known)
    kernel = Absorbing(K)
    for t in (1, 4, 8):
        theirs = scheduler.q_posterior(log_p, x_t, torch.tensor(t)).exp()
        ours = kernel.reverse(x_t, log_p.exp().mT, before[t], keep[t]).mT
        torch.testing.assert_close(theirs.double(), ours, atol=1e-6, rtol=1e-5)


def test_confidence_is_that_of_diffusers_amused_scheduler():
    """The masked places after each step, without noise."""
    from diffusers import AmusedScheduler

    scheduler = AmusedScheduler(mask_token_id=K, masking_schedule="cosine")
    scheduler.set_timesteps(4, temperature=(0.0, 0.0))
    generator = torch.Generator().manual_seed(0)
    logits = torch.zeros(1, 16, K)
    # Draws are certain, and some are more certain than others.
    logits[0, :, 1] = 12 + torch.randperm(16, generator=generator) / 8
    sample, theirs = torch.full((1, 16), K), []
    for t in scheduler.timesteps:
        sample = scheduler.step(logits, t, sample, generator=generator).prev_sample
        theirs.append(sample.tolist())
    config = DiscreteDiffusionConfig(
        event=Categorical(shape=(16,), num_categories=K), network="flat", hidden_dim=4
    )
    model = DiscreteDiffusion(config)
    model.network = Constant(logits)
    sampler = ConfidenceUnmasking(ConfidenceConfig(num_inference_steps=4, choice_temperature=0.0))
    ours = [x.tolist() for x in sampler.trajectory(model, 1, generator=generator)]
    assert ours == theirs


class Constant(torch.nn.Module):
    """The same logits for each state."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, x_t, t, signal):
        return self.logits.expand(x_t.shape[0], -1, -1)


def test_kernels_move_states_as_they_say():
    """Noise from s to t after noise to s has the law of noise to t; six standard deviations."""
    for kernel in (Absorbing(K), Uniform(K)):
        x = torch.zeros(100_000, dtype=torch.int64)
        generator = torch.Generator().manual_seed(0)
        keep_s, step = torch.tensor(0.8), torch.tensor(0.5)
        twice = kernel.noised(kernel.noised(x, keep_s, generator), step, generator)
        kept = 0.4 if kernel.num_states > K else 0.4 + 0.6 / K
        error = 6 * math.sqrt(kept * (1 - kept) / 100_000)
        assert abs((twice == 0).float().mean().item() - kept) < error
