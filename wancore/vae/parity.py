"""Golden-case kinds of this component."""

from __future__ import annotations

from wancore.parity.kind import Kind

KINDS: tuple[Kind, ...] = tuple(
    Kind("_vae", kind, f"wancore.vae.parity_cases:{kind}", placed=kind.startswith("vae"))
    for kind in (
        "latent_rgb",
        "taehv_case",
        "vae_decode",
        "vae_diffusers",
        "vae_encode",
        "vae_end_image",
        "vae_stream",
        "vae_tiled",
    )
)
