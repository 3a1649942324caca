import pytest

from wancore.errors import InvalidInput
from wancore.runtime.settings import load_settings


def test_the_ancestors_variables_are_defaults(monkeypatch):
    monkeypatch.setenv("MAX_STEPS", "3")
    monkeypatch.setenv("MOTION_FRAME", "24")
    settings = load_settings()
    assert settings.steps == 3
    assert settings.motion_frame == 25, "rounded to whole latent frames"
    assert settings.parameters == {"motion_frame": 25}
    monkeypatch.setenv("WANCORE_STEPS", "6")
    assert load_settings().steps == 6
    assert load_settings(steps=4).steps == 4


def test_no_variable_no_default(monkeypatch):
    monkeypatch.delenv("MOTION_FRAME", raising=False)
    assert load_settings().parameters == {}


def test_a_bad_variable_is_named(monkeypatch):
    monkeypatch.setenv("MOTION_FRAME", "many")
    with pytest.raises(InvalidInput, match="motion_frame"):
        load_settings()
