import torch
from hypothesis import given
from hypothesis import strategies as st

from wancore.engine.decoder import windowed
from wancore.plugins.family import Window


def chunks(sizes):
    """Frames whose values are their numbers."""
    start = 0
    for size in sizes:
        yield torch.arange(start, start + size).float().view(1, size, 1, 1)
        start += size


@given(st.integers(0, 20), st.integers(0, 20), st.booleans(), st.lists(st.integers(1, 5), min_size=1))
def test_every_wanted_frame_once(known, spare, last, sizes):
    total = sum(sizes)
    window = Window(0, 0, total, known, last, spare)
    given = list(windowed(window, chunks(sizes)))
    sent = [int(f) for chunk in given for f in chunk.fresh.flatten()]
    assert sent == list(range(known, total - spare))
    whole = torch.cat([chunk.frames for chunk in given], dim=1)
    if not last:
        assert whole.shape[1] == total


def test_the_last_window_is_not_decoded_further_than_it_is_wanted():
    taken = []
    frames = (taken.append(n) or torch.zeros(3, n, 2, 2) for n in (1, 4, 4, 4))
    list(windowed(Window(1, 8, 13, known=1, last=True, spare=7), frames))
    assert taken == [1, 4, 4]
