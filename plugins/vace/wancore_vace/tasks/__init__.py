"""The pairs of frames and masks that make VACE do one thing or another.

Arrays are NumPy: frames [F, H, W, 3] RGB 0..255, masks [F, H, W] 0..255, 255 where pixels are to be
generated. Source of the rules: ali-vilab/VACE `vace/annotators/`.
"""
