"""What tests of plugins need: whole models that are tiny and random, in the layouts of the released ones."""

from wancore.testing.tiny import make_tiny

__all__ = ["make_tiny"]
