"""Feature matching: its losses by hand, rows with and without labels, and learning from few."""

import pytest
import torch
import torch.nn.functional as F

from games import example, game, step
from genzoo import Component, DataError, Stage, Trainer, TrainerConfig, create_model, load_dataset
from genzoo_gan.feature_matching import unlabelled


def test_the_classifiers_loss_is_that_of_k_labels_and_one_more():
    """With the logit 0 for "made", D = Z / (Z + 1) and the sum over labels are the K + 1's."""
    model, batch = example("semi-supervised-gan", noise=0.0)
    made = game("feature-matching", model, unlabelled_weight=0.7)
    loss = next(made.losses(batch, step()))
    fake = model.generate(model.latent(12, step().generator))

    def log_p(x):
        logits = model.classifier(x)
        return torch.cat([logits, torch.zeros(len(x), 1).double()], dim=1).log_softmax(1)

    x, label = batch["x"], batch["label"]
    known = label >= 0
    labels = F.cross_entropy(model.classifier(x[known]), label[known])
    real = -torch.log1p(-log_p(x[~known])[:, 3].exp()).mean()
    told = real - log_p(fake)[:, 3].mean()
    torch.testing.assert_close(loss.value, labels + 0.7 * told)
    assert set(loss.metrics) >= {"accuracy", "labels", "score_real", "score_fake"}


def test_the_generators_loss_is_the_distance_of_mean_features():
    model, batch = example("semi-supervised-gan", noise=0.0)
    _, loss = game("feature-matching", model).losses(batch, step())
    generator = step().generator
    _, z = (model.latent(12, generator) for _ in range(2))
    features = model.classifier.features
    without = batch["x"][batch["label"] < 0]
    distance = features(model.generate(z)).mean(0) - features(without).mean(0)
    torch.testing.assert_close(loss.value, distance.square().sum())


def test_where_every_row_has_a_label_all_of_them_are_real():
    assert unlabelled(torch.tensor([0, -1, 2])).tolist() == [False, True, False]
    assert unlabelled(torch.tensor([0, 1, 2])).tolist() == [True] * 3


def test_rows_without_any_label_teach_no_label_and_rows_without_labels_at_all_are_refused():
    model, batch = example("semi-supervised-gan", noise=0.0)
    made = game("feature-matching", model)
    none = {"x": batch["x"], "label": torch.full((12,), -1)}
    assert next(made.losses(none, step())).metrics["labels"] == 0
    with pytest.raises(DataError, match=r"--data\.labelled"):
        next(made.losses({"x": batch["x"]}, step()))


def test_a_few_labels_teach_digits():
    """Fifty labels among 1,500 rows; 7 of 10 test rows are told, where chance is a tenth."""
    data, test = load_dataset("digits", labelled=50), load_dataset("digits", "test").head(297)
    torch.manual_seed(0)
    model = create_model(
        "semi-supervised-gan",
        event=data.info["x"],
        num_classes=10,
        hidden_dims=(64, 64),
        batch_norm=True,
    )
    stage = Stage(
        objective=Component(name="feature-matching", config={"classifier_lr": 1e-3, "lr": 1e-3})
    )
    Trainer(model, data, stage, TrainerConfig(max_steps=400, batch_size=64, progress=False)).fit()
    with torch.no_grad():
        right = model.eval().classify(test["x"]).argmax(1) == test["label"]
    assert right.float().mean() > 0.7
