from pathlib import Path

import pytest
from wancore_guidance.methods import METHODS

from wancore.errors import InvalidInput
from wancore.plugins import plugin_manager
from wancore.plugins.inputs import parse_parameters
from wancore.sampling.method_card import with_card

README = Path(__file__).parents[1] / "README.md"


def test_the_plugin_offers_its_methods():
    offered = {
        spec.name for plugin, spec in plugin_manager().collect("wancore_methods") if plugin == "guidance"
    }
    assert offered == {spec.name for spec in METHODS}


def test_the_card_is_up_to_date():
    page = README.read_text()
    assert with_card(page, METHODS) == page, "run python tools/method_cards.py"


@pytest.mark.parametrize("spec", METHODS, ids=lambda s: s.name)
def test_every_parameter_is_described(spec):
    assert all(field.description for field in spec.parameters.model_fields.values())
    assert spec.help and spec.sources


@pytest.mark.parametrize("spec", METHODS, ids=lambda s: s.name)
def test_unknown_parameters_are_refused(spec):
    given = {"prompts": ["a"]} if spec.name == "prompt-split" else {}
    with pytest.raises(InvalidInput, match="strenght"):
        parse_parameters(spec.parameters, {**given, "strenght": 1}, f"methods.{spec.name}")
