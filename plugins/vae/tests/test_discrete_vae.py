"""The VAE with discrete latents: its priors, its codes, and models as parts of it."""

import pytest
import torch

import genzoo
from enumerable import EVENT, EVERY, made
from genzoo import CapabilityError, ConfigError, Label, Real, create_model
from genzoo.plugin import ModelSpec
from genzoo_vae.posteriors.proposal import Rows
from genzoo_vae.samplers import Prior, PriorConfig


def test_a_prior_that_is_a_model_gives_its_own_probabilities():
    model = made("bits with made")
    codes = model.families[0].states(torch.device("cpu"), torch.float64)
    found = model.log_prior((codes[:, None],), None)[:, 0]
    with torch.no_grad():
        torch.testing.assert_close(found, model.prior_model.log_prob(codes).values)
    assert found.exp().sum().item() == pytest.approx(1)


def test_a_prior_takes_its_event_from_the_codes():
    for num, space in ((2, genzoo.Binary), (3, genzoo.Categorical)):
        model = create_model(
            "discrete-vae",
            event=EVENT,
            latent_dim=3,
            num_categories=num,
            hidden_dims=(4,),
            prior={"name": "transformer"},
        )
        assert isinstance(model.prior_model.event, space)
        assert model.prior_model.event == model.codes


def test_priors_that_cannot_serve_are_refused():
    with pytest.raises(ConfigError, match="needs an exact likelihood, which vae does not have"):
        create_model("discrete-vae", event=EVENT, latent_dim=3, prior={"name": "vae"})
    wrong = {"name": "made", "config": create_model("made", event=EVENT).config.to_dict()}
    with pytest.raises(ConfigError, match="The prior made is a model of"):
        create_model("discrete-vae", event=EVENT, latent_dim=3, prior=wrong)


def test_codes_are_categories_and_embeddings_one_hot_vectors():
    model = made("categories").float()
    x = EVERY.float()
    modes = model.encode(x)
    assert modes.dtype == torch.int64
    p = model.families[0].mean(model.inferred(x))
    assert torch.equal(modes, p.argmax(-1))
    vectors = torch.from_numpy(genzoo.embed(model, x))
    assert vectors.shape == (16, 6)
    assert torch.equal(vectors.view(16, 2, 3).argmax(-1), modes)
    assert torch.equal(vectors.view(16, 2, 3).sum(-1), torch.ones(16, 2))


@pytest.mark.parametrize("name", ["bits", "categories"])
def test_filters_are_differences_of_means(name):
    model = made(name)
    family = model.families[0]
    mean, found = family.mean(model.prior_logits.detach()), model.filters()
    if name == "bits":
        on, off = mean.clone(), mean.clone()
        on[1], off[1] = 1.0, 0.0
        at = 1
    else:
        on, off = mean.clone(), mean
        on[1] = torch.tensor([0.0, 0.0, 1.0])
        at = 5  # Place 1, category 2.
    wanted = model.mean_below(on[None], None) - model.mean_below(off[None], None)
    torch.testing.assert_close(found[at], wanted[0])
    assert len(found) == (3 if name == "bits" else 6)


def test_a_temperature_of_discrete_codes_is_refused():
    with pytest.raises(CapabilityError, match=r"got 0\.5; those of DiscreteVAE are Bernoulli"):
        made("bits").sample(1, seed=0, sampler=Prior(PriorConfig(temperature=0.5)))


DECODERS = {"pixelcnn": {"hidden_channels": 4, "num_layers": 2}, "made": {"hidden_dims": (8,)}}


@pytest.mark.parametrize("decoder", sorted(DECODERS))
@pytest.mark.parametrize("name", ["vae", "discrete-vae"])
def test_a_model_can_be_the_decoder(name, decoder):
    """p(x | z) sums to one over all x, follows z, and has a gradient by z."""
    spec = {"name": decoder, "config": DECODERS[decoder]}
    torch.manual_seed(0)
    model = create_model(name, event=EVENT, latent_dim=2, hidden_dims=(4,), decoder=spec).double()
    for parameter in model.parameters():
        parameter.data.normal_()
    z = torch.tensor([[0.0, 1.0], [1.0, 1.0]]).double().requires_grad_()
    log_p = torch.stack(
        [model.log_likelihood(Rows(EVERY), each.expand(1, 16, 2))[0] for each in z]
    )
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(2).double())
    assert (log_p[0] - log_p[1]).abs().max() > 1e-3
    (grad,) = torch.autograd.grad(log_p[:, 3].sum(), z)
    assert grad.abs().min() > 1e-6
    assert model.sample(3, seed=0).shape == (3, 1, 2, 2)
    assert torch.equal(model.decode(z.detach()), model.decode(z.detach()))


