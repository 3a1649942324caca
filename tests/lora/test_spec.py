from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from wancore.errors import InvalidInput
from wancore.lora import LoraSpec, parse_lora


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("style", {"name": "style"}),
        ("style:0.8", {"name": "style", "strength": 0.8}),
        ("style:-1e2", {"name": "style", "strength": -100.0}),
        ("wan/style.safetensors:1", {"name": "wan/style.safetensors", "strength": 1.0}),
        ("C:\\loras\\style", {"name": "C:\\loras\\style"}),
        ("C:\\loras\\style:0.5", {"name": "C:\\loras\\style", "strength": 0.5}),
        ("a:strength=0.8,expert=high", {"name": "a", "strength": [0.8], "expert": "high"}),
        ("a:strength=1;0.5;0", {"name": "a", "strength": [1.0, 0.5, 0.0]}),
        ("a:strength=[1;0.5]", {"name": "a", "strength": [1.0, 0.5]}),
        ("a:blocks=0-2;7", {"name": "a", "blocks": [0, 1, 2, 7]}),
        ("a:layers=self_attn;ffn,drop=norm", {"name": "a", "layers": ["self_attn", "ffn"], "drop": ["norm"]}),
        ("a:dora=comfyui,partial=true", {"name": "a", "dora": "comfyui", "partial": "true"}),
    ],
)
def test_forms(text: str, fields: dict[str, Any]) -> None:
    assert parse_lora(text) == fields
    LoraSpec.model_validate(parse_lora(text))


@pytest.mark.parametrize(
    "text",
    ["", ":1", ":strength=1", "a:speed=1", "a:strength=", "a:strength=x", "a:blocks=3-1", "a:blocks=x",
     "a:blocks=0-99999999", "a:strength=1,strength=2"],
)  # fmt: skip
def test_mistakes(text: str) -> None:
    with pytest.raises(InvalidInput, match="lora"):
        parse_lora(text)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), 1001, [], "x", [1, None]])
def test_strengths_out_of_range(strength: Any) -> None:
    with pytest.raises(ValidationError):
        LoraSpec(name="a", strength=strength)


def test_a_short_schedule_keeps_its_last_value() -> None:
    spec = LoraSpec(name="a", strength=(1, 0.5))
    assert [spec.strength_at(i) for i in range(4)] == [1, 0.5, 0.5, 0.5]
    assert not spec.constant and LoraSpec(name="a", strength=(2, 2)).constant


def test_filters() -> None:
    spec = LoraSpec(name="a", blocks={1, 11}, drop=("ffn",))
    assert spec.covers("blocks.1.self_attn.q.weight") and spec.covers("blocks.11.norm3.bias")
    assert spec.covers("head.head.weight"), "a choice of blocks is none among the other parameters"
    assert not spec.covers("blocks.10.self_attn.q.weight")
    assert not spec.covers("blocks.1.ffn.0.weight")
    only = LoraSpec(name="a", layers=("self_attn",))
    assert only.covers("blocks.3.self_attn.q.weight") and not only.covers("blocks.3.cross_attn.q.weight")
