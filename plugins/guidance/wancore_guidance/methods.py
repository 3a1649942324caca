"""The methods of this distribution, as a user names them."""

from __future__ import annotations

from wancore.sampling.method import MethodSpec, NoParameters, method_at
from wancore_guidance import parameters as p

CODE = "wancore_guidance"

METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        "cfg-zero-star",
        "CFG-Zero*: fits the unconditional prediction to the conditional one, and zeroes the first steps",
        p.ZeroStarParameters,
        method_at(f"{CODE}.zero_star:ZeroStar"),
        order=10,
        sources=("arXiv:2503.18886", "github.com/WeichenFan/CFG-Zero-star"),
    ),
    MethodSpec(
        "tcfg",
        "TCFG: removes what the unconditional prediction does not share with the conditional one",
        NoParameters,
        method_at(f"{CODE}.tangential:Tangential"),
        order=20,
        sources=("arXiv:2503.18137",),
    ),
    MethodSpec(
        "raag",
        "RAAG: less guidance at steps where the two predictions are far apart",
        p.RatioParameters,
        method_at(f"{CODE}.ratio:RatioAware"),
        order=30,
        sources=("arXiv:2508.03442",),
    ),
    MethodSpec(
        "fresca",
        "FreSca: scales low and high spatial frequencies of the guidance separately",
        p.FrequencyParameters,
        method_at(f"{CODE}.frequency:FrequencyScaling"),
        order=40,
        sources=("arXiv:2504.02154", "github.com/WikiChao/FreSca"),
    ),
    MethodSpec(
        "tsr",
        "TSR: temporal score rescaling, a temperature for the distribution that is sampled",
        p.RescalingParameters,
        method_at(f"{CODE}.rescaling:ScoreRescaling"),
        order=90,
        sources=("arXiv:2510.01184", "temporalscorerescaling.github.io"),
    ),
    MethodSpec(
        "slg",
        "SLG: skip layer guidance, away from what a model with blocks left out predicts",
        p.SkipLayerParameters,
        method_at(f"{CODE}.skip_layer:SkipLayer"),
        sources=("arXiv:2411.18664", "github.com/Stability-AI/sd3.5"),
    ),
    MethodSpec(
        "nag",
        "NAG: normalized attention guidance, a negative prompt that works without a guidance scale",
        p.NormalizedAttentionParameters,
        method_at(f"{CODE}.normalized_attention:NormalizedAttention"),
        owns="the text attention",
        sources=("arXiv:2505.21179", "github.com/ChenDarYen/Normalized-Attention-Guidance"),
    ),
    MethodSpec(
        "feta",
        "FETA (Enhance-A-Video): strengthens self-attention where frames already agree",
        p.EnhanceParameters,
        method_at(f"{CODE}.enhance:Enhance"),
        owns="attention output",
        sources=("arXiv:2502.07508", "github.com/NUS-HPC-AI-Lab/Enhance-A-Video"),
    ),
    MethodSpec(
        "freenoise",
        "FreeNoise: overlapping windows start from the same noise in another order",
        p.NoiseShuffleParameters,
        method_at(f"{CODE}.noise_shuffle:NoiseShuffle"),
        sources=("arXiv:2310.15169",),
    ),
    MethodSpec(
        "freeinit",
        "FreeInit: denoises again from the low frequencies of the last result and fresh high ones",
        p.FreeInitParameters,
        method_at(f"{CODE}.freeinit:FreeInit"),
        owns="the repetition of the denoising",
        sources=("arXiv:2312.07537", "github.com/TianxingWu/FreeInit"),
    ),
    MethodSpec(
        "latent-shift",
        "latent shift (Mobius): rotates the clip in time from step to step, for a seamless loop",
        p.LatentShiftParameters,
        method_at(f"{CODE}.latent_shift:LatentShift"),
        order=80,
        sources=("arXiv:2502.20307", "github.com/YisuiTT/Mobius"),
    ),
    MethodSpec(
        "riflex",
        "RIFLEx: longer clips than the model was trained on, without repetition",
        p.RiflexParameters,
        method_at(f"{CODE}.rotary:Riflex"),
        order=20,
        sources=("arXiv:2502.15894",),
    ),
    MethodSpec(
        "ntk",
        "NTK scaling of the rotary base per axis (CineScale): larger pictures than the model was trained on",
        p.NtkParameters,
        method_at(f"{CODE}.rotary:NtkScaling"),
        order=10,
        sources=("arXiv:2508.15774",),
    ),
    MethodSpec(
        "reversed-time",
        "numbers the clip's frames backwards, so that what the model shows first comes last",
        NoParameters,
        method_at(f"{CODE}.rotary:ReversedTime"),
        sources=("github.com/kijai/ComfyUI-WanVideoWrapper",),
    ),
    MethodSpec(
        "prompt-split",
        "several prompts, one after another along the clip, in a single denoising",
        p.PromptSplitParameters,
        method_at(f"{CODE}.prompt_split:PromptSplit"),
        owns="the text attention",
        sources=("github.com/kijai/ComfyUI-WanVideoWrapper",),
    ),
)
