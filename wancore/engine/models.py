"""The parts of one model, loaded when first needed and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from wancore.checkpoints.memory import check_fits
from wancore.checkpoints.open import open_view
from wancore.checkpoints.ownership import BASE
from wancore.checkpoints.parts import Parts
from wancore.encoders.audio import normalise_waveform
from wancore.encoders.cache import PromptCache
from wancore.encoders.image import load_image_encoder
from wancore.encoders.text import TextEncoder, encoder_identity, load_text_encoder
from wancore.encoders.wav2vec2 import load_wav2vec2, normalises
from wancore.engine.modules import ExpertFiles, split
from wancore.engine.residency import House, Residency
from wancore.engine.speech import speech_encoder
from wancore.engine.units import header_needs
from wancore.kernels.attention import Attend, sdpa
from wancore.kernels.sources import KERNELS
from wancore.lora.keep import LoraKeeper
from wancore.lora.originals import Originals
from wancore.plugins.family import Base, Family, Place
from wancore.runtime.budget import Needs
from wancore.runtime.swap.unit import LEAST_BYTES
from wancore.runtime.visit import pin, visiting
from wancore.transformer.activations import Work
from wancore.transformer.adapter import Adapter
from wancore.transformer.compiled import compile_blocks
from wancore.transformer.fp8 import use_fp8
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer
from wancore.vae import decoder_need
from wancore.vae.load import load_vae
from wancore.vae.preview import PreviewDecoder, load_preview
from wancore.vae.vae import Vae

T = TypeVar("T")


@dataclass(frozen=True)
class Weights:
    """One expert: the transformer, and the families' adapters by family id.

    `house`: decides where they are; None where all is in host memory anyway.
    """

    model: WanTransformer
    adapters: Mapping[str, Adapter]
    house: House | None = None


@dataclass(frozen=True)
class AdapterFile:
    """Whose adapter, for which transformer, and the file it is in: the transformer's own, or a module."""

    family: str
    transformer: Path
    path: Path


