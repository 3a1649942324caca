"""Images to tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F

from wancore.checkpoints import FileView
from wancore.encoders.clip import ClipVision, load_clip

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class ImageEncoder:
    """An image encoder with its preprocessing."""

    model: ClipVision

    def encode(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Images [3, H, W] in [-1, 1], of any sizes -> tokens [n, 1 + patches, width].

        The class token comes first; ViT-H gives [n, 257, 1280].
        """
        return self.encode_pixels(torch.stack([stretched(image, self.model.size) for image in images]))

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels [n, 3, size, size], preprocessed by one of the functions below -> tokens as `encode`."""
        tokens: torch.Tensor = self.model(pixels.to(self.model.device))
        return tokens

    def to(self, device: torch.device | str) -> Self:
        """Moves the weights."""
        self.model.to(device)
        return self


def load_image_encoder(
    source: FileView | Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> ImageEncoder:
    """An image encoder from a file or folder, in the upstream, Hugging Face or ComfyUI layout.

    Upstream runs it in float16. Raises `CheckpointError`.
    """
    return ImageEncoder(load_clip(source, dtype=dtype, device=device))


def stretched(image: torch.Tensor, size: int) -> torch.Tensor:
    """Image [3, H, W] in [-1, 1] -> normalised pixels [3, size, size], as upstream prepares them.

    Straight to the square, not keeping the aspect ratio, bicubic without antialiasing.
    Source: wan/modules/clip.py of Wan-Video/Wan2.1.
    """
    square = F.interpolate(image[None].float(), size=(size, size), mode="bicubic", align_corners=False)
    return normalised(square[0] * 0.5 + 0.5)


def crop_center(image: torch.Tensor, size: int) -> torch.Tensor:
    """Image [3, H, W] in [0, 1] -> normalised pixels [3, size, size], as ComfyUI's `crop: center`.

    The short side to `size`, bicubic with antialiasing, then the middle.
    """
    height, width = image.shape[1:]
    scale = size / min(height, width)
    scaled = antialiased(image, round(height * scale), round(width * scale))
    top, left = (scaled.shape[1] - size) // 2, (scaled.shape[2] - size) // 2
    return normalised(eight_bit(scaled[:, top : top + size, left : left + size]))


def crop_disabled(image: torch.Tensor, size: int) -> torch.Tensor:
    """Image [3, H, W] in [0, 1] -> normalised pixels [3, size, size], as ComfyUI's `crop: disabled`.

    Straight to the square, bicubic with antialiasing.
    """
    return normalised(eight_bit(antialiased(image, size, size)))


def antialiased(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if image.shape[1:] == (height, width):
        return image.float()
    return F.interpolate(image[None].float(), size=(height, width), mode="bicubic", antialias=True)[0]


def eight_bit(image: torch.Tensor) -> torch.Tensor:
    """[0, 1] on the grid of 8-bit values; bicubic overshoot is cut."""
    return (image * 255.0).clamp(0, 255).round() / 255.0


def normalised(image: torch.Tensor) -> torch.Tensor:
    """[3, H, W] in [0, 1] -> zero mean and unit deviation over CLIP's training images."""
    mean, deviation = image.new_tensor(MEAN)[:, None, None], image.new_tensor(DEVIATION)[:, None, None]
    return (image - mean) / deviation
