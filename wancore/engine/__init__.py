"""The engine: a request in, a stream of events out."""

from wancore.engine.engine import Engine

__all__ = ["Engine"]
