"""Gradient reversal against formulas; the objective's gradients, player by player; learning."""

import math

import pytest
import torch
import torch.nn.functional as F

from genzoo import (
    ArrayDataset,
    CapabilityError,
    Component,
    ConfigError,
    DataError,
    DataInfo,
    Label,
    Real,
    Stage,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    load_dataset,
    pair,
)
from genzoo.plugin import Step
from genzoo.testing import run_command
from genzoo_gan.classifier import Classifier, LabelDraw
from genzoo_gan.domain_adversarial import CrossEntropy, DomainAdversarial, DomainAdversarialConfig
from genzoo_gan.features import PooledFeatures
from genzoo_gan.reversal import reverse, rising


def classifier(seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        images = {"x": Unit(shape=(1, 8, 8))}
        given = {"event": Label(num_classes=3), "conditions": images, "hidden_dims": (2,)}
        return create_model("classifier", **{**given, **config}).double()


def classifier_info():
    return DataInfo(fields={"x": Unit(shape=(1, 8, 8)), "label": Label(num_classes=3)})


def objective(model=None, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        given = DomainAdversarialConfig(critic_dims=(4,), **config)
        return DomainAdversarial(model or classifier(), given).double()


def batch(num=6):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(num, 1, 8, 8, generator=generator).double() for _ in range(2))
    return {"x": x, "y": y, "label": torch.arange(num) % 3}


def step(index=5, total=10):
    return Step(index, total, 0, torch.Generator().manual_seed(0))


# Reversal


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_forwards_nothing_changes_and_backwards_the_gradient_turns_round(weight, generator):
    """d/dh f(R(h)) counts as −λ f'(h): of Σ h³, −3 λ h²."""
    h = torch.randn(5, 2, generator=generator, dtype=torch.double, requires_grad=True)
    turned = reverse(h, weight)
    assert torch.equal(turned, h)
    (gradient,) = torch.autograd.grad(turned.pow(3).sum(), h)
    torch.testing.assert_close(gradient, -weight * 3 * h.detach() ** 2)


def test_reversed_twice_is_as_it_was():
    h = torch.ones(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(reverse(reverse(h, 2.0), 0.25).sum(), h)
    torch.testing.assert_close(gradient, torch.full((3,), 0.5))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_the_weight_rises_as_in_the_paper(p):
    assert rising(p) == pytest.approx(2 / (1 + math.exp(-10 * p)) - 1, abs=1e-15)
    assert rising(p, 1000.0) == (0.0 if p == 0 else 1.0)


# The objective


def parts(made, rows):
    """Return the label loss and the domain loss, written out, without a reversal."""
    model, critic = made.model, made.critic
    h_x, h_y = model.features(2 * rows["x"] - 1), model.features(2 * rows["y"] - 1)
    of_labels = F.nll_loss(model.label(h_x).log_softmax(1), rows["label"])
    real, fake = critic(h_x).sigmoid().log(), (1 - critic(h_y).sigmoid()).log()
    return of_labels, -0.5 * (real.mean() + fake.mean())


def test_each_part_follows_its_own_gradient():
    """The features' is ∂L_y − λ ∂L_d, the critic's ∂L_d, the label predictor's ∂L_y."""
    made, rows, now = objective(weight=0.7), batch(), step(3, 10)
    (loss,) = made.losses(rows, now)
    of_labels, of_domains = parts(made, rows)
    torch.testing.assert_close(loss.value, of_labels + of_domains)
    weight = 0.7 * (2 / (1 + math.exp(-10 * 0.3)) - 1)
    assert loss.metrics["reversal"].item() == pytest.approx(weight)

    features, label = list(made.model.features.parameters()), list(made.model.label.parameters())
    critic = list(made.critic.parameters())
    found = torch.autograd.grad(loss.value, [*features, *label, *critic])
    up = torch.autograd.grad(of_labels, [*features, *label], retain_graph=True)
    down = torch.autograd.grad(of_domains, [*features, *critic])
    num = len(features)
    expected = [a - weight * b for a, b in zip(up[:num], down[:num], strict=True)]
    torch.testing.assert_close(list(found), [*expected, *up[num:], *down[num:]])
    assert all(b.abs().max() > 1e-6 for b in down[:num])  # The domains do move the features.


def test_labels_of_the_second_domain_and_rows_without_one_have_no_say():
    made, rows = objective(), batch()
    few = {**rows, "label": torch.tensor([0, 1, -1, -1, -1, -1])}
    (loss,) = made.losses(few, step())
    first = {k: v[:2] for k, v in rows.items()}
    torch.testing.assert_close(loss.metrics["label_loss"], parts(made, first)[0].detach())
    none = {**rows, "label": torch.full((6,), -1)}
    (loss,) = CrossEntropy(classifier()).losses(none, step())
    assert loss.value == 0


def test_without_a_weight_the_model_learns_from_labels_alone():
    model, rows = classifier(), batch()
    (alone,) = CrossEntropy(model).losses(rows, step())
    (other,) = objective(model, weight=0.0).losses(rows, step())
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(alone.value, parameters),
        torch.autograd.grad(other.value, parameters),
    )


def test_features_of_two_domains_are_confused_where_that_costs_nothing():
    """Of noise with labels of chance, grey and dark: the trained critic tells them from features.

    With a reversal it cannot: a loss of log 2 says that it tells nothing. Without one (λ = 0) the
    same critic's loss is near 0.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(512, 1, 8, 8, generator=generator)
    y = 0.5 * torch.rand(512, 1, 8, 8, generator=generator)
    label = torch.randint(3, (512,), generator=generator)

    def last_loss(weight):
        made = objective(weight=weight, steepness=1000.0).float()
        optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
        found = []
        for index in range(1, 300):
            rows = torch.randint(512, (64,), generator=generator)
            both = {"x": x[rows], "y": y[rows], "label": label[rows]}
            (loss,) = made.losses(both, step(index, 300))
            optimizer.zero_grad()
            loss.value.backward()
            optimizer.step()
            found.append(loss.metrics["domain_loss"].item())
        return sum(found[-50:]) / 50

    assert last_loss(0.0) < 0.3
    assert last_loss(1.0) > 0.6


# The classifier


def test_features_have_the_size_that_they_say(generator):
    for sides in ((14, 14), (28, 28), (9, 13)):
        made = PooledFeatures((1, *sides), (3, 4))
        x = torch.rand(5, 1, *sides, generator=generator)
        assert made(x).shape == (5, made.num_features)
        torch.testing.assert_close(made(x)[2:3], made(x[2:3]))  # Each image by itself.


def test_probabilities_sum_to_one_and_labels_are_drawn_from_them():
    """20,000 draws of one image: every share within 4 standard errors."""
    model, x = classifier(), batch()["x"]
    p = model.classify(x)
    torch.testing.assert_close(p.sum(1), torch.ones(6).double())
    num = 20_000
    drawn = model.sample(num, condition=x[0], sampler=LabelDraw(), seed=0, batch_size=num)
    assert (drawn.shape, drawn.dtype) == ((num,), torch.int64)
    model.event.require(drawn, "Classifier")
    for share, expected in zip(drawn.bincount(minlength=3) / num, p[0], strict=True):
        assert abs(share - expected) < 4 * (expected * (1 - expected) / num).sqrt()


def test_digits_are_learned_from_labels_through_the_trainer():
    """Source accuracy of both objectives; chance is .1."""
    data, test = load_dataset("digits"), load_dataset("digits", "test").head(297)
    both = pair(data, 1 - data.head(1500)["x"])
    for name in ("cross-entropy", "domain-adversarial"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = Classifier(Classifier.configure(both.info, hidden_dims=(8, 8)))
        config = TrainerConfig(max_steps=300, batch_size=32, progress=False, threads=1)
        Trainer(model, both, Stage(objective=Component(name=name)), config).fit()
        right = model.classify(test["x"]).argmax(1) == test["label"]
        assert right.double().mean() > 0.8, name


def test_one_domain_is_enough_for_labels_and_a_run_goes_on_without_pictures(tmp_path, capsys):
    line = f"train classifier --data digits --output {tmp_path}/run --trainer.max-steps 2"
    with pytest.raises(SystemExit) as left:
        run_command([*line.split(), "--trainer.sample-steps", "1"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "genzoo evaluate" in said
    assert "genzoo sample" not in said
    with pytest.raises(SystemExit):
        run_command(f"sample {tmp_path}/run --num 3 --output {tmp_path}/a.png".split())
    said = capsys.readouterr().err
    assert "In Python: model.sample(len(x), condition=x)" in said


# Refusals


def test_one_domain_is_refused_with_the_flag_that_names_the_other():
    with pytest.raises(DataError, match="--data-y DATA"):
        next(objective().losses({k: v for k, v in batch().items() if k != "y"}, step()))


def test_data_without_labels_are_refused():
    rows = {k: v for k, v in batch().items() if k != "label"}
    for made in (objective(), CrossEntropy(classifier())):
        with pytest.raises(DataError, match="learns from labels; these data have none"):
            next(made.losses(rows, step()))
    with pytest.raises(DataError, match="these data have none"):
        Classifier.configure(pair(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)).info)


def test_other_models_images_and_more_labels_are_refused():
    with pytest.raises(CapabilityError, match="needs a model that is a Classifier"):
        CrossEntropy(
            create_model("cyclegan", event=Unit(shape=(1, 8, 8)), width=2, num_halvings=0)
        )
    with pytest.raises(DataError, match=r"takes shape \(1, 8, 8\) for each row"):
        classifier().classify(torch.rand(2, 1, 9, 9))
    digits = load_dataset("digits")
    with pytest.raises(DataError, match="have 10 classes, not 3"):
        classifier().check_data(digits.info)
    with pytest.raises(DataError, match=r"have shape \(1, 8, 8\), not \(1, 9, 9\)"):
        classifier(conditions={"x": Unit(shape=(1, 9, 9))}).check_data(digits.info)
    both = pair(digits, torch.rand(5, 1, 9, 9))
    with pytest.raises(DataError, match=r"second domain do not fit: .*--data-y\.size"):
        classifier(event=Label(num_classes=10)).check_data(both.info)


def test_a_classifier_is_given_images_and_nothing_else():
    config = Classifier.configure(load_dataset("digits").info)
    assert config.event.num_classes == 10
    assert config.conditions == {"x": Unit(shape=(1, 8, 8))}
    images = config.conditions["x"]
    for given, said in (
        ({"conditions": {"x": images, "y": images}}, "one entry, the images x, got x, y"),
        ({"conditions": {}}, "one entry, the images x, got none"),
        ({"conditions": {"x": Unit(shape=(64,))}}, "must be images"),
        ({"conditions": {"x": Real(shape=(1, 8, 8))}}, "takes unit conditions"),
        ({"event": images}, "models label data"),
    ):
        with pytest.raises(ConfigError, match=said):
            classifier(**given)


@pytest.mark.parametrize("name", ["cross-entropy", "domain-adversarial"])
def test_rows_without_a_label_are_taken_and_labels_that_there_are_not_are_refused(name):
    x, info = torch.rand(16, 1, 8, 8), classifier_info()
    label = torch.arange(16) % 4 - 1
    config = TrainerConfig(max_steps=2, batch_size=16, progress=False, threads=1)
    stage = Stage(objective=Component(name=name))
    Trainer(classifier(), pair(ArrayDataset(x, info, "rows", label), 1 - x), stage, config).fit()
    label[5] = 3
    with pytest.raises(DataError, match=r"labels from 0 to 2; label 5 is 3\. Number the labels"):
        Trainer(classifier(), pair(ArrayDataset(x, info, "rows", label), 1 - x), stage, config)
