"""Pictures of the bits of values, as `genzoo explore --view bits` draws them."""

import numpy as np
import pytest
import torch

import genzoo
from genzoo.cli import explore, main


def test_explore_shows_examples_and_below_each_the_bits_of_its_pixels(
    tmp_path, monkeypatch, capsys
):
    torch.manual_seed(0)
    event = genzoo.Binary(shape=(1, 4, 4))
    model, seen = genzoo.create_model("fvsbn", event=event), []
    torch.nn.init.normal_(model.W)
    model.save_pretrained(tmp_path / "net")
    x = (torch.rand(9, 1, 4, 4) < 0.5).to(torch.uint8)
    drawn = explore.titled_rows
    monkeypatch.setattr(
        explore, "titled_rows", lambda x, titles: seen.append((x, titles)) or drawn(x, titles)
    )
    words = ["explore", str(tmp_path / "net"), "--view", "bits", "--num", "5"]
    words += ["--data", str(tmp_path / "x.npy"), "--output", str(tmp_path / "bits.png")]
    np.save(tmp_path / "x.npy", x.numpy())
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    ((pictures, titles),) = seen
    assert titles == ["example", "bits"]
    examples, shown = pictures.chunk(2)
    bits = model.bits(examples)
    torch.testing.assert_close(shown, bits / bits.max())
    said = capsys.readouterr().out
    assert f"from 0 (black) to {bits.max():.2f} (white)" in said
    assert f"{bits.flatten(1).sum(1).mean():.1f} bits an example" in said
    assert (tmp_path / "bits.png").stat().st_size > 0
