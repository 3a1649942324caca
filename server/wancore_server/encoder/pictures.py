"""Single frames as files."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

PNG_LEVEL = 1  # of 9: speed counts here, size little


def png(frame: np.ndarray) -> bytes:
    """Frame [H, W, 3] uint8."""
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def jpeg(frame: np.ndarray, quality: int) -> bytes:
    """Frame [H, W, 3] uint8; colours at full resolution."""
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, format="JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
