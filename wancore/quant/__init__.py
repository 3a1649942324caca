"""Weights that stay quantised in memory, and the linear layer that takes their format as a part."""

from __future__ import annotations

from wancore.quant.linear import Linear
from wancore.quant.weight import QuantisationError, Weight, dense_weight, requantise, weight_format

__all__ = ["Linear", "QuantisationError", "Weight", "dense_weight", "requantise", "weight_format"]
