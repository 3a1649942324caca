import pytest

from wancore.errors import InvalidInput
from wancore.runtime.settings import load_settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("WAN_LORA_STREAMING", "WAN_LORA_ONTHEFLY", "WAN_LORA_TIMING", "WANCORE_LORA_MODE"):
        monkeypatch.delenv(name, raising=False)


def test_defaults():
    settings = load_settings()
    assert (settings.lora_mode, settings.lora_streaming, settings.lora_timing) == ("auto", True, False)


def test_the_ancestors_variables_are_defaults(monkeypatch):
    monkeypatch.setenv("WAN_LORA_STREAMING", "0")
    monkeypatch.setenv("WAN_LORA_ONTHEFLY", "1")
    monkeypatch.setenv("WAN_LORA_TIMING", "1")
    settings = load_settings()
    assert (settings.lora_mode, settings.lora_streaming, settings.lora_timing) == ("on-the-fly", False, True)
    monkeypatch.setenv("WANCORE_LORA_MODE", "merged")
    assert load_settings().lora_mode == "merged"
    assert load_settings(lora_mode="streaming", lora_timing=False).lora_mode == "streaming"
    monkeypatch.setenv("WAN_LORA_ONTHEFLY", "0")
    monkeypatch.delenv("WANCORE_LORA_MODE")
    assert load_settings().lora_mode == "auto"


def test_a_bad_value_is_named():
    with pytest.raises(InvalidInput, match="lora_mode"):
        load_settings(lora_mode="fast")
