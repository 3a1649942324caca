"""Adapters on a plain model: the same weights and predictions in every mode, and an exact way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.lora.adapters import lora, low_rank, model, velocity, weights, write
from tests.transformer.models import noise, relative
from wancore.errors import CheckpointError, InvalidInput, WancoreError
from wancore.lora.applied import AppliedLoras, Lora
from wancore.lora.choose import Mode
from wancore.lora.runtime import LoraOptions, Target, apply_loras

MODES: tuple[Mode, ...] = get_args(Mode)
BASE = model()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Low-rank files of different ranks; one that changes everything else, too; DoRA; LoKr."""
    folder = tmp_path_factory.mktemp("loras")
    pair = low_rank(BASE, rank=3, seed=1)
    rest = {
        "diffusion_model.blocks.0.diff_m": noise(1, 6, 48) * 0.1,
        "diffusion_model.blocks.1.norm3.diff": noise(48) * 0.1,
        "diffusion_model.head.head.diff": noise(*BASE.head.head.weight.shape) * 0.1,
        "diffusion_model.blocks.1.ffn.0.diff_b": noise(80) * 0.1,
        "diffusion_model.patch_embedding.diff": noise(*BASE.patch_embedding.weight.shape) * 0.1,
        "diffusion_model.text_embedding.0.lora_down.weight": noise(2, 12) * 0.2,
        "diffusion_model.text_embedding.0.lora_up.weight": noise(48, 2) * 0.2,
    }
    q = "blocks.0.self_attn.q"
    dora = {f"{q}.lora_A.weight": noise(2, 48) * 0.2, f"{q}.lora_B.weight": noise(48, 2, seed=1) * 0.2,
            f"{q}.dora_scale": noise(48, 1, seed=2).abs() + 0.5}  # fmt: skip
    kron = {f"{q}.lokr_w1": noise(6, 6) * 0.2, f"{q}.lokr_w2": noise(8, 8, seed=1) * 0.2}
    made = {
        "one": pair, "two": low_rank(BASE, rank=5, seed=2, linears=("self_attn.q", "self_attn.v", "ffn.2")),
        "rest": pair | rest, "dora": dora, "kron": kron,
    }  # fmt: skip
    return {name: write(folder / f"{name}.safetensors", tensors) for name, tensors in made.items()}


def same_weights(base: nn.Module, wanted: dict[str, Tensor]) -> bool:
    """The very bits, and nothing added."""
    found = {name: p.detach() for name, p in base.named_parameters()}
    plain = all(not module._forward_hooks and "forward" not in module.__dict__ for module in base.modules())
    bits = all(torch.equal(found[n].view(torch.uint8), wanted[n].view(torch.uint8)) for n in wanted)
    return plain and found.keys() == wanted.keys() and bits and not list(base.buffers())


def outcome(
    base: nn.Module, loras: list[Lora], mode: Mode = "auto", step: int = 0
) -> tuple[Tensor, AppliedLoras]:
    with apply_loras(base, loras, LoraOptions(mode)) as applied:
        applied.set_step(step)
        return velocity(base), applied  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["one", "two", "rest", "dora", "kron"])
def test_every_mode_predicts_the_same(name: str, files: dict[str, Path]) -> None:
    base, adapter = model(), lora(files[name], strength=0.7)
    plain = velocity(base)
    merged, _ = outcome(base, [adapter], "merged")
    assert relative(merged, plain) > 1e-3, "the adapter does something"
    for mode in MODES:
        got, _ = outcome(base, [adapter], mode)
        assert relative(got, merged) < 1e-5, mode


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mode", MODES)
def test_taken_off_nothing_is_left(mode: Mode, dtype: torch.dtype, files: dict[str, Path]) -> None:
    base = model(dtype)
    before = weights(base)
    adapters = [lora(files[name], strength=(0.5, -1.0)) for name in ("rest", "dora", "two")]
    with apply_loras(base, adapters, LoraOptions(mode)) as applied:
        assert not same_weights(base, before)
        applied.set_step(1)
    assert same_weights(base, before)


