"""A small vocabulary of byte pairs, and a small pipeline of Stable Diffusion's kind."""

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

MERGES = [
    *(("t", "h"), ("th", "e</w>"), ("c", "a"), ("ca", "t</w>"), ("i", "n"), ("'", "s</w>")),
    *(("Ã", "©</w>"), ("in", "g</w>"), ("a", "n"), ("o", "f</w>"), ("1", "2</w>"), ("!", "!</w>")),
]
TEXTS = [
    *(
        "",
        " ",
        "the cat",
        "THE   Cat's\thing!",
        "a cat, of 12 things?! 3.14",
        "it's they're don't",
    ),
    *("café É ﬁne", "e\u0301", "日本語 текст", "🙂🙂", "a\nb\r\nc", "_-_ <<>> ~", "ñandú’s"),
    *(
        "<|startoftext|>",
        "x<|endoftext|>y",
        "<|STARTOFTEXT|> a",
        "< |endoftext| >",
        "\x00\x7f",
        "ǅ İ ß",
    ),
]
SIZES = {
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 16,
}
LENGTH = 40


def vocabulary(merges=MERGES):
    """Return CLIP's tokens of some merges, in the order of its own code."""
    letters = list(bytes_to_unicode().values())
    words = [letter + "</w>" for letter in letters]
    return [*letters, *words, *map("".join, merges), "<|startoftext|>", "<|endoftext|>"]


def tokenizer(tokens=None, merges=MERGES, **values):
    """Return transformers' tokenizer, made here and not by us."""
    ids = {token: i for i, token in enumerate(tokens or vocabulary(merges))}
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=LENGTH, **values)


def text_model(rows=None, seed=0, **values):
    """Return transformers' text model, of random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = CLIPTextConfig(
            vocab_size=rows or len(vocabulary()), max_position_embeddings=LENGTH, **SIZES, **values
        )
        return CLIPTextModel(config).eval()


def unet(seed=0, **values):
    """Return a text-conditional U-Net."""
    fields = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (8, 8),
        "norm_num_groups": 4,
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 8,
        "attention_head_dim": 2,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DConditionModel(**{**fields, **values}).eval()


def scheduler(cls=PNDMScheduler, **values):
    """Return a scheduler as Stable Diffusion's repositories hold it."""
    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return cls(**{**noise, **values})


def pipeline(made=None, **values):
    """Return a small pipeline."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        vae = AutoencoderKL(
            block_out_channels=(8, 8),
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            sample_size=16,
        )
    parts = {"tokenizer": tokenizer(), "text_encoder": text_model(), "unet": unet()}
    pipe = StableDiffusionPipeline(
        **{"vae": vae, "scheduler": made or scheduler(steps_offset=1), **parts, **values},
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
