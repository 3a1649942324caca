"""Golden cases of LoRA files and how they are applied."""

from __future__ import annotations

from wancore.parity.kind import Kind

KINDS = (Kind("_lora", "lora", "wancore.lora.parity_cases:lora"),)
