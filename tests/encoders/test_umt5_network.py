from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import UMT5Config
from transformers.models.umt5.modeling_umt5 import UMT5Attention, UMT5EncoderModel

from wancore.checkpoints.keymap import KeyMap
from wancore.encoders.umt5 import ENCODER, SHARED
from wancore.encoders.umt5_network import Umt5, Umt5Config, position_buckets

NAMES = KeyMap.of({SHARED: "token_embedding.weight", **ENCODER})


def pair(config: Umt5Config) -> tuple[Umt5, UMT5EncoderModel]:
    """Ours and the library's with the same random weights."""
    library = UMT5EncoderModel(
        UMT5Config(
            vocab_size=config.vocabulary,
            d_model=config.width,
            d_kv=config.inner // config.heads,
            d_ff=config.hidden,
            num_layers=config.layers,
            num_heads=config.heads,
            relative_attention_num_buckets=config.buckets,
            relative_attention_max_distance=config.max_distance,
            layer_norm_epsilon=config.eps,
        )
    ).eval()
    ours = Umt5(config)
    weights = {NAMES.rename(name): weight for name, weight in library.state_dict().items()}
    weights.pop("encoder.embed_tokens.weight", None)
    ours.load_state_dict(weights)
    return ours, library


@settings(max_examples=20)
@given(
    heads=st.integers(1, 4),
    head=st.integers(1, 9),
    width=st.integers(2, 24),
    hidden=st.integers(1, 40),
    layers=st.integers(1, 3),
    buckets=st.sampled_from([4, 8, 32, 64]),
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    seed=st.integers(0, 2**16),
)
def test_any_size_is_the_library_s(
    heads: int, head: int, width: int, hidden: int, layers: int, buckets: int, lengths: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    ours, library = pair(Umt5Config(50, width, heads, heads * head, hidden, layers, buckets, 20, 1e-5))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(0, 50, mask.shape) * mask
    with torch.no_grad():
        expected = library(ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(ours(ids, mask), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (8, 20), (4, 3), (64, 1000)])
def test_buckets_are_the_library_s(buckets: int, distance: int) -> None:
    config = UMT5Config(relative_attention_num_buckets=buckets, relative_attention_max_distance=distance)
    offsets = torch.arange(300) - torch.arange(300)[:, None]
    expected = UMT5Attention(config, has_relative_attention_bias=True)._relative_position_bucket(offsets)
    assert torch.equal(position_buckets(300, buckets, distance), expected)


def test_half_precision_stays_finite() -> None:
    torch.manual_seed(0)
    ours = Umt5(Umt5Config(20, 16, 2, 16, 32, 2)).half()
    with torch.no_grad():
        for weights in ours.parameters():
            weights.normal_()
        for block in ours.blocks:
            block.ffn.fc2.weight.fill_(60000)
    ids, mask = torch.tensor([[3, 4, 1]]), torch.ones(1, 3)
    with torch.no_grad():
        assert not ours.blocks[0].ffn(ours.token_embedding(ids)).isfinite().all()
    assert ours(ids, mask).isfinite().all()
