"""wancore: an engine for the Wan video-diffusion family."""

__version__ = "0.1.0"
