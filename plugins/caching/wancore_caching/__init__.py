"""Step caches for wancore: TeaCache, MagCache, EasyCache."""

WANCORE_API = (1, 1)
