"""CUDA graphs of small models' forwards: where the host takes longer to queue one than the GPU to run it.

A graph holds what one prediction queued and the addresses that it read. Another prediction with the same
layout, text and segments copies its latents and timestep there and replays, with the same bits; weights that
were overwritten in place since are read as they are now. Weights that move need new graphs: `forget`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn

from wancore.transformer.predict import Inputs
from wancore.transformer.runblocks import run_blocks

log = logging.getLogger(__name__)

Forward = Callable[[Inputs], Tensor]
#: Kinds of prediction that are remembered: one for each pass of the guidance, with room for a method's own.
KINDS = 8
#: Of the time that queueing takes, how much the GPU may go on afterwards if it waited for the host before.
REST = 0.1


@dataclass
class Graph:
    """One prediction, captured. Its memory is its own for as long as it lives."""

    graph: torch.cuda.CUDAGraph
    latents: Tensor
    t: Tensor
    velocity: Tensor

    @classmethod
    def of(cls, forward: Forward, inputs: Inputs) -> Graph:
        """Raises `RuntimeError` where something in it cannot be captured."""
        graph, device = torch.cuda.CUDAGraph(), inputs.latents.device
        latents, t = inputs.latents.clone(), inputs.t.clone()
        stream, current = torch.cuda.Stream(device), torch.cuda.current_stream(device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="thread_local")  # other threads may use the GPU meanwhile
            try:
                velocity = forward(inputs.reading(latents, t))
            except BaseException:
                with suppress(RuntimeError):
                    graph.capture_end()
                raise
            graph.capture_end()
        current.wait_stream(stream)
        return cls(graph, latents, t, velocity)

    def replay(self, inputs: Inputs) -> Tensor:
        self.latents.copy_(inputs.latents)
        self.t.copy_(inputs.t)
        self.graph.replay()
        return self.velocity.clone()


@dataclass
class Seen:
    """A kind of prediction, by what its graph would have the addresses of. `pays`: None until measured."""

    inputs: Inputs
    warm: bool = False
    pays: bool | None = None
    graph: Graph | None = None

    def serves(self, inputs: Inputs) -> bool:
        own = self.inputs
        return (
            own.layout is inputs.layout
            and own.text is inputs.text
            and own.segments is inputs.segments
            and alike(own.latents, inputs.latents)
            and alike(own.t, inputs.t)
        )


class Graphs:
    """The graphs of one model's predictions: the first of a kind warms up, the second is measured, the third
    is captured if that pays."""

    def __init__(self, model: nn.Module, forward: Forward) -> None:
        self.model, self.forward = model, forward
        self.seen: list[Seen] = []

    def predict(self, inputs: Inputs) -> Tensor:
        """As `forward`."""
        if not inputs.latents.is_cuda or not repeatable(inputs):
            return self.forward(inputs)
        seen = self.find(inputs)
        if seen.graph is None and seen.pays and untouched(self.model):
            seen.graph = self.captured(seen, inputs)
        if seen.graph is not None:
            return seen.graph.replay(inputs)
        if seen.pays is not None or not seen.warm:
            seen.warm = True
            return self.forward(inputs)
        velocity, seen.pays = self.measured(inputs)
        return velocity

    def forget(self) -> None:
        """Drops every graph: weights have moved."""
        self.seen.clear()

    def find(self, inputs: Inputs) -> Seen:
        found = next((seen for seen in self.seen if seen.serves(inputs)), None)
        if found is None:
            found = Seen(inputs)
            self.seen = [*self.seen[1 - KINDS :], found]
        return found

    def measured(self, inputs: Inputs) -> tuple[Tensor, bool]:
        """A prediction, and whether the GPU had nearly nothing left to do when the host had queued it."""
        device = inputs.latents.device
        torch.cuda.synchronize(device)
        start = perf_counter()
        velocity = self.forward(inputs)
        queued = perf_counter()
        torch.cuda.synchronize(device)
        return velocity, perf_counter() - queued < REST * (queued - start)

    def captured(self, seen: Seen, inputs: Inputs) -> Graph | None:
        try:
            return Graph.of(self.forward, inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            seen.pays = False
            log.warning("no CUDA graph of this model's forward (%s)", str(error).splitlines()[0])
            return None


def repeatable(inputs: Inputs) -> bool:
    """Whether nothing but latents and timestep can differ between two such predictions."""
    return not inputs.data and not inputs.skip and inputs.run is run_blocks


def untouched(model: nn.Module) -> bool:
    """Whether nothing hooks into its modules: swapping, differences beside weights, compiled blocks."""
    return not any(
        module._forward_hooks or module._forward_pre_hooks or {"forward", "advance"} & module.__dict__.keys()
        for module in model.modules()
    )


def alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device
