"""Bit fields of GGUF blocks, both ways."""

from __future__ import annotations

import torch
from torch import Tensor


def halves(raw: Tensor) -> Tensor:
    """uint8 [n, 2k], little-endian half floats -> float32 [n, k]."""
    return raw.contiguous().view(torch.float16).float()


def from_halves(values: Tensor) -> Tensor:
    """float32 [n, k] -> uint8 [n, 2k]; what would vanish becomes the smallest half float instead."""
    smallest = torch.tensor(2.0**-24, device=values.device)
    kept = torch.where((values != 0) & (values.abs() < smallest), smallest.copysign(values), values)
    return kept.to(torch.float16).view(torch.uint8)


def nibbles(raw: Tensor) -> Tensor:
    """uint8 [..., k] -> [..., 2k]: all low nibbles, then all high ones."""
    return torch.cat((raw & 15, raw >> 4), dim=-1)


def from_nibbles(codes: Tensor) -> Tensor:
    low, high = codes.to(torch.uint8).chunk(2, dim=-1)
    return low | high << 4


def bits(raw: Tensor, count: int) -> Tensor:
    """uint8 [n, k] -> [n, k * 8 / count, ] fields of `count` bits, plane by plane: [n, 8 / count, k]."""
    shifts = torch.arange(0, 8, count, device=raw.device, dtype=torch.uint8)
    return (raw[:, None] >> shifts[:, None]) & ((1 << count) - 1)


def from_bits(planes: Tensor, count: int) -> Tensor:
    """[n, 8 / count, k] -> uint8 [n, k]."""
    shifts = torch.arange(0, 8, count, device=planes.device, dtype=torch.uint8)
    return (planes.to(torch.uint8) << shifts[:, None]).sum(1).to(torch.uint8)


def single_bits(raw: Tensor) -> Tensor:
    """uint8 [n, k] -> [n, 8k]: bit j % 8 of byte j // 8."""
    shifts = torch.arange(8, device=raw.device, dtype=torch.uint8)
    return ((raw[..., None] >> shifts) & 1).flatten(1)


def from_single_bits(values: Tensor) -> Tensor:
    shifts = torch.arange(8, device=values.device, dtype=torch.uint8)
    return (values.to(torch.uint8).unflatten(1, (-1, 8)) << shifts).sum(-1).to(torch.uint8)
