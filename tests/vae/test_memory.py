"""Memory of a stream does not grow with the video."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.vae.tiny import make_vae, noise


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of every storage that an operation made and that is still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return result

    def count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self.sizes:
            self.sizes[key] = storage.nbytes()
            weakref.finalize(storage, self.sizes.pop, key, None)
            self.peak = max(self.peak, sum(self.sizes.values()))


def peak(work: Callable[[], None]) -> int:
    with LiveBytes() as live:
        work()
    return live.peak


def discard(tensor: torch.Tensor) -> None:
    del tensor


def test_the_count_sees_what_is_kept() -> None:
    kept: list[torch.Tensor] = []
    dropped = peak(lambda: [torch.zeros(1000) for _ in range(5)].clear())
    assert dropped == 5 * 4000
    assert peak(lambda: kept.extend(torch.zeros(1000) + i for i in range(5))) >= 5 * 4000

    def one_by_one() -> None:
        for _ in range(5):
            torch.zeros(1000)

    assert peak(one_by_one) == 4000


@pytest.mark.parametrize("version", ["2.1", "2.2"])
def test_decoding_long_videos_takes_no_more(version: str) -> None:
    vae = make_vae(version)

    def decode(frames: int) -> None:
        latent = noise(16, 1, 4, 4)
        stream = vae.decoder_stream()
        for _ in range(frames):
            stream.push(latent)

    assert peak(lambda: decode(12)) == peak(lambda: decode(4))


@pytest.mark.parametrize("version", ["2.1", "2.2"])
def test_encoding_long_videos_takes_no_more(version: str) -> None:
    vae = make_vae(version)

    def encode(groups: int) -> None:
        video = noise(3, 4, 32, 32)
        stream = vae.encoder_stream()
        stream.push(video[:, :1])
        for _ in range(groups):
            stream.push(video)

    assert peak(lambda: encode(10)) == peak(lambda: encode(3))


def test_whole_decode_adds_only_the_video() -> None:
    vae = make_vae("2.1")
    short, long = noise(16, 4, 4, 4), noise(16, 12, 4, 4)
    more = peak(lambda: discard(vae.decode(long))) - peak(lambda: discard(vae.decode(short)))
    pictures, latents = 8 * 4 * (3 * 32 * 32), 8 * (16 * 4 * 4)
    assert more == 4 * (pictures + latents)  # float32
