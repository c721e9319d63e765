"""Pictures of what the layers of a deep model have learned, as `genzoo explore` draws them."""

import pytest
import torch

import genzoo
from genzoo.cli import explore_weights, main


def test_explore_draws_filters_and_fantasies_by_layer(tmp_path, monkeypatch, capsys):
    event = genzoo.Binary(shape=(1, 2, 2))
    model, seen = genzoo.create_model("dbm", event=event, hidden_dims=(3, 2, 2)), []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter.normal_()
    model.save_pretrained(tmp_path / "dbm")
    drawn = explore_weights.titled_rows
    monkeypatch.setattr(
        explore_weights,
        "titled_rows",
        lambda x, titles: seen.append((x, titles)) or drawn(x, titles),
    )

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([*words])
        assert not ended.value.code
        return capsys.readouterr().out

    folder, file = str(tmp_path / "dbm"), str(tmp_path / "x.png")
    assert f"explore {folder} --view codes | filters | fantasies" in run("inspect", folder)
    out = run("explore", folder, "--view", "filters", "--output", file)
    assert "3 of 3 of layer 1, 2 of 2 of layer 2, 2 of 2 of layer 3" in out
    ((x, titles),) = seen
    assert titles == ["layer 1", "", "layer 2", "layer 3"]  # Two columns: a square at most.
    wanted = model.receptive_fields(3)[1]
    torch.testing.assert_close(x[-1], 0.5 + 0.5 * wanted / wanted.abs().max())
    assert (x[3] == 0.5).all()  # Nothing, to fill the row.
    run("explore", folder, "--view", "fantasies", "--num", "5", "--output", file)
    x, titles = seen[1]
    assert titles == ["sample", "layer 1", "layer 2", "layer 3"]
    generator = torch.Generator().manual_seed(0)
    torch.testing.assert_close(x, torch.cat(model.fantasies(5, generator=generator)))