def test_restored_after_a_failure(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    base = model()
    before = weights(base)

    def fail(self: AppliedLoras, step: int) -> bool:
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(AppliedLoras, "set_step", fail)
        apply_loras(base, [lora(files["rest"])], LoraOptions("on-the-fly"))
    assert same_weights(base, before)
    with apply_loras(base, [lora(files["rest"])]):
        pass


@given(st.lists(st.sampled_from(["one", "two", "rest", "kron"]), min_size=2, max_size=4), st.randoms())
@settings(deadline=None, max_examples=12)
def test_the_order_of_additive_adapters_does_not_matter(
    files: dict[str, Path], names: list[str], random: Any
) -> None:
    loras = [lora(files[name], strength=0.3 + 0.1 * i) for i, name in enumerate(names)]
    shuffled = loras[:]
    random.shuffle(shuffled)
    for mode in ("merged", "on-the-fly"):
        first, second = (outcome(model(), order, mode)[0] for order in (loras, shuffled))
        assert torch.equal(first, second)


def test_the_order_of_dora_matters(files: dict[str, Path]) -> None:
    loras = [lora(files["dora"]), lora(files["one"])]
    one, other = outcome(model(), loras)[0], outcome(model(), loras[::-1])[0]
    assert relative(one, other) > 1e-5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strength", [(0.0,), (0.0, 1.0)])
def test_strength_zero_is_the_base(mode: Mode, strength: tuple[float, ...], files: dict[str, Path]) -> None:
    base = model()
    plain = velocity(base)
    got, _ = outcome(base, [lora(files[n], strength=strength) for n in ("rest", "dora")], mode)
    assert torch.equal(got, plain)


@pytest.mark.parametrize("mode", MODES)
def test_a_schedule_is_the_constant_strengths_of_its_steps(mode: Mode, files: dict[str, Path]) -> None:
    """And says when what depends on the weights is out of date."""
    base = model()
    fixed = lora(files["two"], strength=0.4)
    with apply_loras(
        base, [lora(files["rest"], strength=(1.0, 0.5, 0.5, -0.3)), fixed], LoraOptions(mode)
    ) as applied:
        changed = [applied.set_step(step) for step in range(6)]
        assert changed == [False, True, False, True, False, False]
        for step, strength in ((0, 1.0), (3, -0.3), (1, 0.5), (9, -0.3)):
            applied.set_step(step)
            got = velocity(base)
            wanted, _ = outcome(model(), [lora(files["rest"], strength=strength), fixed], "merged")
            assert relative(got, wanted) < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_what_a_parameter_acts_as(mode: Mode, files: dict[str, Path]) -> None:
    base = model()
    with apply_loras(base, [lora(files["rest"])], LoraOptions("merged")) as applied:
        wanted = {name: applied.dense(name) for name in applied.touched}
    with apply_loras(base, [lora(files["rest"])], LoraOptions(mode)) as applied:
        assert set(applied.touched) == set(wanted)
        for name in applied.touched:
            assert relative(applied.dense(name), wanted[name]) < 1e-6
        for name, branch in (applied.branches.branches if applied.branches else {}).items():
            assert relative(base.get_submodule(name[:-7]).weight + branch.difference(), wanted[name]) < 1e-6


def test_merged_weights_are_rounded_once(files: dict[str, Path]) -> None:
    base = model(torch.bfloat16)
    exact = {name: value.float() for name, value in weights(base).items()}
    with apply_loras(base, [lora(files["one"]), lora(files["two"])], LoraOptions("merged")) as applied:
        for name in applied.touched:
            held = base.get_parameter(name)
            wanted = applied.changes[name].applied(exact[name], [1.0, 1.0])
            assert held.dtype == torch.bfloat16 and torch.equal(held, wanted.bfloat16())


def test_filters_and_experts(files: dict[str, Path]) -> None:
    adapter = lora(files["one"], blocks=[1], drop=["ffn"], expert="high")
    with apply_loras(model(), [adapter], expert="high") as applied:
        assert len(applied.touched) == 8 and all(n.startswith("blocks.1.") for n in applied.touched)
    with apply_loras(model(), [adapter], expert="low") as applied:
        assert not applied.touched
    with pytest.raises(InvalidInput, match="no experts"):
        apply_loras(model(), [adapter])
    with pytest.raises(InvalidInput, match="high or low"):
        apply_loras(model(), [lora(files["one"], expert="hgih")], expert="high")
    with pytest.raises(InvalidInput, match="filters"):
        apply_loras(model(), [lora(files["one"], layers=["nothing"])])


def test_a_model_takes_adapters_once(files: dict[str, Path]) -> None:
    base = model()
    with apply_loras(base, [lora(files["one"])]), pytest.raises(WancoreError, match="restore it first"):
        apply_loras(base, [lora(files["one"])])


class Attached(nn.Module):
    """A module beside the model, with names of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.vace_blocks = nn.ModuleList([nn.Linear(48, 48).requires_grad_(False)])


def test_attached_modules_are_changed_and_restored(tmp_path: Path) -> None:
    tensors = {f"{start}.{end}": t for start in ("blocks.0.self_attn.q", "lora_unet_vace_blocks_0")
               for end, t in (("lora_A.weight", noise(2, 48)), ("lora_B.weight", noise(48, 2)))}  # fmt: skip
    adapter = lora(write(tmp_path / "a.safetensors", tensors))
    base, beside = model(), Attached()
    before = beside.vace_blocks[0].weight.detach().clone()
    wanted = before + noise(48, 2) @ noise(2, 48)
    with apply_loras(Target(base, (beside,)), [adapter]) as applied:
        assert applied.touched == ("blocks.0.self_attn.q.weight", "vace_blocks.0.weight")
        assert relative(beside.vace_blocks[0].weight, wanted) < 1e-6
    assert torch.equal(beside.vace_blocks[0].weight, before)
    with pytest.raises(CheckpointError, match="lora_unet_vace_blocks_0"):
        apply_loras(base, [adapter])
    with pytest.raises(WancoreError, match=r"two attached modules have a parameter 'vace_blocks\.0\.weight'"):
        apply_loras(Target(base, (beside, Attached())), [adapter])


def test_a_control_lora_widens_only_where_it_is_meant_to(tmp_path: Path) -> None:
    down, up = noise(2, 8, 1, 2, 2), noise(48, 2, 1, 1, 1)
    tensors = {"patch_embedding.lora_A.weight": down, "patch_embedding.lora_B.weight": up}
    narrow = {"patch_embedding.diff": noise(48, 4, 1, 2, 2)}
    control, plain = write(tmp_path / "a.safetensors", tensors), write(tmp_path / "b.safetensors", narrow)
    base = model()
    before = weights(base)
    with pytest.raises(CheckpointError, match=r"control LoRA.*from 4 to 8 channels"):
        apply_loras(base, [lora(control)])
    with apply_loras(base, [lora(control), lora(plain)], LoraOptions(widen=True)):
        wide = base.patch_embedding.weight
        wanted = (up.flatten(1) @ down.flatten(1)).reshape(48, 8, 1, 2, 2)
        wanted[:, :4] += before["patch_embedding.weight"] + narrow["patch_embedding.diff"]
        assert relative(wide, wanted) < 1e-6
    assert same_weights(base, before)


def test_what_was_chosen_is_said(files: dict[str, Path]) -> None:
    base = model()
    with apply_loras(base, [lora(files["rest"], strength=(1.0, 0.5)), lora(files["kron"])]) as applied:
        velocity(base)
        text = applied.describe()
    assert "strength 1, 0.5 by step" in text
    assert "19 parameters on-the-fly (strengths change from step to step)" in text
    assert "1 parameters merged (no low-rank form)" in text
    assert "merged again when a strength changes" in text and "MB" in text


def test_statistics(files: dict[str, Path]) -> None:
    base = model()
    with apply_loras(base, [lora(files["one"])], LoraOptions("streaming", timing=True)) as applied:
        for _ in range(2):
            for _ in range(3):
                velocity(base)
            applied.statistics.window_done()
        statistics = applied.statistics
        assert statistics.builds == 20 and statistics.calls["streaming"] == 120
        assert statistics.hit_rate == pytest.approx(100 / 120)
        assert len(statistics.windows) == 2 and all(seconds > 0 for seconds in statistics.windows)
        assert "hit rate 83.3 %" in applied.report()


def test_a_branch_that_nothing_calls_is_reported(files: dict[str, Path]) -> None:
    """A layer whose weight is read past its module would ignore a branch without a word."""
    base = model()
    with apply_loras(base, [lora(files["one"])], LoraOptions("on-the-fly")) as applied:
        base.blocks[0].ffn[0].forward(noise(2, 48))
        base.blocks[0].ffn[2](noise(2, 80))
        assert "19 branches were never used" in applied.report()
