"""Every GGUF type that is read, by name."""

from __future__ import annotations

from wancore.quant.ggml import GgmlType
from wancore.quant.ggml_k import Q2K, Q3K, Q6K, Iq4Xs, MinScaled
from wancore.quant.ggml_legacy import Q8, Affine, Iq4Nl, Symmetric

GGML_TYPES: dict[str, GgmlType] = {
    kind.name: kind
    for kind in (
        Symmetric("Q4_0", 4),
        Affine("Q4_1", 4),
        Symmetric("Q5_0", 5),
        Affine("Q5_1", 5),
        Q8(),
        Iq4Nl(),
        Q2K(),
        Q3K(),
        MinScaled("Q4_K", 144, group=32, code_bits=4, scale_bits=6),
        MinScaled("Q5_K", 176, group=32, code_bits=5, scale_bits=6),
        Q6K(),
        Iq4Xs(),
    )
}
