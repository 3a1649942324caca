"""Names and shapes of every tensor of a tiny model, under the names of the upstream repositories.

Sources: Wan-Video/Wan2.1 `wan/modules/{t5,clip,vae}.py`, Wan-Video/Wan2.2 `wan/modules/vae2_2.py`,
madebyollin/taehv `taehv.py`.
"""

from __future__ import annotations

from wancore.checkpoints.base_keys import BaseSpec, expected_keys
from wancore.testing import sizes
from wancore.testing.kinds import Kind, Version

Shapes = dict[str, tuple[int, ...]]


def transformer_shapes(kind: Kind) -> Shapes:
    return dict(
        expected_keys(
            BaseSpec(
                dim=sizes.DIM,
                ffn_dim=sizes.FFN,
                num_layers=sizes.LAYERS,
                in_dim=kind.in_dim,
                out_dim=kind.channels,
                patch_size=(1, 2, 2),
                freq_dim=sizes.FREQ,
                text_dim=sizes.TEXT,
                image_dim=sizes.IMAGE if kind.clip else None,
                image_positions=2 * sizes.IMAGE_TOKENS if kind.positions else None,
            )
        )
    )


def umt5_shapes(size: int) -> Shapes:
    block: Shapes = {
        **{f"{name}.weight": (sizes.TEXT,) for name in ("norm1", "norm2")},
        **{f"attn.{name}.weight": (sizes.TEXT, sizes.TEXT) for name in "qkvo"},
        "pos_embedding.embedding.weight": (sizes.BUCKETS, sizes.TEXT_HEADS),
        **{f"ffn.{name}.weight": (sizes.TEXT_FFN, sizes.TEXT) for name in ("gate.0", "fc1")},
        "ffn.fc2.weight": (sizes.TEXT, sizes.TEXT_FFN),
    }
    blocks = [under(f"blocks.{i}", block) for i in range(sizes.TEXT_LAYERS)]
    return joined({"token_embedding.weight": (size, sizes.TEXT)}, *blocks, {"norm.weight": (sizes.TEXT,)})


def clip_shapes() -> Shapes:
    layer = joined(
        *(both(name, (sizes.IMAGE,)) for name in ("norm1", "norm2")),
        both("attn.to_qkv", (3 * sizes.IMAGE, sizes.IMAGE)),
        both("attn.proj", (sizes.IMAGE, sizes.IMAGE)),
        both("mlp.0", (sizes.IMAGE_FFN, sizes.IMAGE)),
        both("mlp.2", (sizes.IMAGE, sizes.IMAGE_FFN)),
    )
    visual = joined(
        {"patch_embedding.weight": (sizes.IMAGE, 3, sizes.PATCH, sizes.PATCH)},
        {
            "cls_embedding": (1, 1, sizes.IMAGE),
            "pos_embedding": (1, sizes.IMAGE_TOKENS, sizes.IMAGE),
            "head": (sizes.IMAGE, 32),
        },
        *(both(name, (sizes.IMAGE,)) for name in ("pre_norm", "post_norm")),
        *(under(f"transformer.{i}", layer) for i in range(sizes.IMAGE_LAYERS)),
    )
    return joined({"log_scale": ()}, under("visual", visual))


def vae_shapes(version: Version, latent: int) -> Shapes:
    narrow, last = sizes.VAE_WIDTHS[version]
    down, up = [narrow * n for n in (1, 1, 2, 4, 4)], [last * n for n in (4, 4, 4, 2, 1)]
    pixels = 3 if version == "2.1" else 12
    encoder = joined(
        half(pixels, down, 2 * latent),
        under("downsamples", laid_out([encoder_stage(down, i) for i in range(4)], "downsamples", version)),
    )
    decoder = joined(
        half(latent, up, pixels),
        under("upsamples", laid_out([decoder_stage(up, i, version) for i in range(4)], "upsamples", version)),
    )
    return joined(
        both("conv1", (2 * latent, 2 * latent, 1, 1, 1)),
        both("conv2", (latent, latent, 1, 1, 1)),
        under("encoder", encoder),
        under("decoder", decoder),
    )


