"""Whatever holds the data, a model trains on them and is evaluated on them."""

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo.data import load_dataset

pd = pytest.importorskip("pandas")
datasets = pytest.importorskip("datasets")

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(12, 4)).astype(np.float32)
PICTURES = GENERATOR.integers(0, 256, (12, 3, 4), dtype=np.uint8)
Y = [i % 2 for i in range(12)]
NAMES = ["cat" if y else "bat" for y in Y]
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(label=NAMES)


def folder(home):
    for i, (picture, name) in enumerate(zip(PICTURES, NAMES, strict=True)):
        (home / "d" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(home / "d" / name / f"{i}.png")
    return load_dataset(home / "d")


def npz(home):
    np.savez(home / "a.npz", X=X, y=Y)
    return load_dataset(home / "a.npz")


def csv(home):
    TABLE.to_csv(home / "a.csv", index=False)
    return load_dataset(home / "a.csv")


def parquet(home):
    TABLE.to_parquet(home / "a.parquet")
    return load_dataset(home / "a.parquet")


HOLDERS = {
    "numpy": lambda home: (X, np.array(Y)),
    "torch": lambda home: torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(X), torch.tensor(Y)), batch_size=5
    ),
    "items": lambda home: [(Image.fromarray(p), y) for p, y in zip(PICTURES, Y, strict=True)],
    "pandas": lambda home: TABLE,
    "datasets": lambda home: datasets.Dataset.from_pandas(TABLE),
    "folder": folder,
    "npz": npz,
    "csv": csv,
    "parquet": parquet,
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_a_model_learns_from_it_and_is_evaluated_on_it(holder, tmp_path):
    data = holder(tmp_path)
    dims = {"hidden_dims": (4,), "latent_dim": 2}
    model = genzoo.create_model("vae", data=data, conditions=("label",), **dims)
    config = genzoo.TrainerConfig(max_steps=2, batch_size=4, progress=False)
    before = [parameter.clone() for parameter in model.parameters()]
    genzoo.Trainer(model, data, config=config).fit()
    assert not all(map(torch.equal, before, model.parameters()))
    (figure,) = genzoo.evaluate(model, data, ["reconstruction-error"]).figures.values()
    assert figure.num_samples == 12
    assert np.isfinite(figure.value)
