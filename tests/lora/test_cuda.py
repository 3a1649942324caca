"""What is done differently on a GPU: weights overwritten in place, differences copied ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.lora.adapters import lora, low_rank, model, weights, write
from tests.transformer.models import noise, relative
from wancore.checkpoints.open import open_view
from wancore.engine.units import swap_of
from wancore.lora.applied import Lora
from wancore.lora.choose import Mode
from wancore.lora.originals import Originals, Place
from wancore.lora.runtime import LoraOptions, Target, apply_loras
from wancore.quant.linear import Linear
from wancore.quant.scaled import ScaledWeight
from wancore.quant.weight import QuantisationError
from wancore.transformer.canvas import Canvas
from wancore.transformer.fp8 import join_linears, use_fp8
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
SIZES = {"dim": 1024, "ffn_dim": 2048, "num_heads": 8, "num_layers": 4}


def cuda_model(dtype: torch.dtype = torch.bfloat16) -> WanTransformer:
    return model(dtype, **SIZES).cuda()


def cuda_velocity(base: WanTransformer) -> torch.Tensor:
    layout = build_layout(Canvas(2, 8, 8), base.frequencies, device=base.device)
    text = EmbeddedText.of(base, noise(4, 12, seed=51).cuda())
    latents = noise(4, 2, 16, 16, seed=50).cuda()
    with torch.no_grad():
        return predict(base, Inputs(latents, torch.tensor([600.0]).cuda(), layout, text)).cpu()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = model(**SIZES)
    tensors = low_rank(base, rank=8, scale=0.05) | {
        "diffusion_model.blocks.0.diff_m": noise(1, 6, 1024) * 0.05,
        "diffusion_model.head.head.diff": noise(16, 1024) * 0.01,
        "diffusion_model.blocks.1.ffn.0.diff_b": noise(2048) * 0.05,
    }
    return write(tmp_path_factory.mktemp("lora") / "a.safetensors", tensors)


@pytest.mark.parametrize("mode", ["merged", "on-the-fly", "streaming", "auto"])
def test_as_on_the_cpu_step_after_step(mode: Mode, file: Path) -> None:
    base, reference = cuda_model(torch.float32), model(**SIZES)
    adapter = lora(file, strength=(1.0, 1.0, -0.5, 0.0))
    with (
        apply_loras(base, [adapter], LoraOptions(mode, timing=True)) as applied,
        apply_loras(reference, [adapter], LoraOptions("merged")) as exact,
    ):
        for step in (0, 1, 2, 3, 2):
            applied.set_step(step)
            exact.set_step(step)
            assert relative(cuda_velocity(base), reference_velocity(reference)) < 2e-3
        applied.statistics.window_done()
        assert applied.statistics.windows[0] > 0


def reference_velocity(base: WanTransformer) -> torch.Tensor:
    layout = build_layout(Canvas(2, 8, 8), base.frequencies)
    text = EmbeddedText.of(base, noise(4, 12, seed=51))
    with torch.no_grad():
        return predict(base, Inputs(noise(4, 2, 16, 16, seed=50), torch.tensor([600.0]), layout, text))


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("mode", ["merged", "on-the-fly", "streaming"])
def test_the_same_bits_at_the_same_addresses(mode: Mode, from_file: bool, file: Path, tmp_path: Path) -> None:
    base = cuda_model()
    before, addresses = weights(base), {n: p.data_ptr() for n, p in base.named_parameters()}
    source = open_view(write(tmp_path / "m.safetensors", before)) if from_file else None
    with apply_loras(
        Target(base, originals=Originals(source=source)), [lora(file, strength=(1.0, 0.5))], LoraOptions(mode)
    ) as applied:
        applied.set_step(1)
        q = base.get_parameter("blocks.0.self_attn.q.weight")
        assert q.data_ptr() == addresses["blocks.0.self_attn.q.weight"]
        assert torch.equal(q, before["blocks.0.self_attn.q.weight"]) == (mode != "merged")
    assert {n: p.data_ptr() for n, p in base.named_parameters()} == addresses
    assert all(torch.equal(value, before[n]) for n, value in weights(base).items())


@pytest.mark.parametrize("mode", ["merged", "on-the-fly", "streaming"])
def test_quantised_layers(mode: Mode, file: Path) -> None:
    base = cuda_model()
    for block in base.blocks:
        old = block.ffn[0]
        zeros = torch.zeros(old.weight.shape, device="cuda").to(torch.float8_e4m3fn)
        weight = ScaledWeight("fp8", zeros, torch.ones(1, device="cuda")).quantised(old.weight.float())
        block.ffn[0] = Linear(weight, old.bias.detach())
    before = {name: buffer.clone() for name, buffer in base.named_buffers()}
    plain = cuda_velocity(base)
    with apply_loras(base, [lora(file)], LoraOptions(mode)):
        got = cuda_velocity(base)
        assert relative(got, plain) > 1e-2 and all(b.is_cuda for b in base.buffers())
    after = dict(base.named_buffers())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[n].view(torch.uint8), before[n].view(torch.uint8)) for n in before)
    assert torch.equal(cuda_velocity(base), plain)


@pytest.mark.parametrize("place", ["file", "host", "device"])
def test_quantised_layers_are_merged_in_place(place: Place, file: Path, tmp_path: Path) -> None:
    """From a master, with a schedule: at the same addresses, side by side as they were, and back."""
    base = cuda_model()
    path = write(tmp_path / "master.safetensors", weights(base))
    use_fp8(base, "cuda")
    join_linears(base)
    before = {name: buffer.clone() for name, buffer in base.named_buffers()}
    addresses = {name: buffer.data_ptr() for name, buffer in base.named_buffers()}
    originals = Originals(place, master=open_view(path))
    for strengths in ((1.0, 0.5), (0.5, -1.0)):
        adapter = lora(file, strength=strengths)
        with apply_loras(Target(base, originals=originals), [adapter], LoraOptions("merged")) as applied:
            applied.set_step(1)
            layer = base.blocks[0].self_attn.q
            once = layer.weight.quantised(applied_float(path, adapter, 1).cuda())
            assert torch.equal(layer.weight.codes.view(torch.uint8), once.codes.view(torch.uint8))
            assert {name: buffer.data_ptr() for name, buffer in base.named_buffers()} == addresses
        assert all(torch.equal(b.view(torch.uint8), before[n].view(torch.uint8))
                   for n, b in base.named_buffers())  # fmt: skip


def applied_float(path: Path, adapter: Lora, step: int) -> torch.Tensor:
    """The first query matrix of the master with the adapter in it."""
    plain = model(torch.float32, **SIZES)
    plain.load_state_dict({name: open_view(path).tensor(name).float() for name in weights(plain)})
    with apply_loras(plain.cuda(), [adapter], LoraOptions("merged")) as applied:
        applied.set_step(step)
        return plain.blocks[0].self_attn.q.weight.detach().clone()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_merged_as_in_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    """One product in the weight's own memory: rounded once, from a sum in float32."""
    base = cuda_model(dtype)
    tensors = {name: t.to(dtype) for name, t in low_rank(model(**SIZES), rank=64, scale=0.05).items()}
    before = weights(base)
    with apply_loras(base, [lora(write(tmp_path / "a.safetensors", tensors))], LoraOptions("merged")):
        for name in ("blocks.0.self_attn.q", "blocks.1.ffn.0", "blocks.3.ffn.2"):
            down, up = (tensors[f"diffusion_model.{name}.lora_{end}.weight"].cuda() for end in ("down", "up"))
            wanted = before[f"{name}.weight"].double() + 0.5 * up.double() @ down.double()
            got = base.get_parameter(f"{name}.weight")
            assert bool(((got.double() - wanted).abs() <= 0.51 * spacing(wanted.to(dtype))).all())
    assert all(torch.equal(value, before[n]) for n, value in weights(base).items())


