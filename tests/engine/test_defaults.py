"""What the settings say where a request is silent: the same for the command line, Python and the server."""

import pytest

from tests.engine.tiny import engine
from wancore.engine.defaults import with_defaults
from wancore.request import parse_request
from wancore.runtime.settings import Settings

SETTINGS = Settings(model="m", width=64, height=48, frames=5, fps=12, steps=3)


def test_where_the_request_is_silent():
    request = with_defaults(parse_request({}), SETTINGS)
    assert (request.model, str(request.size), request.frames, request.fps) == ("m", "64x48", 5, 12)
    assert request.steps == 3
    assert with_defaults(parse_request({}), Settings(width=64)).size is None, "half a size is none"


@pytest.mark.parametrize(
    "field", [{"model": "n"}, {"size": "32x32"}, {"frames": 9}, {"fps": 8.0}, {"steps": 8}]
)
def test_not_where_it_is_not(field):
    asked = parse_request(field)
    (name,) = field
    assert getattr(with_defaults(asked, SETTINGS), name) == getattr(asked, name)


def test_steps_are_a_default_only_where_they_apply():
    assert with_defaults(parse_request({"sigmas": [1.0, 0.0]}), SETTINGS).steps is None


def test_the_engine_asks_them(tiny):
    runs = engine(width=64, height=48, frames=5, fps=12, steps=3)
    accepted = runs.check(parse_request({"model": str(tiny("t2v"))}))
    assert (accepted.width, accepted.height, accepted.frames) == (64, 48, 5)
    assert (accepted.fps, accepted.steps) == (12, 3)
