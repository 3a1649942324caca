from pathlib import Path

import pytest
from wancore_caching.methods import METHODS

from wancore.plugins import plugin_manager
from wancore.sampling.method_card import with_card

README = Path(__file__).parents[1] / "README.md"


def test_the_plugin_offers_its_methods():
    offered = {
        spec.name for plugin, spec in plugin_manager().collect("wancore_methods") if plugin == "caching"
    }
    assert offered == {spec.name for spec in METHODS}


def test_the_card_is_up_to_date():
    page = README.read_text()
    assert with_card(page, METHODS) == page, "run python tools/method_cards.py"


@pytest.mark.parametrize("spec", METHODS, ids=lambda s: s.name)
def test_every_parameter_is_described(spec):
    assert all(field.description for field in spec.parameters.model_fields.values())
    assert spec.help and spec.sources
