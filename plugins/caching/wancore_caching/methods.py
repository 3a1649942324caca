"""The methods of this distribution, as a user names them."""

from __future__ import annotations

from wancore.sampling.method import MethodSpec, method_at
from wancore_caching import parameters as p

OWNS = "the step cache"

METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        "teacache",
        "TeaCache: skips the blocks while the time embedding has changed little",
        p.TeaCacheParameters,
        method_at("wancore_caching.teacache:TeaCache"),
        owns=OWNS,
        sources=("arXiv:2411.19108", "github.com/ali-vilab/TeaCache"),
    ),
    MethodSpec(
        "magcache",
        "MagCache: skips the blocks while calibrated magnitudes say that their residual has changed little",
        p.MagCacheParameters,
        method_at("wancore_caching.magcache:MagCache"),
        owns=OWNS,
        sources=("arXiv:2506.09045", "github.com/Zehong-Ma/MagCache"),
    ),
    MethodSpec(
        "easycache",
        "EasyCache: skips the model while the latent has changed little; needs no table",
        p.EasyCacheParameters,
        method_at("wancore_caching.easycache:EasyCache"),
        owns=OWNS,
        sources=("arXiv:2507.02860", "github.com/H-EmbodVis/EasyCache"),
    ),
)
