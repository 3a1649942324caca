import torch
from hypothesis import given
from hypothesis import strategies as st
from wancore_talking.adapter import Speech
from wancore_talking.features import Features


def counted(n):
    return Features(torch.arange(n).float().view(n, 1, 1))


@given(st.integers(1, 40), st.integers(0, 60), st.integers(1, 30))
def test_windows_stay_at_the_ends(n, start, frames):
    window = counted(n).window(start, frames)[..., 0, 0]
    assert window.shape == (frames, 5)
    for i, row in enumerate(window.tolist()):
        assert row == [min(max(start + i + k, 0), n - 1) for k in range(-2, 3)]


@given(st.integers(1, 40), st.integers(0, 39), st.integers(1, 30))
def test_sound_that_ran_out_runs_back(n, start, frames):
    """As if the reversed tail, three frames longer than the window needs, were appended."""
    features, end = counted(n), start + frames
    window = features.window(start, frames, reversed_tail=True)[..., 0, 0].tolist()
    rows = list(range(n))
    if end >= n:
        rows += rows[-min(end - n + 3, n) :][::-1]
    wanted = [[rows[min(max(start + i + k, 0), len(rows) - 1)] for k in range(-2, 3)] for i in range(frames)]
    assert window == wanted


def test_a_part_of_a_window_has_the_frames_of_its_latents():
    speech = Speech(torch.arange(13.0).view(1, 13, 1, 1, 1))
    assert speech.at([0, 1]).windows.flatten().tolist() == [0, 1, 2, 3, 4]
    assert speech.at([2, 3]).windows.flatten().tolist() == [8, 9, 10, 11, 12]


def test_silence_is_one_speaker():
    speech = Speech(torch.ones(2, 5, 5, 1, 1), torch.ones(3, 2, 2))
    assert speech.silent().windows.shape == (1, 5, 5, 1, 1)
    assert not speech.silent().windows.any()