def spacing(values: torch.Tensor) -> torch.Tensor:
    """The distance between neighbouring values of the type, with what sums in float32 may be off."""
    largest = values.abs().max().double()
    return values.abs().double() * torch.finfo(values.dtype).eps + 4e-6 * largest + 2.0**-24


def test_errors_of_weights_merged_in_fp8_are_those_of_the_format(file: Path, tmp_path: Path) -> None:
    base = cuda_model()
    path = write(tmp_path / "master.safetensors", weights(base))
    use_fp8(base, "cuda")
    adapter = lora(file)
    originals = Originals("device", master=open_view(path))
    with apply_loras(Target(base, originals=originals), [adapter], LoraOptions("merged")) as applied:
        error = applied.errors()["blocks.0.self_attn.q.weight"]
        wanted = QuantisationError.of(base.blocks[0].self_attn.q.weight, applied_float(path, adapter, 0))
        assert error.rel_rms == pytest.approx(wanted.rel_rms, rel=1e-3)
        assert error.max_abs == pytest.approx(wanted.max_abs, rel=1e-3)
        assert 0.4 < error.max_steps <= 0.5001


def test_fp8_quantised_on_the_gpu_for_host_memory() -> None:
    """The same layers; a code differs from the CPU's at most by the rounding of a tie."""
    here, there = cuda_model(), model(torch.bfloat16, **SIZES)
    names = use_fp8(here, "cuda")
    assert use_fp8(there, "cpu", computed_on="cuda") == names
    for name in names:
        ours, theirs = here.get_submodule(name).weight, there.get_submodule(name).weight
        assert theirs.codes.device.type == theirs.scale.device.type == "cpu"
        assert torch.equal(ours.codes.cpu().view(torch.uint8), theirs.codes.view(torch.uint8))
        assert torch.equal(ours.scale.cpu(), theirs.scale)
    alone = model(torch.bfloat16, **SIZES)
    use_fp8(alone, "cpu")
    codes = [(alone.get_submodule(n).weight.codes, there.get_submodule(n).weight.codes) for n in names]
    steps = torch.cat([(a.view(torch.uint8).int() - b.view(torch.uint8).int()).flatten() for a, b in codes])
    assert int(steps.abs().max()) <= 1 and float((steps != 0).float().mean()) < 1e-3


