"""Captioned videos of moving shapes, drawn on the fly."""