@dataclass
class Models:
    """Loads each part at most once; `device` computes, `dtype` is what transformer and encoders compute in.

    The VAE computes in float32, as upstream's does. On a GPU, encoders wait in host memory between uses.
    `attend`: of the transformers. `fp8`: their blocks' linears multiply in fp8. `compiled`: the blocks go
    through torch.compile. `graphs`: whether forwards may be replayed as CUDA graphs. `residency`: where their
    weights are, None on a CPU. `loras`: the adapters that are on the transformers; the last request's stay
    on. `originals`: what weights start from when adapters are merged into them, by the transformer's file.
    """

    parts: Parts
    device: torch.device
    dtype: torch.dtype
    prompts: PromptCache
    attend: Attend = sdpa
    fp8: bool = False
    compiled: bool = False
    graphs: bool = False
    residency: Residency | None = None
    loras: LoraKeeper = field(default_factory=LoraKeeper)
    originals: dict[Path, Originals] = field(default_factory=dict)
    _loaded: dict[str, object] = field(default_factory=dict)
    _transformers: dict[Path, WanTransformer] = field(default_factory=dict)
    _adapters: dict[AdapterFile, Adapter | None] = field(default_factory=dict)

    def _once(self, name: str, load: Callable[[], T]) -> T:
        if name not in self._loaded:
            self._loaded[name] = load()
        return self._loaded[name]  # type: ignore[return-value]

    def expect(
        self, experts: Sequence[ExpertFiles], families: Sequence[Family], base: Base, work: Work
    ) -> None:
        """Decides where the experts' weights will be. Raises `MemoryShortage` where the device has too
        little memory for them, `CheckpointError` where the host has."""
        if self.residency is None:
            self.check_fits(experts)
            return
        work = replace(work, fused=self.device.type == "cuda" and KERNELS.serves(self.residency.device))
        self.residency.begin(work)
        if any(files.transformer not in self._transformers for files in experts):  # else: see House.ready
            self.residency.expect(self.needs(experts, families, base, work), work)

    def needs(
        self, experts: Sequence[ExpertFiles], families: Sequence[Family], base: Base, work: Work
    ) -> dict[Path, Needs]:
        """What each expert needs on the device, from headers."""
        return {
            files.transformer: header_needs(
                split(files, families).values(), base.transformer, self.dtype, work, self.fp8
            )
            for files in experts
        }

    def check_fits(self, experts: Sequence[ExpertFiles]) -> None:
        """Raises `CheckpointError` if the transformers not loaded yet need more memory than is free."""
        modules = {adapter.path for adapter in self._adapters}
        paths = [f.transformer for f in experts if f.transformer not in self._transformers]
        paths += [path for f in experts for _, path in f.modules if path not in modules]
        check_fits([open_view(path) for path in paths], self.dtype)

    def expert(self, files: ExpertFiles, families: Sequence[Family], base: Base) -> Weights:
        """A transformer and the families' adapters for it; other sets of families share what is loaded."""
        wanted = {f.id: AdapterFile(f.id, files.transformer, files.of(f.id)) for f in families}
        missing = [f for f in families if wanted[f.id] not in self._adapters]
        path = files.transformer
        where = self.device if self.residency is None else self.residency.loads_to(path)
        if path not in self._transformers or missing:
            views = split(files, families)
            if path not in self._transformers:
                model = load_transformer(
                    views[BASE], dtype=self.dtype, device=where, attend=self.attend, fp8=self.fp8,
                    quantise_on=self.device,
                )  # fmt: skip
                if self.compiled:
                    compile_blocks(model)
                self._transformers[path] = model
            nothing = views[BASE].renamed({})
            for f in missing:
                place = Place(where, self.dtype)
                adapter = f.adapter(base, views.get(f.id, nothing), place)
                if self.fp8 and adapter is not None and adapter.dense is not None:
                    use_fp8(adapter, where, adapter.dense, computed_on=self.device)
                self._adapters[wanted[f.id]] = adapter
        loaded = {name: self._adapters[file] for name, file in wanted.items()}
        adapters = {name: adapter for name, adapter in loaded.items() if adapter is not None}
        model = self._transformers[path]
        house = self.residency.adopt(path, model, adapters) if self.residency is not None else None
        return Weights(model, adapters, house)

    @property
    def vae(self) -> Vae:
        path = self.parts.require("vae")
        # On a CPU in float32, where half precision is slow.
        dtype = self.dtype if self.device.type == "cuda" else torch.float32
        vae = self._once("vae", lambda: load_vae(path, dtype=dtype, device=self.device))
        vae = vae if vae.device.type == self.device.type else vae.to(self.device)
        if self.residency is not None and self.residency.bounded:
            vae.budget = self.residency.room()
        return vae

    def make_room_to_decode(self, latent: Tensor) -> None:
        """The transformers leave if whole latent frames of [C, F, h, w] would not fit beside them."""
        vae = self.vae
        if self.residency is not None and self.residency.bounded:
            height, width = (vae.spatial_stride * n for n in latent.shape[-2:])
            need = decoder_need(vae.network.architecture, height, width, 1, vae.dtype.itemsize)
            if need.total > self.residency.room():
                self.residency.leave_all()

    def make_room(self) -> bool:
        """Transformers into host memory, until they are needed; False if that frees nothing."""
        return self.residency is not None and self.residency.leave_all()

    def notes(self) -> list[str]:
        """What was decided about memory since the last time."""
        return self.residency.take_notes() if self.residency is not None else []

    def set_vae_aside(self) -> None:
        """Where the transformer does not fit as a whole, the VAE waits in host memory while it runs."""
        vae = self._loaded.get("vae")
        if isinstance(vae, Vae) and self.residency is not None and self.residency.swapping:
            vae.to("cpu")

    def ready_to_visit(self, network: nn.Module) -> None:
        """Small encoders that every request needs wait where the device reads them at full speed."""
        if self.device.type == "cuda":
            pin(network)

    @contextmanager
    def visit(self, network: nn.Module) -> Iterator[None]:
        """A network on the device while in use; transformers leave it first if there is no room beside."""
        if self.device.type == "cpu" and self.residency is None:
            yield
            return
        room = self.residency.room_for(network) if self.residency is not None else None
        with visiting(network, self.device, room, self.residency.least if self.residency else LEAST_BYTES):
            yield

    def encode_text(self, prompts: Sequence[str]) -> list[Tensor]:
        """Rows [n, C] of each prompt, on the CPU; the encoder is loaded only for prompts not seen yet."""
        path = self.parts.require("text_encoder")
        identity = encoder_identity(path, self.dtype)
        return self.prompts.encode(prompts, identity, lambda: VisitingText(self, path))

    def text_encoder(self, path: Path) -> TextEncoder:
        return self._once(
            "text encoder", lambda: load_text_encoder(path, self.parts.tokenizer, dtype=self.dtype)
        )

    def encode_images(self, images: Sequence[Tensor]) -> Tensor:
        """CLIP features [n, L, C] of images [3, H, W] in [-1, 1], on the CPU."""
        path = self.parts.require("image_encoder")
        encoder = self._once("image encoder", lambda: load_image_encoder(path, dtype=torch.float32))
        self.ready_to_visit(encoder.model)
        with self.visit(encoder.model):
            return encoder.encode([image.to(self.device) for image in images]).cpu()

    def encode_speech(self, waveform: Tensor, frames: int) -> Tensor:
        """wav2vec2's hidden states [levels, frames, D] of 16 kHz samples [S], on the CPU."""
        path = speech_encoder(self.parts, "wav2vec2")
        encoder = self._once("speech encoder", lambda: load_wav2vec2(path))
        self.ready_to_visit(encoder)
        if normalises(path):
            waveform = normalise_waveform(waveform)
        with self.visit(encoder):
            return encoder(waveform.to(self.device), frames).cpu()

    @property
    def preview(self) -> PreviewDecoder | None:
        """The TAEHV decoder, if the model comes with one."""
        path = self.parts.preview
        if path is None:
            return None
        return self._once("preview decoder", lambda: load_preview(path, dtype=self.dtype, device=self.device))


@dataclass(frozen=True)
class VisitingText:
    """The text encoder, on the device only while it encodes."""

    models: Models
    path: Path

    def encode(self, prompts: Sequence[str]) -> list[Tensor]:
        encoder = self.models.text_encoder(self.path)
        with self.models.visit(encoder.model):
            return [rows.cpu() for rows in encoder.encode(prompts)]
