"""Names of the adapter's tensors; nothing here imports torch."""

NAME = "audio_proj"
ALIAS = "multitalk_audio_proj"  # as ComfyUI-WanVideoWrapper's files have it

KEYS = (
    f"{{{NAME},{ALIAS}}}.{{proj1,proj1_vf,proj2,proj3,norm}}.**",
    "blocks.N.audio_cross_attn.{q_linear,kv_linear,proj}.**",
    "blocks.N.norm_x.**",
)
