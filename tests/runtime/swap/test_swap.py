"""Swapped or not, the same bits; and what is where, step by step."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.runtime.swap.stages import CPU, Poisoned, swapped
from tests.transformer.models import tiny
from tests.transformer.scene import Scene
from wancore.runtime.swap import Swap, Unit
from wancore.runtime.swap.swap import stays
from wancore.transformer.predict import predict

LAYERS = 5


@pytest.fixture(scope="module")
def model():
    return tiny(num_layers=LAYERS).requires_grad_(False)


@pytest.fixture(scope="module")
def wanted(model):
    return Scene(model).predict()


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("resident", [0, 1, 3, LAYERS])
@torch.no_grad()
def test_the_same_bits_with_any_number_of_blocks_on_the_device(model, wanted, resident, slots, rare):
    swap = swapped(model, resident, slots, rare_resident=rare)
    swap.engage()
    assert [u.resident for u in swap.units if not u.rare].count(True) == resident
    assert all(u.resident is rare and u.nbytes for u in swap.units if u.rare)
    for _ in range(3):  # text is embedded in each, which visits every block once more
        assert torch.equal(Scene(model).predict(), wanted)
    swap.release()
    assert torch.equal(Scene(model).predict(), wanted)


@torch.no_grad()
def test_after_the_first_round_nothing_is_waited_for(model, wanted):
    swap = swapped(model, resident=1)
    swap.engage()
    inputs = Scene(model).inputs()
    predict(model, inputs)
    before = swap.counts.waited
    for _ in range(3):
        assert torch.equal(predict(model, inputs), wanted)
    assert swap.counts.waited == before == 1
    swap.release()


@torch.no_grad()
def test_skipped_blocks_and_runs_that_break_off(model):
    expected = Scene(model, skip=(1, 3)).predict()
    whole = Scene(model).predict()
    swap = swapped(model)
    swap.engage()
    assert torch.equal(Scene(model, skip=(1, 3)).predict(), expected)

    def stop(module, args):
        raise KeyboardInterrupt

    handle = model.blocks[2].cross_attn.register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        Scene(model).predict()
    handle.remove()
    assert torch.equal(Scene(model).predict(), whole)
    assert torch.equal(Scene(model, skip=(0,)).predict(), Scene(model, skip=(0,)).predict())
    swap.release()


@torch.no_grad()
def test_on_the_device_are_the_resident_blocks_and_the_slots(model):
    swap = swapped(model, resident=2)
    swap.engage()
    Scene(model).predict()
    each, keys = swap.units[0].nbytes, swap.units[-1].nbytes
    assert each + keys > 0.9 * sum(p.nbytes for p in model.blocks[0].parameters())
    assert swap.device_bytes == 4 * each + LAYERS * keys
    loaded = [u for u in swap.swapped if u.slot is not None]
    assert len(loaded) == 2 and len({u.slot for u in loaded}) == 2
    swap.release()
    assert swap.device_bytes == 2 * each + LAYERS * keys


@torch.no_grad()
def test_a_slot_is_filled_only_after_its_last_use_was_noted(model):
    swap = swapped(model, rare_resident=False)
    swap.engage()
    Scene(model).predict()
    copies = swap.copies
    assert isinstance(copies, Poisoned)
    in_use: set[int] = set()
    for what, slot in copies.log:
        assert not (what == "copy" and slot in in_use), "overwritten while it was read"
        (in_use.add if what == "await" else in_use.discard)(slot)
    assert [what for what, _ in copies.log].count("await") == 2 * LAYERS, "keys of text, then the blocks"
    swap.release()


@torch.no_grad()
def test_weights_are_changed_while_everything_is_at_home(model, wanted):
    swap = swapped(model, resident=1)
    swap.engage()
    weight = model.blocks[1].ffn[0].weight
    with swap.editing():
        original = weight.clone()
        model.blocks[1].ffn[0].weight = nn.Parameter(2 * weight, requires_grad=False)
        with swap.editing():
            assert not swap.engaged
        assert not swap.engaged
    doubled = Scene(model).predict()
    assert not torch.equal(doubled, wanted)
    with swap.editing():
        model.blocks[1].ffn[0].weight = weight
    assert torch.equal(Scene(model).predict(), wanted)
    swap.release()
    assert torch.equal(weight, original)


@torch.no_grad()
def test_another_number_of_resident_blocks(model, wanted):
    swap = swapped(model, resident=LAYERS)
    swap.engage()
    assert swap.swapped == [] and torch.equal(Scene(model).predict(), wanted)
    for count in (2, 0, 4, LAYERS):
        swap.keep_resident(count)
        assert len(swap.swapped) == LAYERS - count
        assert torch.equal(Scene(model).predict(), wanted)
    swap.release()


@torch.no_grad()
def test_what_makes_keys_of_text_passes_once_for_each_text(model, wanted):
    swap = swapped(model, resident=LAYERS, rare_resident=False)
    swap.engage()
    inputs = Scene(model).inputs()
    assert swap.counts.copied >= LAYERS
    copied = swap.counts.copied
    for _ in range(3):
        assert torch.equal(predict(model, inputs), wanted)
    assert swap.counts.copied == copied
    swap.release()


@torch.no_grad()
def test_what_units_share_stays_on_the_device():
    shared = nn.Linear(4, 4)
    own = [nn.Sequential(nn.Linear(4, 4), shared) for _ in range(3)]
    x = torch.randn(2, 4)
    wanted = [m(x) for m in own]
    swap = Swap([Unit(str(i), (m,)) for i, m in enumerate(own)], CPU, 0, 2, Poisoned(), least=1)
    swap.engage()
    assert all(len(u.held) == 2 for u in swap.units)
    for _ in range(2):
        assert all(torch.equal(m(x), w) for m, w in zip(own, wanted, strict=True))
    swap.release()


@torch.no_grad()
def test_small_tensors_do_not_move():
    modules = [nn.Linear(64, 64) for _ in range(3)]
    swap = Swap([Unit(str(i), (m,)) for i, m in enumerate(modules)], CPU, 0, 2, Poisoned(), least=1024)
    swap.engage()
    assert all([h.name for h in u.held] == ["weight"] for u in swap.units)
    modules[0].bias.copy_(torch.ones(64))  # a slot would have lost it
    for m in modules:
        m(torch.randn(1, 64))
    swap.release()
    assert torch.equal(modules[0].bias, torch.ones(64))


@given(st.integers(1, 50), st.data())
@settings(deadline=None)
def test_resident_blocks_are_spread_evenly(count, data):
    resident = data.draw(st.integers(0, count))
    chosen = [stays(i, count, resident) for i in range(count)]
    assert sum(chosen) == resident
    if resident:
        gaps = "".join("r" if c else "s" for c in chosen).split("r")
        inner = [len(g) for g in gaps[1:-1]]
        assert not inner or max(inner) - min(inner) <= 1
