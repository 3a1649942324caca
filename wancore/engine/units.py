"""What of a model moves as a whole, and how much it takes: from headers, and from modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from wancore.checkpoints.memory import loaded_bytes
from wancore.checkpoints.view import FileView
from wancore.plugins.family import Base
from wancore.runtime.budget import Needs
from wancore.runtime.swap import Copies, Swap, Unit
from wancore.runtime.swap.swap import SLOTS
from wancore.runtime.swap.unit import LEAST_BYTES
from wancore.transformer.activations import Work, activation_bytes
from wancore.transformer.adapter import Adapter
from wancore.transformer.config import TransformerConfig
from wancore.transformer.fp8 import BLOCK_LINEARS
from wancore.transformer.model import WanTransformer

#: A block of a list by the name of one of its tensors: `blocks.7`, `side_blocks.0`.
NUMBERED = re.compile(r"(\w+\.\d+)\.")
#: What makes keys and values of text and image: used once for each text, not in every forward.
TEXT_KEYS = re.compile(r"(blocks\.\d+)\.cross_attn\.(?:norm_)?[kv](?:_img)?\.")


def header_needs(
    views: Iterable[FileView], config: TransformerConfig, dtype: torch.dtype, work: Work, fp8: bool = False
) -> Needs:
    """What a transformer and its adapters need, from their headers: tensors of one block move together.

    `fp8`: the linears of the blocks will be quantised.
    """
    blocks: dict[str, int] = {}
    rare: dict[str, int] = {}
    rest = 0
    for view in views:
        for name, info in view.entries.items():
            quantised = fp8 and BLOCK_LINEARS.match(name) and len(info.shape) == 2
            size = loaded_bytes(info, torch.float8_e4m3fn if quantised else dtype)
            if match := TEXT_KEYS.match(name):
                rare[match[1]] = rare.get(match[1], 0) + size
            elif match := NUMBERED.match(name):
                blocks[match[1]] = blocks.get(match[1], 0) + size
            else:
                rest += size
    return Needs(tuple(blocks.values()), rest, activation_bytes(config, work), tuple(rare.values()))


def work_of(base: Base, width: int, height: int, frames: int, dtype: torch.dtype) -> Work:
    """A forward over a clip of so many pixels and frames, without segments."""
    _, high, wide = base.transformer.patch_size
    latent_frames = 1 + (frames - 1) // base.temporal_stride
    rows = latent_frames * (height // base.spatial_stride // high) * (width // base.spatial_stride // wide)
    return Work(rows, itemsize=dtype.itemsize)


def units_of(model: WanTransformer, adapters: Mapping[str, Adapter]) -> list[Unit]:
    """Each block with the adapters' pieces in it, but for what makes its keys of text, which is a unit of its
    own; then the adapters' other lists of modules, one by one."""
    units, rare = [], []
    for i, block in enumerate(model.blocks):
        pieces = [
            module
            for adapter in adapters.values()
            for module in vars(adapter.pieces(i)).values()
            if isinstance(module, nn.Module)
        ]
        keys = [m for name, m in block.named_modules() if TEXT_KEYS.match(f"blocks.{i}.{name}.")]
        keys = [m for m in keys if not any(m is not other and m in other.modules() for other in keys)]
        units.append(Unit(f"blocks.{i}", (block, *pieces), without=keys))
        if keys:
            rare.append(Unit(f"blocks.{i}.cross_attn", keys, rare=True))
    inside = {id(m) for unit in units for root in unit.modules for m in root.modules()}
    for adapter in adapters.values():
        for path, listed in adapter.named_children():
            if isinstance(listed, nn.ModuleList) and not any(id(m) in inside for m in listed):
                units += [Unit(f"{path}.{j}", (module,)) for j, module in enumerate(listed)]
    return units + rare


def swap_of(
    model: WanTransformer,
    adapters: Mapping[str, Adapter],
    device: torch.device,
    resident: int = 0,
    slots: int = SLOTS,
    copies: Copies | None = None,
    least: int = LEAST_BYTES,
    rare_resident: bool = False,
) -> Swap:
    """The swap of a transformer's blocks and of what its adapters have beside them; see `Swap`."""
    swap = Swap(units_of(model, adapters), device, resident, slots, copies, least, rare_resident)
    model.entering = lambda i: swap.use(swap.units[i])
    return swap
