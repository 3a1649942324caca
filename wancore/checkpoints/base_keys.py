"""The base transformer's sizes, read from tensor shapes, and the names it owns."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from wancore.checkpoints.canonical import DATA
from wancore.checkpoints.jsonfile import read_json
from wancore.checkpoints.listing import counted
from wancore.checkpoints.names import Names, remembered
from wancore.checkpoints.pattern import PatternSet, expanded, filled
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError

BLOCK = re.compile(r"blocks\.(\d+)\.")


@dataclass(frozen=True)
class BaseSpec:
    """What a checkpoint's shapes tell about its base transformer.

    `text_dim` is 0 for a model without text, `image_dim` None without an image branch,
    `image_positions` None without a position embedding of the image tokens.
    """

    dim: int
    ffn_dim: int
    num_layers: int
    in_dim: int
    out_dim: int
    patch_size: tuple[int, int, int]
    freq_dim: int
    text_dim: int
    image_dim: int | None
    image_positions: int | None


def has_base(view: FileView) -> bool:
    """Whether a canonical view holds a base transformer (and not only a module beside one)."""
    return all(
        name in view for name in ("patch_embedding.weight", "blocks.0.ffn.0.weight", "head.head.weight")
    )


def base_spec(view: FileView) -> BaseSpec:
    """The sizes of the base transformer in a canonical view, from names and shapes alone.

    Raises `CheckpointError` naming the first key that is missing or has an impossible shape.
    """
    dim, in_dim, *patch = axes(view, "patch_embedding.weight", 5)
    patch_values, _ = axes(view, "head.head.weight", 2)
    if patch_values % math.prod(patch):
        problem = f"has {patch_values} rows, which are no whole number of {patch} patches"
        raise CheckpointError(view.path, problem, "head.head.weight")
    has_text, has_image = "text_embedding.0.weight" in view, "img_emb.proj.0.weight" in view
    has_positions = "img_emb.emb_pos" in view
    return BaseSpec(
        dim=dim,
        ffn_dim=axes(view, "blocks.0.ffn.0.bias", 1)[0],  # a quantised weight may be padded
        num_layers=count_blocks(view),
        in_dim=in_dim,
        out_dim=patch_values // math.prod(patch),
        patch_size=(patch[0], patch[1], patch[2]),
        freq_dim=axes(view, "time_embedding.0.weight", 2)[1],
        text_dim=axes(view, "text_embedding.0.weight", 2)[1] if has_text else 0,
        image_dim=axes(view, "img_emb.proj.0.weight", 1)[0] if has_image else None,
        image_positions=axes(view, "img_emb.emb_pos", 3)[1] if has_positions else None,
    )


def axes(view: FileView, name: str, count: int) -> tuple[int, ...]:
    shape = view.shape(name)
    if len(shape) != count or 0 in shape:
        raise CheckpointError(view.path, f"has shape {list(shape)}; {count} axes above 0 are needed", name)
    return shape


def count_blocks(view: FileView) -> int:
    """How many blocks there are; a gap in their numbers is an error."""
    numbers = block_numbers(view.names)
    missing = [str(i) for i in range(max(numbers, default=0) + 1) if i not in numbers][:4]
    if missing:
        raise CheckpointError(view.path, f"has {len(numbers)} blocks, but none numbered {', '.join(missing)}")
    return len(numbers)


@remembered
def block_numbers(names: Names) -> frozenset[int]:
    return frozenset(int(match[1]) for name in names if (match := BLOCK.match(name)) and name in base_names())


@cache
def base_shapes() -> Mapping[str, Mapping[str, tuple[int | str, ...]]]:
    """Group (always, text, image, image_positions) -> name pattern -> shape in terms of `BaseSpec`."""
    data = read_json(DATA / "base_keys.json")
    return {
        group: {one: tuple(shape) for pattern, shape in patterns.items() for one in expanded(pattern)}
        for group, patterns in data.items()
    }


@cache
def base_patterns() -> tuple[str, ...]:
    """Every name that the base transformer can own, as patterns."""
    return tuple(pattern for group in base_shapes().values() for pattern in group)


@cache
def base_names() -> PatternSet:
    return PatternSet(base_patterns())


def extra_keys(view: FileView) -> list[str]:
    """The names of a canonical view that are not the base transformer's; [] for a plain model."""
    extra = not_of_base(view.names)
    return [name for name in view.entries if name in extra] if extra else []


@remembered
def not_of_base(names: Names) -> Names:
    return frozenset(name for name in names if name not in base_names())


@remembered
def expected_keys(spec: BaseSpec) -> Mapping[str, tuple[int, ...]]:
    """Name -> shape of every tensor of a base transformer of these sizes."""
    groups = {
        "always": True,
        "text": spec.text_dim > 0,
        "image": spec.image_dim is not None,
        "image_positions": spec.image_positions is not None,
    }
    sizes = named_sizes(spec)
    return {
        name: tuple(size if isinstance(size, int) else sizes[size] for size in shape)
        for group, patterns in base_shapes().items()
        if groups[group]
        for pattern, shape in patterns.items()
        for name in numbered(pattern, spec.num_layers)
    }


def named_sizes(spec: BaseSpec) -> dict[str, int]:
    patch_t, patch_h, patch_w = spec.patch_size
    return {
        "dim": spec.dim,
        "6*dim": 6 * spec.dim,
        "ffn_dim": spec.ffn_dim,
        "in_dim": spec.in_dim,
        "freq_dim": spec.freq_dim,
        "text_dim": spec.text_dim,
        "image_dim": spec.image_dim or 0,
        "image_positions": spec.image_positions or 0,
        "patch_t": patch_t,
        "patch_h": patch_h,
        "patch_w": patch_w,
        "patch_values": spec.out_dim * math.prod(spec.patch_size),
    }


def numbered(pattern: str, count: int) -> list[str]:
    """The names that a pattern with at most one number stands for, in a model of `count` blocks."""
    if "N" not in pattern.split("."):
        return [pattern]
    return [filled(pattern, [str(i)]) for i in range(count)]


def check_base(view: FileView, spec: BaseSpec) -> None:
    """Raises `CheckpointError` if keys of the base are missing or have other shapes than `spec` says."""
    expected = expected_keys(spec)
    if missing := [name for name in expected if name not in view]:
        raise CheckpointError(view.path, f"is no whole transformer: {counted('missing', missing)}")
    for name, shape in expected.items():
        if not view.holds(name, shape):
            raise CheckpointError(view.path, f"has shape {list(view.shape(name))}, not {list(shape)}", name)
