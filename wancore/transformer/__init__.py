"""The Wan diffusion transformer and its extension points."""
