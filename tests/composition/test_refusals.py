"""What cannot be combined says why, with both names, before anything is loaded."""

from __future__ import annotations

import pytest

from wancore.engine import Engine
from wancore.engine.models import Models
from wancore.errors import CheckpointError, Conflict, InvalidInput, WancoreError
from wancore.testing import make_tiny


@pytest.fixture
def refused(stage, monkeypatch):
    """The error of a request, made without a single weight being read."""

    def refusal(request) -> WancoreError:
        with monkeypatch.context() as patched:
            patched.setattr(Engine, "models_for", lambda *_: pytest.fail("something was loaded"))
            with pytest.raises(WancoreError) as caught:
                next(stage.engine.generate(request))
        assert "\n" not in str(caught.value)
        return caught.value

    return refusal


def test_two_families_in_front_of_the_clip(stage, refused):
    error = refused(stage.request("references", "front"))
    assert isinstance(error, Conflict)
    assert set(error.claimants) == {"VACE", "front"} and error.resource == "canvas head"
    assert "VACE" in str(error) and "front" in str(error)


def test_a_lead_in_front_of_the_clip(stage, refused):
    (use,) = stage.attach("references")
    error = refused(stage.request("front", modules=use["modules"], inputs=use["inputs"]))
    assert isinstance(error, Conflict) and set(error.claimants) == {"VACE", "front"}


def test_without_references_nothing_is_in_front(stage):
    """What a family claims depends on what the request gives it."""
    assert stage.frames(stage.request("vace", "front")).shape == (9, 48, 64, 3)


def test_a_family_that_only_leads(stage, refused):
    error = refused(stage.request(attachments=[{"name": "recammaster"}]))
    assert isinstance(error, InvalidInput) and error.field == "attachments"
    assert "vace" in error.accepted and "recammaster" not in error.accepted


def test_twice_the_same(stage, refused):
    error = refused(stage.request("wave", "wave"))
    assert isinstance(error, InvalidInput) and "wave" in str(error)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"params": {"strenght": 1}}, "params.strenght"),
        ({"params": {"strength": "much"}}, "params.strength"),
        ({"inputs": {"picture": "x.png"}}, "inputs.picture"),
    ],
)
def test_what_a_family_does_not_declare(stage, refused, given, field):
    """Without a check of its own."""
    error = refused(stage.request(attachments=[{"name": "wave", **given}]))
    assert isinstance(error, InvalidInput) and (error.field, error.attachment) == (field, "wave")


def test_two_that_speak(stage, refused):
    """Under a silent lead."""
    module = str(stage.files["audio module"])
    uses = [
        {"name": name, "modules": [module], "inputs": {"audio": stage.files["speech"]}}
        for name in ("infinitetalk", "multitalk")
    ]
    error = refused(stage.request(attachments=uses))
    assert isinstance(error, Conflict) and "sound" in error.resource


def test_another_base(stage, refused, tmp_path):
    """VACE under an image-to-video model."""
    error = refused(stage.request("vace", model=make_tiny("i2v", tmp_path / "i2v")))
    assert isinstance(error, CheckpointError | InvalidInput)
    assert "VACE" in str(error) and "text-to-video" in str(error)


def test_a_module_that_is_nowhere(stage, refused):
    use = {**stage.attach("vace")[0], "modules": []}
    error = refused(stage.request(attachments=[use]))
    assert isinstance(error, CheckpointError) and "VACE" in str(error)


def test_an_attachments_own_fields(stage, refused):
    use = {**stage.attach("vace")[0], "params": {"strength": 20}}
    error = refused(stage.request(attachments=[use]))
    assert isinstance(error, InvalidInput) and "strength" in error.field


def test_a_method_that_needs_what_a_family_has(stage):
    """The projector of one and the factor of the other both replace the attention's output."""
    request = stage.recammaster(methods=[{"name": "feta"}])
    with pytest.raises(Conflict, match="ReCamMaster and feta cannot be combined: both need attention output"):
        next(stage.engine.generate(request))


def test_what_cannot_follow_a_window(stage, monkeypatch):
    """Channels that do not say how, a clock: told before a transformer is loaded."""
    windows = {"frames": 5, "overlap": 0}
    monkeypatch.setattr(Models, "expert", lambda *given: pytest.fail("a transformer was loaded"))
    with pytest.raises(WancoreError, match="overlapping windows need one timestep"):
        list(stage.engine.generate(stage.request(family="keeping", windows=windows)))