def half(channels_in: int, widths: list[int], channels_out: int) -> Shapes:
    """What stands around the stages; the middle is where the resolution is lowest."""
    middle = max(widths)
    attention = joined(
        {"norm.gamma": (middle, 1, 1)},
        both("to_qkv", (3 * middle, middle, 1, 1)),
        both("proj", (middle, middle, 1, 1)),
    )
    return joined(
        both("conv1", (widths[0], channels_in, 3, 3, 3)),
        under("middle.0", residual(middle, middle)),
        under("middle.1", attention),
        under("middle.2", residual(middle, middle)),
        {"head.0.gamma": (widths[-1], 1, 1, 1)},
        both("head.2", (channels_out, widths[-1], 3, 3, 3)),
    )


def encoder_stage(widths: list[int], stage: int) -> list[Shapes]:
    """The layers of one of four stages: the first three halve the picture, the middle two time as well."""
    width, to = widths[stage : stage + 2]
    layers = [residual(width, to), residual(to, to)]
    if stage < 3:
        time = both("time_conv", (to, to, 3, 1, 1)) if stage > 0 else {}
        layers.append(joined(both("resample.1", (to, to, 3, 3)), time))
    return layers


def decoder_stage(widths: list[int], stage: int, version: Version) -> list[Shapes]:
    """The first three stages double the picture, the first two time; 2.1 halves the channels."""
    width, to = widths[stage : stage + 2]
    halving = version == "2.1"
    if halving and stage > 0:
        width = widths[stage] // 2
    layers = [residual(width, to), residual(to, to), residual(to, to)]
    if stage < 3:
        time = both("time_conv", (2 * to, to, 3, 1, 1)) if stage < 2 else {}
        layers.append(joined(both("resample.1", (to // 2 if halving else to, to, 3, 3)), time))
    return layers


def laid_out(stages: list[list[Shapes]], name: str, version: Version) -> Shapes:
    """2.1 numbers the layers of all stages in one row, 2.2 those of each stage."""
    if version == "2.1":
        layers = [layer for stage in stages for layer in stage]
        return joined(*(under(str(i), layer) for i, layer in enumerate(layers)))
    return joined(
        *(under(f"{i}.{name}.{j}", layer) for i, stage in enumerate(stages) for j, layer in enumerate(stage))
    )


def residual(width: int, to: int) -> Shapes:
    return joined(
        {"residual.0.gamma": (width, 1, 1, 1), "residual.3.gamma": (to, 1, 1, 1)},
        both("residual.2", (to, width, 3, 3, 3)),
        both("residual.6", (to, to, 3, 3, 3)),
        both("shortcut", (to, width, 1, 1, 1)) if width != to else {},
    )


def preview_shapes(latent: int, patch: int) -> Shapes:
    """TAEHV's decoder, with fewer channels."""
    shapes = both("1", (sizes.PREVIEW_WIDTHS[0], latent, 3, 3))
    for start, width, to, grow in zip(
        (3, 9, 15), sizes.PREVIEW_WIDTHS, sizes.PREVIEW_WIDTHS[1:], (1, 2, 2), strict=False
    ):
        for i in range(start, start + 3):
            shapes |= both(f"{i}.conv.0", (width, 2 * width, 3, 3))
            shapes |= both(f"{i}.conv.2", (width, width, 3, 3)) | both(f"{i}.conv.4", (width, width, 3, 3))
        shapes[f"{start + 4}.conv.weight"] = (grow * width, width, 1, 1)
        shapes[f"{start + 5}.weight"] = (to, width, 3, 3)
    return under("decoder", shapes | both("22", (3 * patch**2, sizes.PREVIEW_WIDTHS[-1], 3, 3)))


def both(name: str, shape: tuple[int, ...]) -> Shapes:
    """A weight and its bias."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def joined(*shapes: Shapes) -> Shapes:
    return {name: shape for one in shapes for name, shape in one.items()}
