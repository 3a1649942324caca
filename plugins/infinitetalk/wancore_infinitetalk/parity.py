"""Golden-case kinds of InfiniteTalk."""

from __future__ import annotations

from wancore.parity import Kind

CASES = "wancore_talking.parity_cases"

KINDS = (
    Kind("infinitetalk", "transformer", "wancore_talking.parity_forward:transformer", placed=True),
    Kind("infinitetalk", "audio_proj", f"{CASES}:audio_proj"),
    Kind("infinitetalk", "apg", f"{CASES}:apg"),
    Kind("infinitetalk", "cfg", f"{CASES}:cfg"),
    Kind("infinitetalk", "color_match", f"{CASES}:color_match"),
    Kind("infinitetalk", "loudness_norm", f"{CASES}:loudness_norm"),
    Kind("infinitetalk", "ref_target_masks", f"{CASES}:ref_target_masks"),
    Kind("infinitetalk", "timesteps", f"{CASES}:timesteps"),
    Kind("infinitetalk", "wav2vec_features", f"{CASES}:wav2vec_features"),
    Kind("infinitetalk", "teacache", "wancore_infinitetalk.parity_cases:teacache"),
    Kind("infinitetalk", "window_loop", "wancore_infinitetalk.parity_cases:window_loop"),
)
