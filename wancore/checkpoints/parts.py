"""The files of one pipeline: which is the transformer, which the VAE, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from wancore.checkpoints.canonical import DATA
from wancore.checkpoints.jsonfile import read_json
from wancore.errors import CheckpointError

Part = Literal[
    "transformer",
    "transformer_2",
    "vae",
    "text_encoder",
    "tokenizer",
    "image_encoder",
    "audio_encoder",
    "preview",
]


@cache
def layout_data() -> dict[str, Any]:
    """Names of folders and files, by part (layout.json)."""
    return read_json(DATA / "layout.json")


@dataclass(frozen=True)
class Parts:
    """What was found at `root`.

    `found`: the files or folders that can be each part; several are an error only for a part that is
    asked for. `refused`: why others cannot, one phrase each. `transformer` is the only model or the
    high-noise expert, `transformer_2` the low-noise expert, `preview` the small decoder of previews.
    `boundary_ratio`: the share of the noise at which the experts change, where a pipeline says it.
    """

    root: Path
    found: Mapping[Part, tuple[Path, ...]]
    refused: Mapping[Part, tuple[str, ...]] = field(default_factory=dict)
    boundary_ratio: float | None = None

    def optional(self, part: Part) -> Path | None:
        """The one file or folder of `part`, None if there is none. Raises `CheckpointError` if several."""
        candidates = self.found.get(part, ())
        if len(candidates) > 1:
            names = ", ".join(shown_below(self.root, c) for c in candidates[:6])
            problem = (
                f"has several candidates for the {spoken(part)} ({names}); say which with {option(part)}"
            )
            raise CheckpointError(self.root, problem)
        return candidates[0] if candidates else None

    def require(self, part: Part) -> Path:
        """As `optional`; raises `CheckpointError`, naming what would do, if there is none."""
        path = self.optional(part)
        if path is None:
            refused = "; ".join(self.refused.get(part, ())[:4])
            found = f" ({refused})" if refused else ""
            problem = f"has no {spoken(part)}{found}; needed: {layout_data()['would_do'][part]}"
            raise CheckpointError(self.root, problem)
        return path

    def given(self, part: Part, path: Path | str) -> Parts:
        """The same with `path`, the user's choice, as `part`. Raises `CheckpointError` if it is not there."""
        path = Path(path)
        if not path.exists():
            raise CheckpointError(path, f"no such file or folder, given as the {spoken(part)}")
        return replace(self, found={**self.found, part: (path,)})

    def filled_from(self, other: Parts) -> Parts:
        """The same with the parts that only `other` has; `other` must belong to the same transformer."""
        missing = {p: paths for p, paths in other.found.items() if not self.found.get(p) and paths}
        refused = {p: self.refused.get(p, ()) + why for p, why in other.refused.items()}
        return replace(self, found={**self.found, **missing}, refused={**self.refused, **refused})

    @property
    def transformer(self) -> Path | None:
        return self.optional("transformer")

    @property
    def transformer_2(self) -> Path | None:
        return self.optional("transformer_2")

    @property
    def vae(self) -> Path | None:
        return self.optional("vae")

    @property
    def text_encoder(self) -> Path | None:
        return self.optional("text_encoder")

    @property
    def tokenizer(self) -> Path | None:
        return self.optional("tokenizer")

    @property
    def image_encoder(self) -> Path | None:
        return self.optional("image_encoder")

    @property
    def audio_encoder(self) -> Path | None:
        return self.optional("audio_encoder")

    @property
    def preview(self) -> Path | None:
        return self.optional("preview")


def spoken(part: Part) -> str:
    """A part as a message calls it."""
    names: dict[Part, str] = {
        "transformer_2": "low-noise transformer",
        "vae": "VAE",
        "preview": "preview decoder",
    }
    return names.get(part, part.replace("_", " "))


def option(part: Part) -> str:
    """How a user names a part."""
    return "--model" if part == "transformer" else f"--{part.replace('_', '-')}"


def shown_below(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
