"""The wancore server: jobs on worker processes, frames streamed while they are decoded."""

__version__ = "0.1.0"
