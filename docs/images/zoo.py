"""The picture of the README: samples of models that come with a checkout.

python docs/images/zoo.py
"""

from __future__ import annotations

from pathlib import Path

import torch

from genzoo import Component, GenModel, load_dataset
from genzoo.plotting import grid, new_figure, show, strips, titled_rows, to_image, write_picture
from genzoo.registry import make

HERE = Path(__file__).parent
CARDS = HERE.parents[1] / "model_cards"
TEXTS = ("a red circle", "a blue triangle", "a green ring", "a yellow cross", "a purple square")


def main() -> None:
    """Draw one panel for each model."""
    rbm, vae, gan = (
        GenModel.from_pretrained(CARDS / name)
        for name in ("rbm-digits", "vae-fashion-mnist", "gan-fashion-mnist")
    )
    diffusion = GenModel.from_pretrained(CARDS / "ddpm-shapes")
    cyclegan = GenModel.from_pretrained(CARDS / "cyclegan-fashion-mnist-negative")
    x = load_dataset("fashion-mnist", "test").head(5)["x"]
    y = cyclegan.translate(x, to="y")
    text = [text for text in TEXTS for _ in range(6)]
    ddim = make("samplers", Component(name="ddim", config={"num_inference_steps": 25}))
    shapes = diffusion.sample(30, condition=text, sampler=ddim, seed=0)
    panels = {
        "RBM": grid(rbm.sample(25, seed=0)),
        "VAE": grid(vae.sample(25, seed=0)),
        "GAN": grid(gan.sample(25, seed=0)),
        "CycleGAN: x, G(x), F(G(x))": strips([x, y, cyclegan.translate(y, to="x")]),
        "Diffusion given a text": titled_rows(shapes, TEXTS),
    }
    widths = [image.width / image.height for image in panels.values()]
    figure = new_figure(12, 2.2)
    axes = figure.subplots(1, len(panels), width_ratios=widths)
    for axis, (title, image) in zip(axes, panels.items(), strict=True):
        show(axis, image, title)
    write_picture(to_image(figure), HERE / "zoo.png")


if __name__ == "__main__":
    with torch.no_grad():
        main()
