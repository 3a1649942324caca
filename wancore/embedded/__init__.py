"""Models that come with the engine and with plugins, for requests that name none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wancore.checkpoints.parts import Parts
    from wancore.plugins import PluginManager


@dataclass(frozen=True)
class EmbeddedModel:
    """`folder`: laid out like any model's; a plugin's may leave out parts that the engine's own model has
    (VAE, text encoder, tokenizer). `family`: whose requests it is for; "" for all others."""

    name: str
    folder: Path
    family: str = ""


OWN = EmbeddedModel("tiny", Path(__file__).parent / "model")


def embedded_models(plugins: PluginManager) -> tuple[EmbeddedModel, ...]:
    """The engine's own model, then those of plugins."""
    return (OWN, *(model for _, model in plugins.collect("wancore_models")))


def embedded_for(plugins: PluginManager, family: str | None) -> EmbeddedModel:
    """The model for a request without one."""
    return next((m for m in embedded_models(plugins) if m.family == (family or "")), OWN)


def embedded_parts(model: EmbeddedModel) -> Parts:
    from wancore.checkpoints.layout import find_parts

    parts = find_parts(model.folder)
    return parts if model == OWN else parts.filled_from(find_parts(OWN.folder))
