"""Lays the frames of a video out in one picture, with the metadata of the video.

python tools/contact_sheet.py VIDEO PICTURE.png [--columns N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wancore.errors import InvalidInput
from wancore.media import contact_sheet, read_metadata, read_video, write_png


def main() -> None:
    parser = argparse.ArgumentParser(description="Lay the frames of a video out in one picture.")
    parser.add_argument("video", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--columns", type=int, default=6)
    given = parser.parse_args()
    sheet = contact_sheet(read_video(given.video).frames, given.columns)
    try:
        metadata = read_metadata(given.video)
    except InvalidInput:  # a video without any still has a sheet
        metadata = None
    write_png(given.picture, sheet, metadata)


if __name__ == "__main__":
    main()
