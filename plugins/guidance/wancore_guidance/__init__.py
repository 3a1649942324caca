"""Guidance methods for wancore: CFG-Zero*, TCFG, RAAG, FreSca, TSR, SLG, NAG, FETA, FreeInit and more."""

WANCORE_API = (1, 1)
