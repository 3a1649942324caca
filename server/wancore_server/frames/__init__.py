"""Frames on disk: the spool that workers write, and the tracks of other encodings made from it."""
