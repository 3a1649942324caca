"""One generation, from the settled plan to the last frame."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.parts import Parts
from wancore.checkpoints.view import FileView
from wancore.engine.attachment import AttachedFamily, heard
from wancore.engine.blocks import transacted
from wancore.engine.carried import Carried
from wancore.engine.compose import Composed, compose
from wancore.engine.decoder import Chunk, begun_again, decode, windowed
from wancore.engine.encoders import RequestTools
from wancore.engine.expert import LoadedExpert
from wancore.engine.leaving import Leaving
from wancore.engine.loras import NO_LORAS, LoraUse, lora_targets
from wancore.engine.methods import check_owned, chosen_methods
from wancore.engine.models import Models
from wancore.engine.plan import Plan, told_of
from wancore.engine.preview import preview
from wancore.engine.sampler import Sampling, sample
from wancore.engine.schedule import overlap_plan, schedule_of
from wancore.engine.texts import EmbeddedTexts
from wancore.engine.timing import Stages
from wancore.engine.units import work_of
from wancore.errors import WancoreError
from wancore.events import (
    Accepted,
    Event,
    Finished,
    Frames,
    Loading,
    Note,
    Preview,
    Progress,
    SoundTrack,
    Steered,
)
from wancore.live import Live
from wancore.lora.request import RequestLoras
from wancore.media.convert import to_uint8
from wancore.plugins.family import Carry, Window
from wancore.sampling.guidance import Guidance
from wancore.sampling.loop import Stepped
from wancore.sampling.method import Method, MethodSpec, Run
from wancore.sampling.noise import NoiseSource
from wancore.sampling.registry import find_solver
from wancore.sampling.solver import SolverSpec
from wancore.transformer.activations import Work
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas

#: Of a window whose length only comes with its sound: the usual one.
LIVE_FRAMES = 81


class Generation:
    """Yields the events of one request; see `Engine.generate`."""

    def __init__(
        self,
        plan: Plan,
        models: Callable[[Parts], Models],
        solvers: Sequence[SolverSpec],
        methods: Mapping[str, MethodSpec],
        loras: LoraUse = NO_LORAS,
        live: Live | None = None,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self.stages = Stages(settle)
        self.loras, self.live = loras, live
        self.plan, self.request, self.family = plan, plan.request, plan.family
        self.models = models(plan.parts)
        self.tools = RequestTools(self.request, self.models, NoiseSource(plan.seed), live, self.stages)
        self.lead = self.family.lead(self.request, plan.base, self.tools)
        self.solver = find_solver(self.lead.solver, solvers)
        self.schedule = schedule_of(self.solver, self.lead, plan)
        self.chosen = chosen_methods(self.request, methods)
        check_owned([spec for spec, _ in self.chosen], plan)
        self.attachments = [
            AttachedFamily(family, use, self.request, self.models, plan.seed)
            for family, use in zip(plan.attachments, self.request.attachments, strict=True)
        ]
        stride = plan.base.temporal_stride
        self.overlap = overlap_plan(self.request, self.lead.frames, len(self.schedule), stride)
        self.texts = EmbeddedTexts()
        self.adapters = RequestLoras({}, ())
        self.leaving = Leaving()
        self.steps_done = self.sent = 0

    def events(self) -> Iterator[Event]:
        started = perf_counter()
        first_frame = 0.0
        yield self.accepted()
        for event in self.run():
            if isinstance(event, Frames) and not first_frame:
                first_frame = perf_counter() - started
            yield event
        yield Finished(self.sent, first_frame, self.stages.seconds)

    def accepted(self) -> Accepted:
        lead, plan = self.lead, self.plan
        return Accepted(
            plan.family.id, plan.base.variant, lead.width, lead.height, lead.frames or None, lead.fps,
            len(self.schedule), lead.solver, lead.shift, lead.guidance_scales, plan.seed,
            str(plan.parts.root),
        )  # fmt: skip

    def run(self) -> Iterator[Event]:
        experts = list(self.plan.experts.values())
        self.models.expect(experts, self.plan.families, self.plan.base, self.work(1))
        yield Loading("inputs")
        with self.stages("inputs"), torch.no_grad():
            prepared = self.family.prepare(self.request, self.plan.base, self.lead, self.tools)
            self.tools.drop_sound()
            for attachment in self.attachments:
                with told_of(attachment.family, self.family):
                    attachment.prepare(self.plan.base, self.lead)
        yield from self.sound(prepared)
        windows = self.family.windows(prepared, self.lead)
        frames, begun = LIVE_FRAMES, None
        if self.live is None:
            first, windows = peeked(windows)
            frames, begun = first.frames, self.begun(prepared, first)
        if self.request.windows is not None:
            frames = min(frames, self.request.windows.frames)
        self.models.expect(experts, self.plan.families, self.plan.base, self.work(frames))
        for name, files in self.plan.experts.items():
            yield Loading(f"transformer {name}".strip(), size_of(open_transformer(files.transformer)))
            with self.stages("loading"):
                self.models.expert(files, self.plan.families, self.plan.base)
        adapters = yield from self.with_loras()
        carry: Carry | None = None
        for window in windows:
            if self.live is not None:
                prepared = yield from self.steered(self.live, prepared, window)
                carry = yield from transacted(window.index, self.block(prepared, window, carry))
            else:
                carry = yield from self.window(prepared, window, carry, begun)
                begun = None
            adapters.window_done()
        yield from self.leaving.rest()
        if self.loras.options.timing and self.loras.loras:
            yield Note(adapters.report())

    def sound(self, prepared: Any) -> Iterator[SoundTrack]:
        """What is heard, if anything; held no longer than whoever gets it does."""
        sound = heard(self.family.sound(prepared), self.attachments)
        if sound is not None:
            yield SoundTrack(sound.samples, sound.rate)

    def work(self, frames: int) -> Work:
        """A forward over so many pixel frames, as far as it is known before the inputs are."""
        return work_of(self.plan.base, self.lead.width, self.lead.height, frames, self.models.dtype)

    def with_loras(self) -> Generator[Event, None, RequestLoras]:
        """Puts the request's adapters on the transformers, or takes those of the request before off."""
        if self.loras.loras:
            yield Loading("LoRA")
        with self.stages("loading"), torch.no_grad():
            targets = lora_targets(self.plan, self.models, self.loras) if self.loras.loras else {}
            self.adapters = self.models.loras.use(targets, self.loras.loras, self.loras.options)
        if self.loras.loras:
            yield Note(self.adapters.describe())
        return self.adapters

    def steered(self, live: Live, prepared: Any, window: Window) -> Generator[Event, None, Any]:
        """Waits until the block of this window may begin; what is prepared, with what was asked to change."""
        for steering in live.begin(window.index):
            words = {"prompt": steering.prompt, "negative_prompt": steering.negative_prompt}
            given = {name: text for name, text in words.items() if text is not None}
            request = self.request.model_copy(update=given)
            lead = replace(self.lead, negative_prompt=given.get("negative_prompt", self.lead.negative_prompt))
            try:
                with self.stages("inputs"), torch.no_grad():
                    prepared = self.family.steered(prepared, request, lead, self.tools)
            except WancoreError as error:
                yield Steered(steering.id, window.index, error)
            else:
                self.request, self.lead = request, lead
                yield Steered(steering.id, window.index)
        return prepared

    def block(
        self, prepared: Any, window: Window, carry: Carry | None
    ) -> Callable[[], Generator[Event, None, Carry | None]]:
        """Makes a window from the state of now, however often it is called."""
        noise = self.tools.noise.generator
        before, counters = noise.get_state(), (self.sent, self.steps_done)

        def make() -> Generator[Event, None, Carry | None]:
            noise.set_state(before)
            self.sent, self.steps_done = counters
            self.leaving = Leaving()
            left = yield from self.window(prepared, window, carry)
            yield from self.leaving.rest()
            return left

        return make

    def begun(self, prepared: Any, first: Window) -> Composed:
        """What the first window's predictions read. Before the transformers are loaded: what does not go
        together is refused here."""
        conditioning = self.conditioning(prepared, first, None)
        if self.overlap is not None:
            conditioning.at(self.overlap.at(0, conditioning.canvas.frames)[0])
        return conditioning

    def conditioning(self, prepared: Any, window: Window, carry: Carry | None) -> Composed:
        with self.stages("inputs"), torch.no_grad():
            own = self.family.window(prepared, window, carry, self.tools)
            return compose(own, [a.window(window, carry) for a in self.attachments])

    def window(
        self, prepared: Any, window: Window, carry: Carry | None, begun: Composed | None = None
    ) -> Generator[Event, None, Carry | None]:
        """One window; `begun`: what its predictions read, where that is known already."""
        conditioning = begun or self.conditioning(prepared, window, carry)
        yield from self.leaving.rest()  # of the window before, whose last frames this one has read
        guidance = self.family.guidance(prepared, self.lead, window)
        methods = self.methods(guidance, conditioning.canvas)
        experts = self.experts(methods)
        sampling = Sampling(
            self.lead, self.solver, self.schedule, guidance, tuple(experts),
            lambda name: experts[name].ready(), methods, self.texts,
            window.index, self.overlap,
        )  # fmt: skip
        latent = yield from self.denoise(window, conditioning, sampling)
        carried = yield from self.decode(prepared, window, conditioning, latent)
        return None if window.last else Carry(carried.frames, latent[:, conditioning.added_head :])

    def methods(self, guidance: Guidance, canvas: Canvas) -> tuple[Method, ...]:
        """Fresh methods for one window, in their order."""
        run = Run(
            steps=len(self.schedule),
            frames=canvas.frames,
            layers=self.plan.base.transformer.num_layers,
            main=frozenset({"positive"}),
            guidance=guidance,
            encode=lambda text: self.tools.text([text])[0],
            negative=self.lead.negative_prompt,
            head=canvas.head,
            windows=self.overlap,
            experts=self.steps_by_expert(),
        )
        return tuple(spec.make(parameters, run) for spec, parameters in self.chosen)

    def steps_by_expert(self) -> dict[str, int]:
        """How many steps each expert takes."""
        times = self.schedule.timesteps.tolist()
        experts = self.plan.base.experts
        used = [experts[self.lead.expert_at(t)] for t in times]
        return {name: used.count(name) for name in experts}

    def experts(self, methods: Sequence[Method]) -> dict[str, LoadedExpert]:
        """The transformers with the methods' adapters on them."""
        weightless = {slot: adapter for m in methods for slot, adapter in m.adapters().items()}
        layers = self.plan.base.transformer.num_layers
        loaded = {
            name: self.models.expert(files, self.plan.families, self.plan.base)
            for name, files in self.plan.experts.items()
        }
        return {
            name: LoadedExpert(
                weights.model,
                Attached({**weights.adapters, **weightless}, layers),
                weights.house,
                self.models.graphs,
            )
            for name, weights in loaded.items()
        }

    def denoise(
        self, window: Window, conditioning: Composed, sampling: Sampling
    ) -> Generator[Event, None, Tensor]:
        source = NoiseSource(self.plan.seed, window.index)
        canvas, base = conditioning.canvas, self.plan.base
        patch = base.transformer.patch_size
        frames = canvas.total + canvas.noise_frames
        shape = (base.latent_channels, frames, canvas.height * patch[1], canvas.width * patch[2])
        latent = source.draw(shape)[:, : canvas.total].to(self.models.device)
        if self.adapters.scheduled:
            steps_hook = self.adapters.hooks(lambda: self.forget(sampling))
            conditioning = replace(conditioning, hooks=(*conditioning.hooks, steps_hook))
        steps = sample(sampling, conditioning, latent, source)
        self.models.set_vae_aside()
        while (stepped := self.next_step(steps)) is not None:
            yield from map(Note, self.models.notes())
            latent = stepped.x
            self.steps_done += 1
            yield self.progress(window, stepped)
            if self.request.previews:
                pictures = preview(stepped.estimate, canvas, self.models.preview)
                yield Preview(stepped.step.index + 1, window.index, pictures)
        return latent

    def forget(self, sampling: Sampling) -> None:
        """Drops what was worked out with other strengths of the adapters."""
        self.texts.forget()
        for name in sampling.experts:
            sampling.expert(name).attached.forget()

    def next_step(self, steps: Iterator[Stepped]) -> Stepped | None:
        with self.stages("denoising"), torch.no_grad():
            return next(steps, None)

    def progress(self, window: Window, stepped: Stepped) -> Progress:
        of = self.steps_done - stepped.step.index - 1 + stepped.step.count
        each = self.stages.seconds["denoising"] / self.steps_done
        return Progress(self.steps_done, of, window.index, each * (of - self.steps_done))

    def decode(
        self, prepared: Any, window: Window, conditioning: Composed, latent: Tensor
    ) -> Generator[Event, None, Carried]:
        """Ends with what the next window may read."""
        spans = self.family.decode(conditioning.canvas)
        self.models.make_room_to_decode(latent)
        chunks = begun_again(
            lambda: windowed(window, decode(self.models.vae, latent, spans)), self.models.make_room
        )
        carried = Carried(window.carried)
        while (chunk := self.next_chunk(prepared, chunks)) is not None:
            if not window.last:
                carried.add(chunk.frames)
            if chunk.fresh.shape[1]:
                fresh = to_uint8(self.finished(chunk.fresh))
                self.sent += len(fresh)
                yield from self.leaving.add(self.sent - len(fresh), fresh)
        return carried

    def finished(self, frames: Tensor) -> Tensor:
        """Frames as they are sent: the attachments change what the lead made, and no window's beginning."""
        with self.stages("decoding"), torch.no_grad():
            for attachment in self.attachments:
                frames = attachment.finish(frames)
        return frames

    def next_chunk(self, prepared: Any, chunks: Iterator[Chunk]) -> Chunk | None:
        with self.stages("decoding"), torch.no_grad():
            chunk = next(chunks, None)
            return chunk and chunk.finished(lambda frames: self.family.finish(prepared, frames))


def peeked(windows: Iterable[Window]) -> tuple[Window, Iterable[Window]]:
    """The first window, and all windows."""
    rest = iter(windows)
    first = next(rest)
    return first, chain((first,), rest)


def size_of(view: FileView) -> int:
    """Bytes of a checkpoint's tensors."""
    return sum(info.nbytes for info in view.entries.values())