@pytest.mark.parametrize("mode", ["merged", "on-the-fly", "streaming", "auto"])
@pytest.mark.parametrize("fp8", [False, True])
def test_swapped_blocks_give_the_bits_of_resident_ones(mode: Mode, fp8: bool, file: Path) -> None:
    base, plain, adapter = cuda_model(), cuda_model(), lora(file, strength=(1.0, -0.5, 0.0))
    if fp8:
        use_fp8(base, "cuda")
        use_fp8(plain, "cuda")
    swap = swap_of(base, {}, torch.device("cuda"), resident=1)
    swap.engage()
    prefixes = tuple(f"blocks.{i}." for i in range(4))
    target = Target(base, swapped=prefixes, editing=swap.editing, device=torch.device("cuda"))
    placed: Mode = "on-the-fly" if mode == "auto" else mode
    with (
        apply_loras(target, [adapter], LoraOptions(mode)) as applied,
        apply_loras(plain, [adapter], LoraOptions(placed)) as wanted,
    ):
        for step in (0, 1, 2, 1):
            applied.set_step(step)
            wanted.set_step(step)
            for _ in range(3):
                got, expected = cuda_velocity(base), cuda_velocity(plain)
                assert relative(got, expected) < (2e-2 if mode == "merged" else 1e-6)
    swap.release()


def test_streaming_holds_two_differences_on_the_device(file: Path) -> None:
    """However far the host runs ahead of the device."""
    base = cuda_model()
    with apply_loras(base, [lora(file)], LoraOptions("streaming")):
        cuda_velocity(base)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        for _ in range(5):
            cuda_velocity(base)
        largest = 2048 * 1024 * 2
        assert torch.cuda.max_memory_allocated() - held < 8 * largest
