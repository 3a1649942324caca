"""4-bit codes with a scale and a level or zero point for every few columns of a row.

Sources: Comfy-Org/comfy-kitchen (`asym_w4a8_int8`, `awq_w4a16`): two codes a byte, the even column in the low
nibble. A code stands for `level[code] * scale + offset` of its group of columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.quant.weight import Weight

LEVELS = 16
MIDDLE = 8.0  # what is taken from a code where there is no codebook


class GroupedInt4Weight(Weight):
    """codes uint8 [out, in / 2]; scale [out, in / g] of any float dtype, times `channel` float32 [out, 1]
    where there is one; offset [out, in / g] or None; levels float32 [16], the values of the codes: -8..7
    without a codebook."""

    codes: Tensor
    scale: Tensor
    channel: Tensor | None
    offset: Tensor | None
    levels: Tensor

    def __init__(
        self,
        format: str,
        codes: Tensor,
        scale: Tensor,
        *,
        channel: Tensor | None = None,
        offset: Tensor | None = None,
        levels: Tensor | None = None,
    ) -> None:
        """Raises `ValueError` where the parts do not belong together."""
        rows, packed = codes.shape
        super().__init__(format, (rows, 2 * packed))
        if scale.ndim != 2 or scale.shape[0] != rows or not scale.shape[1] or 2 * packed % scale.shape[1]:
            raise ValueError(f"scales of shape {list(scale.shape)} do not cover {rows} x {2 * packed} codes")
        if offset is not None and offset.shape != scale.shape:
            raise ValueError(f"offsets of shape {list(offset.shape)} for scales of {list(scale.shape)}")
        if channel is not None and channel.numel() != rows:
            raise ValueError(f"channel scales of shape {list(channel.shape)} for {rows} rows")
        if levels is not None and levels.numel() != LEVELS:
            raise ValueError(f"a codebook of {levels.numel()} levels for 4-bit codes")
        uniform = torch.arange(LEVELS, device=codes.device) - MIDDLE
        self.register_buffer("codes", codes.view(torch.uint8))
        self.register_buffer("scale", scale)
        self.register_buffer("channel", None if channel is None else channel.float().reshape(rows, 1))
        self.register_buffer("offset", offset)
        self.register_buffer("levels", uniform if levels is None else levels.float().reshape(LEVELS))

    @property
    def groups(self) -> tuple[int, int, int]:
        """Rows, groups of a row, columns of a group."""
        rows, count = self.scale.shape
        return rows, count, self.shape[1] // count

    def group_scales(self) -> Tensor:
        """[out, in / g, 1]."""
        scale = self.scale.float() if self.channel is None else self.scale.float() * self.channel
        return scale[..., None]

    def values(self) -> Tensor:
        nibbles = torch.stack((self.codes & 15, self.codes >> 4), dim=-1).int()
        values = self.levels[nibbles].reshape(self.groups) * self.group_scales()
        if self.offset is not None:
            values = values + self.offset.float()[..., None]
        return values.reshape(self.shape)

    def steps(self) -> Tensor:
        """The largest gap between levels, in each group."""
        gap = self.levels.sort().values.diff().abs().amax()
        return (gap * self.group_scales().abs()).expand(self.groups).reshape(self.shape)

    def quantised(self, master: Tensor) -> GroupedInt4Weight:
        grouped = master.reshape(self.groups)
        low, high = self.levels.amin(), self.levels.amax()
        offset, most, least = None, grouped.amax(-1), grouped.amin(-1)
        if self.offset is None:
            span = torch.maximum(most / high, least / low).clamp_min(0)
        else:
            span = (most - least) / (high - low)
            offset = (least - low * span).to(self.offset.dtype)
        new = self.with_scales(span, offset)
        wanted = grouped if offset is None else grouped - offset.float()[..., None]
        scales = new.group_scales()
        codes = new.nearest(torch.where(scales > 0, wanted / scales, torch.zeros_like(wanted)))
        codes = codes.reshape(self.shape[0], -1, 2)
        new.codes = codes[..., 0] | codes[..., 1] << 4
        return new

    def with_scales(self, scale: Tensor, offset: Tensor | None) -> GroupedInt4Weight:
        """Scales [out, in / g] as they can be stored, and codes that do not fit them yet."""
        channel = None
        if self.channel is not None:
            limit = torch.finfo(self.scale.dtype).max if self.scale.itemsize == 1 else 1.0
            channel = scale.amax(1, keepdim=True) / limit
            scale = torch.where(channel > 0, scale / channel, torch.zeros_like(scale))
        stored = scale.to(self.scale.dtype)
        return GroupedInt4Weight(
            self.format, self.codes, stored, channel=channel, offset=offset, levels=self.levels
        )

    def nearest(self, values: Tensor) -> Tensor:
        """The code, uint8, whose level is nearest to each value."""
        levels, order = self.levels.sort()
        middles = (levels[1:] + levels[:-1]) / 2
        return order.to(torch.uint8)[torch.bucketize(values, middles)]

    def rows(self, start: int, end: int) -> GroupedInt4Weight:
        def part(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[start:end]

        return GroupedInt4Weight(
            self.format, self.codes[start:end], self.scale[start:end], channel=part(self.channel),
            offset=part(self.offset), levels=self.levels,
        )  # fmt: skip
