"""Upstream's default negative prompt (MeiGen-AI/InfiniteTalk, `wan/multitalk.py`)."""

NEGATIVE = (
    "bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static,"
    " overall gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers,"
    " poorly drawn hands, poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still"
    " picture, messy background, three legs, many people in the background, walking backwards"
)
