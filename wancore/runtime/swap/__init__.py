"""Modules whose weights wait in host memory and are copied to the device just before they are used."""

from wancore.runtime.swap.copies import Copies, copies_for
from wancore.runtime.swap.swap import Swap
from wancore.runtime.swap.unit import Unit

__all__ = ["Copies", "Swap", "Unit", "copies_for"]
