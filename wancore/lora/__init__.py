"""LoRA and its relatives: files of every format, and how they act on a model."""

from wancore.lora.find import find_lora
from wancore.lora.spec import LoraSpec, parse_lora

__all__ = ["LoraSpec", "find_lora", "parse_lora"]
