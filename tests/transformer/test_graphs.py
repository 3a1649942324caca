"""Which predictions may be replayed; that they then give the same bits is tests/engine/test_cuda.py's."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests.lora.adapters import lora, low_rank, write
from tests.runtime.swap.stages import swapped
from tests.transformer.models import tiny
from tests.transformer.scene import Scene
from wancore.lora.runtime import LoraOptions, apply_loras
from wancore.transformer.compiled import compile_blocks
from wancore.transformer.graphs import KINDS, Graphs, Seen, repeatable, untouched
from wancore.transformer.predict import predict


def scene():
    model = tiny(num_layers=3).requires_grad_(False)
    return model, Scene(model).inputs()


@torch.no_grad()
def test_on_a_cpu_every_prediction_is_a_forward():
    model, inputs = scene()
    graphs = Graphs(model, lambda given: predict(model, given))
    wanted = predict(model, inputs)
    assert all(torch.equal(graphs.predict(inputs), wanted) for _ in range(4))
    assert not graphs.seen


def test_a_kind_is_what_it_reads_beside_latents_and_timestep():
    _, inputs = scene()
    seen = Seen(inputs)
    assert seen.serves(inputs.reading(inputs.latents + 1, inputs.t / 2))
    other = inputs.latents[:, :, :-2]
    assert not seen.serves(inputs.reading(other, inputs.t))
    assert not seen.serves(inputs.reading(inputs.latents.double(), inputs.t))
    assert not seen.serves(replace(inputs, layout=replace(inputs.layout)))
    assert not seen.serves(replace(inputs, text=replace(inputs.text)))


def test_adapters_skipped_blocks_and_step_caches_are_not_repeated():
    _, inputs = scene()
    assert repeatable(inputs)
    assert not repeatable(replace(inputs, data={"audio": object()}))
    assert not repeatable(replace(inputs, skip=(1,)))
    assert not repeatable(replace(inputs, run=lambda blocks, x, e, e0: blocks(x)))


def test_layouts_that_change_each_time_do_not_pile_up():
    model, inputs = scene()
    graphs = Graphs(model, lambda given: predict(model, given))
    kinds = [replace(inputs, layout=replace(inputs.layout)) for _ in range(2 * KINDS)]
    found = [graphs.find(kind) for kind in kinds]
    assert len(graphs.seen) == KINDS and graphs.find(kinds[-1]) is found[-1]


def test_swapped_compiled_and_hooked_models_are_left_alone(tmp_path):
    model, _ = scene()
    assert untouched(model)
    file = lora(write(tmp_path / "pairs.safetensors", low_rank(model)))
    for mode, left_alone in (("merged", False), ("on-the-fly", True), ("streaming", True)):
        with apply_loras(model, [file], LoraOptions(mode)):
            assert untouched(model) != left_alone, mode
    swap = swapped(model, resident=1)
    swap.engage()
    assert not untouched(model)
    swap.release()
    assert untouched(model)
    compile_blocks(model, backend="eager")
    assert not untouched(model)
