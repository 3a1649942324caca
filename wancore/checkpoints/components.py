"""The core's own components, recognised by their keys: VAEs, previews, encoders, LoRA files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from wancore.checkpoints.canonical import DATA
from wancore.checkpoints.fingerprint import Fingerprint, read_fingerprints
from wancore.checkpoints.view import FileView

Role = Literal["vae", "preview", "text_encoder", "image_encoder", "audio_encoder", "lora"]
Naming = Literal["upstream", "diffusers", "transformers", "llama.cpp", ""]


@dataclass(frozen=True)
class Component:
    """One kind of component file; `width` is the tensor and axis that `ComponentClaim.width` is read from."""

    role: Role
    name: str
    naming: Naming
    width: tuple[str, int] | None
    fingerprint: Fingerprint


@dataclass(frozen=True)
class ComponentClaim:
    """What a file is to the core.

    `width`: latent channels of a VAE or preview decoder, features of an encoder; None for a LoRA.
    """

    role: Role
    name: str
    naming: Naming
    width: int | None


@cache
def components() -> tuple[Component, ...]:
    return tuple(
        Component(
            data["role"],
            data["name"],
            data["naming"],
            (data["width"][0], data["width"][1]) if "width" in data else None,
            Fingerprint.parse(data),
        )
        for data in read_fingerprints(DATA / "components.json")
    )


def component_claims(view: FileView) -> list[ComponentClaim]:
    """The components that `view` (without prefix) is a file of: the first of each role that fits."""
    found: dict[Role, ComponentClaim] = {}
    for component in components():
        if component.role not in found and component.fingerprint.keys_fit(view):
            width = read_width(view, component.width)
            found[component.role] = ComponentClaim(component.role, component.name, component.naming, width)
    return list(found.values())


def read_width(view: FileView, width: tuple[str, int] | None) -> int | None:
    if width is None or width[0] not in view:
        return None
    name, axis = width
    shape = view.shape(name)
    return shape[axis] if axis < len(shape) else None
