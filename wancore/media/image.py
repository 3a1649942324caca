"""Still images from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wancore.errors import InvalidInput
from wancore.media.pixels import Pixels, on_white

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_IMAGE_PIXELS = 64_000_000
#: What Pillow may try. Its other formats start external programs or are no pictures of a user's.
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
ACCEPTED = (
    f"a still image (PNG, JPEG, WebP, BMP, TIFF, GIF) of at most {MAX_IMAGE_PIXELS // 1_000_000} Mpixel"
)


def read_image(path: Path | str, field: str = "image") -> Pixels:
    """The picture in a file: uint8 [H, W, 3], RGB, full range.

    Turned upright as its EXIF data say; transparency is laid over white; 16-bit grey is rounded to
    8 bits. Embedded colour profiles are not applied. Raises `InvalidInput` for `field`, naming the
    file, if it is missing, no image, damaged, an animation or larger than `MAX_IMAGE_PIXELS`.
    """
    from PIL import Image, UnidentifiedImageError

    if not Path(path).is_file():
        raise refused(field, path, "there is no such file")
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            if problem := unsuitable(image):
                raise refused(field, path, problem)
            return rgb(image)
    except UnidentifiedImageError:
        raise refused(field, path, "this file is none of these") from None
    except InvalidInput:
        raise
    except Exception as error:  # on damaged files, the decoders raise whatever happens to go wrong
        raise refused(field, path, f"this file cannot be decoded ({error})") from error


def unsuitable(image: Image) -> str:
    """Why an opened, not yet decoded image is not taken, or ''."""
    if image.width * image.height > MAX_IMAGE_PIXELS:
        return f"this one has {image.width} x {image.height} pixels"
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # an MPO's others are thumbnails
        return "this one is an animation or has several pages"
    if image.mode in ("I", "F"):
        return f"this one has {image.mode!r} pixels, whose range is unknown"
    return ""


def rgb(image: Image) -> Pixels:
    """Decodes: uint8 [H, W, 3]."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):  # which Pillow would clip, not scale
        grey = np.asarray(upright).astype(np.uint32)
        return np.repeat(((grey + 128) // 257).astype(np.uint8)[..., None], 3, axis=-1)
    if upright.has_transparency_data:
        return on_white(np.asarray(upright.convert("RGBA")))
    return np.array(upright.convert("RGB"))


def refused(field: str, path: Path | str, problem: str) -> InvalidInput:
    return InvalidInput(field, str(path), f"{ACCEPTED}; {problem}")
