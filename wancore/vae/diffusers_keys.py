"""Names of the diffusers layout (`AutoencoderKLWan`) in terms of the original ones.

Source: huggingface/diffusers `models/autoencoders/autoencoder_kl_wan.py`. Weights are equal; only
names differ, and the 2.1 decoder's flat list is cut into blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Outside the lists of blocks: diffusers prefix -> original prefix.
OUTER = {
    "quant_conv": "conv1",
    "post_quant_conv": "conv2",
    **{
        f"{half}.{theirs}": f"{half}.{ours}"
        for half in ("encoder", "decoder")
        for theirs, ours in (
            ("conv_in", "conv1"),
            ("norm_out", "head.0"),
            ("conv_out", "head.2"),
            ("mid_block.resnets.0", "middle.0"),
            ("mid_block.attentions.0", "middle.1"),
            ("mid_block.resnets.1", "middle.2"),
        )
    },
}

#: Inside a residual block.
RESIDUAL = {
    "norm1": "residual.0",
    "conv1": "residual.2",
    "norm2": "residual.3",
    "conv2": "residual.6",
    "conv_shortcut": "shortcut",
}

BLOCK = re.compile(
    r"(?P<half>encoder\.down|decoder\.up)_blocks\.(?P<block>\d+)"
    r"(?:\.(?P<group>resnets|downsampler|upsampler|upsamplers)(?:\.(?P<item>\d+))?)?\.(?P<rest>.+)"
)


def original_names(keys: Iterable[str]) -> dict[str, str]:
    """diffusers key -> original key, for the keys of one checkpoint; an unknown key keeps its name."""
    keys = list(keys)
    matches = {key: BLOCK.fullmatch(key) for key in keys}
    staged = any(m and m["group"] in ("downsampler", "upsampler") for m in matches.values())
    residuals: dict[tuple[str, str], int] = {}  # residual blocks per block
    for m in matches.values():
        if m and m["group"] == "resnets" and m["item"]:
            place = (m["half"], m["block"])
            residuals[place] = max(residuals.get(place, 0), int(m["item"]) + 1)
    return {key: in_block(m, staged, residuals) if (m := matches[key]) else outside(key) for key in keys}


def in_block(m: re.Match[str], staged: bool, residuals: dict[tuple[str, str], int]) -> str:
    half, block = m["half"], int(m["block"])
    name = f"{half}samples"  # encoder.downsamples, decoder.upsamples
    rest = renamed(m["rest"], RESIDUAL)
    if m["group"] is None:  # the encoder of 2.1: flat in both layouts
        return f"{name}.{block}.{rest}"
    count = residuals.get((half, m["block"]), 0)
    item = int(m["item"] or 0) if m["group"] == "resnets" else count
    if staged:
        return f"{name}.{block}.{name.partition('.')[2]}.{item}.{rest}"
    before = sum(residuals.get((half, str(b)), 0) + 1 for b in range(block))
    return f"{name}.{before + item}.{rest}"


def outside(key: str) -> str:
    for theirs, ours in OUTER.items():
        if key.startswith(f"{theirs}."):
            rest = key[len(theirs) + 1 :]
            return f"{ours}.{renamed(rest, RESIDUAL) if '.resnets.' in theirs else rest}"
    return key


def renamed(rest: str, table: dict[str, str]) -> str:
    head, dot, tail = rest.partition(".")
    return f"{table.get(head, head)}{dot}{tail}"
