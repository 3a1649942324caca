"""One golden case: its metadata, arrays, and the checkpoint its weights describe."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wancore.parity import seeded

if TYPE_CHECKING:
    import torch

    from wancore.kernels.attention import Attend


@dataclass(frozen=True)
class Case:
    """A golden file, read. Arrays keep their `in.`, `mid.`, `out.` prefixes in `arrays`.

    `device`, `dtype`: where and in what kinds that are `placed` compute; `plain`: with PyTorch's own
    operations only.
    """

    path: Path
    meta: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    device: str = "cpu"
    dtype: str = "float32"
    plain: bool = False

    @classmethod
    def load(cls, path: Path) -> Case:
        meta, arrays = seeded.load_case(path)
        return cls(path, meta, arrays)

    @property
    def family(self) -> str:
        return str(self.meta["family"])

    @property
    def kind(self) -> str:
        return str(self.meta["kind"])

    @property
    def config(self) -> Mapping[str, Any]:
        return self.meta["config"]

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        """`out.*` without the prefix."""
        return {k[4:]: v for k, v in self.arrays.items() if k.startswith("out.")}

    @cached_property
    def inputs(self) -> dict[str, torch.Tensor]:
        """`in.*` (and inputs rebuilt from `generated_inputs`) as tensors, without the prefix."""
        import torch

        arrays = {k: v for k, v in self.arrays.items() if k.startswith("in.")}
        for name, made in self.meta.get("generated_inputs", {}).items():
            arrays[name] = seeded.tensor(made["tensor"], made["shape"], made["scale"])
        return {k[3:]: torch.from_numpy(np.array(v)).to(self.device) for k, v in arrays.items()}

    @property
    def place(self) -> dict[str, Any]:
        """`device` and `dtype`, as loaders take them."""
        import torch

        return {"device": self.device, "dtype": getattr(torch, self.dtype)}

    @property
    def attend(self) -> Attend:
        """Attention as the engine has it; `plain`: PyTorch's."""
        from wancore.kernels.attention import Attention, sdpa

        return sdpa if self.plain else Attention()

    def numbered(self, prefix: str) -> list[torch.Tensor]:
        """Inputs `prefix0`, `prefix1`, … in order."""
        found: list[torch.Tensor] = []
        while f"{prefix}{len(found)}" in self.inputs:
            found.append(self.inputs[f"{prefix}{len(found)}"])
        return found

    def weights(self) -> dict[str, np.ndarray]:
        """The case's checkpoint, rebuilt from its key names."""
        return seeded.weights(self.meta["keys"], self.meta.get("scales"))

    @contextmanager
    def checkpoint(self, config: Mapping[str, Any] | None = None, prefix: str = "") -> Iterator[Path]:
        """The case's weights as a real checkpoint folder (safetensors + config.json), while in use.

        `prefix` selects the keys that begin with it and is cut off: a case with several models
        gives each of them a folder of its own.
        """
        chosen = {k[len(prefix) :]: v for k, v in self.weights().items() if k.startswith(prefix)}
        with written_checkpoint(chosen, config) as folder:
            yield folder

    def file(self, name: str) -> Path:
        """A file named in the metadata, resolved against the case's own folder."""
        return self.path.parent / name


@contextmanager
def written_checkpoint(
    weights: Mapping[str, np.ndarray], config: Mapping[str, Any] | None = None
) -> Iterator[Path]:
    """`weights` written as `diffusion_pytorch_model.safetensors` (+ config.json) in a temporary folder."""
    from safetensors.numpy import save_file

    folder = Path(tempfile.mkdtemp(prefix="wancore-parity-"))
    try:
        arrays = {k: np.ascontiguousarray(v) for k, v in weights.items()}
        save_file(arrays, str(folder / "diffusion_pytorch_model.safetensors"))
        if config is not None:
            (folder / "config.json").write_text(json.dumps(dict(config)))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
