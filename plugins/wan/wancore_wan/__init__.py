"""The base Wan 2.1 and 2.2 models: T2V, I2V, FLF2V, A14B experts, TI2V-5B."""

WANCORE_API = (1, 1)