def test_draws_of_a_decoder_that_is_a_model_are_given_the_code():
    """χ² of 10,000 draws given each of two codes over 16 states is below 37.7, its 99.9 %
    quantile."""
    spec = {"name": "made", "config": DECODERS["made"]}
    torch.manual_seed(0)
    model = create_model("discrete-vae", event=EVENT, latent_dim=2, decoder=spec).double()
    for parameter in model.parameters():
        parameter.data.normal_()
    for code in ([0.0, 1.0], [1.0, 0.0]):
        z = torch.tensor([code]).double()
        p = model.log_likelihood(Rows(EVERY), z.expand(1, 16, 2))[0].detach().exp()
        with torch.no_grad():
            x, _ = model.draw_below(z.expand(10_000, 2), None, torch.Generator().manual_seed(0))
        counts = torch.stack([(x == state).flatten(1).all(1).sum() for state in EVERY]).double()
        expected = 10_000 * p
        assert ((counts - expected) ** 2 / expected).sum() < 37.7


def test_each_draw_of_a_code_is_compared_with_its_own_row():
    spec = {"name": "made", "config": DECODERS["made"]}
    model = create_model("discrete-vae", event=EVENT, latent_dim=2, decoder=spec).double()
    z = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]).double()[:, None].expand(3, 2, 2)
    both = model.log_likelihood(Rows(EVERY[[3, 5]]), z)
    for i, row in enumerate((3, 5)):
        alone = model.log_likelihood(Rows(EVERY[[row]]), z[:, :1])
        torch.testing.assert_close(both[:, i], alone[:, 0])


def test_filters_need_a_mean_which_a_decoder_that_is_a_model_does_not_have():
    """Its draws have noise, so their differences would be of noise."""
    spec = {"name": "made", "config": DECODERS["made"]}
    model = create_model("discrete-vae", event=EVENT, latent_dim=2, decoder=spec)
    with pytest.raises(CapabilityError, match=r"the decoder made does not have\. Use --view"):
        model.filters()


def test_conditions_reach_a_decoder_that_is_a_model():
    model = create_model(
        "vae",
        event=EVENT,
        latent_dim=2,
        hidden_dims=(4,),
        decoder={"name": "made"},
        conditions={"label": Label(num_classes=3)},
    )
    assert model.config.decoder.config["conditions"]["z"]["config"]["shape"] == [5]
    assert model.sample(2, seed=0, condition=1).shape == (2, 1, 2, 2)
    for parameter in model.parameters():
        parameter.data.normal_()
    z = torch.zeros(1, 16, 2)
    log_p = [model.log_likelihood(Rows(EVERY.float(), model.checked(c, 16)), z) for c in (0, 1)]
    assert (log_p[0] - log_p[1]).abs().max() > 0.01


def test_decoders_that_cannot_serve_are_refused():
    with pytest.raises(ConfigError, match="needs an exact likelihood, which vae does not have"):
        create_model("vae", event=EVENT, latent_dim=2, decoder=ModelSpec(name="vae"))
    other = create_model("made", event=EVENT).config.to_dict()
    with pytest.raises(ConfigError, match=r"given nothing; it must be one of .* given z, a"):
        create_model("vae", event=EVENT, decoder=ModelSpec(name="made", config=other))


def test_a_decoder_that_is_a_model_of_values_without_levels_has_a_density(monkeypatch):
    model = create_model("vae", event=EVENT, latent_dim=2, decoder={"name": "made"})
    assert model.is_mass
    monkeypatch.setattr(type(model), "event", Real(shape=(1, 2, 2)), raising=False)
    assert not model.is_mass
