import pytest

from wancore.cli.values import named_use
from wancore.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("slg", {}),
        ("slg:blocks=9;10,start=0.2", {"blocks": [9, 10], "start": 0.2}),
        ("slg:blocks=[9,10],end=0.5", {"blocks": [9, 10], "end": 0.5}),
        ("nag:text=blurry, low quality,alpha=0.5", {"text": "blurry, low quality", "alpha": 0.5}),
    ],
)
def test_a_named_use(text, params):
    assert named_use("method", text) == {"name": text.partition(":")[0], "params": params}


@pytest.mark.parametrize("text", [":a=1", "slg:blocks", "slg:a=1,a=2"])
def test_what_is_no_named_use(text):
    with pytest.raises(InvalidInput, match="method"):
        named_use("method", text)
