"""NADE: its recursion, training for all orders, and completion of any part."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from genzoo import ConfigError, create_model
from genzoo.plugin import Step
from genzoo_autoregressive import recursion
from small_chains import EVENTS, SPACES, excess, net, numbers_of, probabilities, rows_of


def orderless(**config):
    return net("nade", hidden_dim=5, orderless=True, **config)


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_the_recursion_is_the_definition_and_so_is_its_gradient(activation, share):
    torch.manual_seed(0)
    D, B, E, H, P = 4, 3, 2, 5, 2
    shapes = ((D, B, E), (B, H), (D, E, H), (D, H, P))
    x, a, W, V = (torch.randn(shape).double().requires_grad_() for shape in shapes)
    with torch.no_grad():
        x *= torch.rand(x.shape[:2])[..., None] < share
    found = recursion.outputs(x, a, W, V, activation)
    for i in range(D):
        sums = a + sum(x[j] @ W[j] for j in range(i))
        assert torch.allclose(found[i], getattr(torch, activation)(sums) @ V[i])
    assert torch.autograd.gradcheck(recursion.outputs, (x, a, W, V, activation), fast_mode=True)


def test_few_sums_are_computed_by_one_thread_and_the_number_is_restored(monkeypatch):
    seen, before = [], torch.get_num_threads()
    of = torch.sigmoid
    monkeypatch.setattr(
        torch, "sigmoid", lambda *a, **k: seen.append(torch.get_num_threads()) or of(*a, **k)
    )
    torch.set_num_threads(2)
    try:
        x, a, W, V = (torch.randn(s) for s in ((3, 4, 1), (4, 5), (3, 1, 5), (3, 5, 1)))
        a.requires_grad_()
        recursion.outputs(x, a, W, V, "sigmoid").sum().backward()
        assert torch.get_num_threads() == 2
        assert set(seen) == {1}
        wide = torch.zeros(2**18 + 1, 1)
        recursion.outputs(torch.zeros(1, len(wide), 1), wide, W[:1, :, :1], V[:1, :1], "sigmoid")
        assert seen[-1] == 2
        with pytest.raises(ValueError, match="shorter"):
            recursion.outputs(x, a, W, V[:2], "sigmoid")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_log_p_is_the_sum_of_factors_on_their_own():
    model = net("nade", hidden_dim=5, order="random")
    x = rows_of(model)
    flat, total = x.flatten(1), 0
    for index, place in enumerate(model.order):
        known = model.order[:index]
        h = (model.c + flat[:, known] @ model.W[known, 0]).sigmoid()
        logit = (h @ model.V[place])[:, 0] + model.b[place]
        total = total - F.binary_cross_entropy_with_logits(logit, flat[:, place], reduction="none")
    assert torch.allclose(model.log_prob(x).values, total)


def test_an_ensemble_averages_probabilities_over_orders():
    model = orderless(num_orders=3)
    orders = [chain.order.tolist() for chain in model.chains()]
    assert orders[0] == list(range(6))
    assert len({tuple(order) for order in orders}) == 3
    x = rows_of(model).flatten(1)
    each = [
        model.output.log_prob(chain.parameters(x, None), x).sum(-1).exp()
        for chain in model.chains()
    ]
    assert torch.allclose(probabilities(model), torch.stack(each).mean(0))
    found = model.sample(4000, seed=1, batch_size=4000)
    assert excess(numbers_of(model, found), probabilities(model)) < 4.5


def test_the_loss_for_all_orders_is_the_mean_over_them(generator):
    model = net("nade", "categorical", hidden_dim=4, orderless=True, std=0.5)
    x = rows_of(model)[[50]].flatten(1).expand(20_000, -1)
    orders = torch.tensor(list(itertools.permutations(range(4))))
    chain = model.chains()[0]
    each = []
    for order in orders:
        of_order = type(chain)(model, order)
        each.append(-model.output.log_prob(of_order.parameters(x[:1], None), x[:1]).sum())
    step = Step(index=0, total=1, slot=0, generator=generator)
    with torch.no_grad():
        found = model.training_loss(x, None, step)
    error = (found.mean() - torch.stack(each).mean()) / (found.std() / len(found) ** 0.5)
    assert abs(error.item()) < 4.5


def test_any_part_is_drawn_in_an_order_in_which_the_given_places_come_first(generator):
    model = orderless(order="random", conditions=SPACES)
    given = {"label": 1, "mood": [0.1, 0.2], "text": "a cat"}
    x = rows_of(model)[27].expand(8000, -1, -1, -1).clone()
    masks = torch.tensor([[1, 0, 1, 1, 0, 0], [0, 1, 0, 0, 1, 0]]).bool()
    mask = masks.repeat_interleave(4000, 0).view(x.shape)
    found = model.inpaint(x, mask, generator=generator, condition=given)
    assert torch.equal(found[~mask], x[~mask])
    vectors = model.condition_vectors(model.checked_condition(given, 64))
    rows = rows_of(model).flatten(1)
    for k, hidden in enumerate(masks):
        order = [p for p in model.order if not hidden[p]] + [p for p in model.order if hidden[p]]
        chain = type(model.chains()[0])(model, torch.tensor(order))
        p = model.output.log_prob(chain.parameters(rows, vectors), rows).sum(-1).exp()
        agrees = (rows[:, ~hidden] == x[0].flatten()[~hidden]).all(-1)
        p = torch.where(agrees, p, 0).detach()
        part = found[4000 * k : 4000 * (k + 1)]
        assert excess(numbers_of(model, part), p / p.sum()) < 4.5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_orders": 2}, "a NADE learns one order"),
        ({"event": EVENTS["grey"].__class__(shape=(2**16,), levels=256)}, "at most 268,435,456"),
    ],
)
def test_configs_that_cannot_be_are_refused(config, said):
    with pytest.raises(ConfigError, match=said):
        create_model("nade", **{"event": EVENTS["binary"], **config})
