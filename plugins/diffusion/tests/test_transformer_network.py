"""The transformer: against its formulas, what it is told, and what it is at first."""

import pytest
import torch
from torch import nn

from genzoo import ConfigError
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.transformer_network import AdaptiveTransformer

W, HEADS, N, D = 8, 2, 5, 6
TIMES = torch.tensor([3, 700])


def trunk(seed=0, random=True, **given):
    """Return a small network, by default with all parameters at random."""
    sizes = {"width": W, "num_layers": 2, "num_heads": HEADS, "mlp_ratio": 2, "dropout": 0.0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = AdaptiveTransformer(**{**sizes, "num_tokens": N, **given}).double().eval()
        if random:
            for parameter in net.parameters():
                nn.init.normal_(parameter, std=0.5)
    return net


def vectors(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def told(labels=(0, 2), mask=None, seed=2):
    return Signal(labels=torch.tensor(labels), tokens=vectors(2, 4, D, seed=seed), mask=mask)


def norm(h):
    mean, variance = h.mean(-1, keepdim=True), h.var(-1, correction=0, keepdim=True)
    return (h - mean) / (variance + 1e-5).sqrt()


def attention(q, k, v, seen=None):
    """Attention of one row, head by head: (N, W), (L, W), (L, W)."""
    size, found = W // HEADS, []
    for i in range(HEADS):
        part = slice(i * size, (i + 1) * size)
        scores = q[:, part] @ k[:, part].T / size**0.5
        if seen is not None:
            scores = scores[:, seen]
        found.append(scores.softmax(-1) @ (v[:, part] if seen is None else v[seen, part]))
    return torch.cat(found, 1)


def by_formula(net, h, t, signal, row):
    """Return the result of one row, by the formulas of the docstring."""
    c = net.time(t)[row] + net.classes.weight[signal.labels[row]]
    table = (net.table + net.modulation.weight @ (c * c.sigmoid())).view(-1, W)
    h = h[row] + net.pos_embed
    for i, block in enumerate(net.blocks):
        shift, scale, gate, shift_2, scale_2, gate_2 = table[6 * i : 6 * i + 6]
        q, k, v = block.attn.qkv(scale * norm(h) + shift).chunk(3, 1)
        h = h + gate * block.attn.proj(attention(q, k, v))
        cross = block.cross_attn
        k, v = cross.kv(signal.tokens[row]).chunk(2, 1)
        seen = None if signal.mask is None else signal.mask[row]
        h = h + cross.proj(attention(cross.q(norm(h)), k, v, seen))
        inner = block.mlp.fc1(scale_2 * norm(h) + shift_2)
        gelu = inner / 2 * (1 + (inner / 2**0.5).erf())
        h = h + gate_2 * block.mlp.fc2(gelu)
    return table[-1] * norm(h) + table[-2]


MASK = torch.tensor([[True, True, False, False], [False, True, True, True]])


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_it_is_its_formula(mask):
    net, h, signal = trunk(num_classes=3, text_width=D), vectors(2, N, W), told(mask=mask)
    found = net(h, TIMES, signal)
    for row in range(2):
        torch.testing.assert_close(found[row], by_formula(net, h, TIMES, signal, row))


@pytest.mark.parametrize("given", [{}, {"num_classes": 3, "text_width": D}, {"has_time": False}])
def test_at_first_every_block_is_the_identity(given):
    net, h = trunk(random=False, **given), vectors(2, N, W)
    torch.testing.assert_close(net(h, TIMES, told()), norm(h + net.pos_embed))


def test_without_a_time_and_classes_it_has_learned_shifts_and_scales():
    net, h = trunk(has_time=False), vectors(2, N, W)
    assert net.modulation is None
    before = net(h, None, Signal())
    before.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())
    net.table.data[W : 2 * W] *= 2
    assert (net(h, None, Signal()) - before).abs().max() > 1e-3


def test_without_a_time_it_is_told_of_a_class():
    net, h = trunk(has_time=False, num_classes=3), vectors(2, N, W)
    one, other = (net(h, None, Signal(labels=torch.tensor([0, k]))) for k in (1, 2))
    torch.testing.assert_close(one[0], other[0])
    assert (one[1] - other[1]).abs().max() > 1e-3


def test_tokens_and_their_positions_are_permuted_together():
    net, h, order = trunk(), vectors(2, N, W), torch.tensor([3, 0, 4, 1, 2])
    expected = net(h, TIMES, Signal())[:, order]
    assert (net(h[:, order], TIMES, Signal()) - expected).abs().max() > 1e-3
    net.pos_embed.data = net.pos_embed.data[order]
    torch.testing.assert_close(net(h[:, order], TIMES, Signal()), expected)


def test_what_is_masked_is_not_seen():
    net, h, signal = trunk(num_classes=3, text_width=D), vectors(2, N, W), told(mask=MASK)
    seen = net(h, TIMES, signal)
    signal.tokens[~MASK] = 7.0
    torch.testing.assert_close(net(h, TIMES, signal), seen)
    signal.tokens[1, 3] = 7.0
    after = net(h, TIMES, signal)
    torch.testing.assert_close(after[0], seen[0])
    assert (after[1] - seen[1]).abs().max() > 1e-3


def test_a_text_of_which_nothing_is_seen_is_finite():
    net, h = trunk(num_classes=3, text_width=D), vectors(2, N, W)
    found = net(h, TIMES, told(mask=torch.zeros(2, 4, dtype=torch.bool)))
    found.square().sum().backward()
    assert found.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_dropout_leaves_out_parts_in_training_only():
    net, h = trunk(dropout=0.5), vectors(2, N, W)
    assert torch.equal(net(h, TIMES, Signal()), net(h, TIMES, Signal()))
    net.train()
    assert not torch.equal(net(h, TIMES, Signal()), net(h, TIMES, Signal()))
    without = trunk().train()
    assert torch.equal(without(h, TIMES, Signal()), without(h, TIMES, Signal()))


@pytest.mark.parametrize(
    ("t", "signal", "said"),
    [
        (None, told(), "needs the time of each row; t is None"),
        (TIMES, Signal(tokens=told().tokens), "needs a signal with labels"),
        (TIMES, Signal(labels=told().labels), "needs a signal with tokens"),
    ],
)
def test_what_it_is_not_told_of_is_refused(t, signal, said):
    with pytest.raises(ConfigError, match=said):
        trunk(num_classes=3, text_width=D)(vectors(2, N, W), t, signal)


class _Exported(nn.Module):
    """A network whose inputs are tensors."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, h, t, labels, tokens, mask):
        return self.net(h, t, Signal(labels=labels, tokens=tokens, mask=mask))


def test_it_can_be_exported():
    net, signal = trunk(num_classes=3, text_width=D), told(mask=MASK)
    given = (vectors(2, N, W), TIMES, signal.labels, signal.tokens, signal.mask)
    found = torch.export.export(_Exported(net), given).module()(*given)
    torch.testing.assert_close(found, net(given[0], TIMES, signal))
