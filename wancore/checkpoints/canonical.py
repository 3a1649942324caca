"""The base transformer's canonical names: upstream's, whatever the file calls them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from wancore.checkpoints.jsonfile import read_json
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.open import open_view
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.view import FileView

DATA = Path(__file__).parent
NOTHING = KeyMap(())


@cache
def diffusers_map() -> KeyMap:
    """diffusers' names of the base transformer (`convert_wan_to_diffusers.py`, huggingface/diffusers)."""
    data = read_json(DATA / "diffusers_keys.json")
    return KeyMap.of(data["rules"], data["unused"])


@cache
def diffusers_signature() -> tuple[str, ...]:
    return tuple(read_json(DATA / "diffusers_keys.json")["signature"])


def in_diffusers_names(view: FileView) -> bool:
    """Whether `view` (without prefix) holds a base transformer under diffusers' names."""
    return all(name in view for name in diffusers_signature())


def to_canonical(view: FileView, more: KeyMap = NOTHING) -> FileView:
    """`view` (without prefix) under upstream names; a view that has them already is returned as it is.

    `more`: an adapter's own rules, tried before the base's; they apply to diffusers' naming only. Names
    that no rule is about stay. Raises `CheckpointError` if two tensors would get one name.
    """
    return (diffusers_map() + more).apply(view) if in_diffusers_names(view) else view


def open_transformer(path: Path | str, more: KeyMap = NOTHING) -> FileView:
    """`open_view`, without the prefix and under canonical names: what a transformer is loaded from."""
    return to_canonical(peel_prefix(open_view(path)).view, more)
