"""The keys that VACE adds to a text-to-video checkpoint."""

KEYS = (
    "vace_patch_embedding.{weight,bias}",
    "vace_blocks.0.before_proj.{weight,bias}",
    "vace_blocks.N.after_proj.{weight,bias}",
    "vace_blocks.N.modulation",
    "vace_blocks.N.{self_attn,cross_attn}.{q,k,v,o}.{weight,bias}",
    "vace_blocks.N.{self_attn,cross_attn}.{norm_q,norm_k}.weight",
    "vace_blocks.N.norm3.{weight,bias}",
    "vace_blocks.N.ffn.{0,2}.{weight,bias}",
)

#: What diffusers calls them (`transformer_wan_vace.py`).
RENAMES = {
    "vace_blocks.N.{proj_in,proj_out}.*": "vace_blocks.N.{before_proj,after_proj}.*",
    "vace_blocks.N.scale_shift_table": "vace_blocks.N.modulation",
    "vace_blocks.N.attn1.{to_q,to_k,to_v,to_out.0,norm_q,norm_k}.*": (
        "vace_blocks.N.self_attn.{q,k,v,o,norm_q,norm_k}.*"
    ),
    "vace_blocks.N.attn2.{to_q,to_k,to_v,to_out.0,norm_q,norm_k}.*": (
        "vace_blocks.N.cross_attn.{q,k,v,o,norm_q,norm_k}.*"
    ),
    "vace_blocks.N.ffn.net.{0.proj,2}.*": "vace_blocks.N.ffn.{0,2}.*",
    "vace_blocks.N.norm2.*": "vace_blocks.N.norm3.*",
}
