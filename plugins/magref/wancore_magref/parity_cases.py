"""Golden cases of the canvas with its mask, and of the transformer that reads them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from wancore.media.convert import from_uint8
from wancore.media.pixels import Pixels, on_white
from wancore.parity import Case
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore_magref.canvas import blocks, collage, latent_mask, packed_mask

STRIDE, FRAMES = 8, 21


def canvas(case: Case) -> Mapping[str, Tensor]:
    config = case.config
    width, height, count = config["width"], config["height"], config["count"]
    images = [flat(image.numpy()) for image in case.numbered("image")]
    places = [config["block_order"][config["image_order"].index(i)] for i in range(count)]
    made = collage(images, places, width, height)
    mask = latent_mask(made.covered, STRIDE)
    packed = packed_mask(mask, FRAMES)
    boxes = [blocks(count, width, height)[place] for place in config["block_order"]]
    whole = [[-(-a // STRIDE), b // STRIDE, -(-c // STRIDE), d // STRIDE] for a, c, b, d in boxes]
    return {
        "canvas": torch.from_numpy(made.pixels),
        "latent_mask": mask,
        "latent_blocks": torch.tensor(whole),  # cells that lie in the block as a whole
        "packed_mask_frame0": packed[:, 0],
        "packed_mask_sum_per_frame": packed.sum(dim=(0, 2, 3)),
        "vae_input_frame0": from_uint8(torch.from_numpy(made.pixels)[None])[:, 0],
    }


def flat(image: Pixels) -> Pixels:
    """As files are read: transparency over white."""
    return on_white(image) if image.shape[-1] == 4 else np.ascontiguousarray(image)


@torch.no_grad()
def transformer(case: Case) -> Mapping[str, Tensor]:
    given = case.inputs
    with case.checkpoint(case.config) as folder:
        model = load_transformer(folder)
    x, latent = given["x"], given["cond_latent"]
    frames, height, width = x.shape[1:]
    grid = Canvas(frames, height // 2, width // 2)
    inputs = Inputs(
        torch.cat((x, packed_mask(given["mask"], frames), latent)),
        given["t"],
        build_layout(grid, model.frequencies),
        EmbeddedText.of(model, given["context"], given["clip"][0]),
    )
    return {"pred": predict(model, inputs)}
