"""The encoder of Whisper (arXiv 2212.04356): waveform to one vector per 20 ms and level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import nn

from wancore.checkpoints import FileView
from wancore.checkpoints.keymap import KeyMap
from wancore.encoders.audio import FEATURE_RATE, SAMPLE_RATE, check_waveform, resample_frames
from wancore.encoders.build import as_view, build, configured, declared, head_count, levels
from wancore.encoders.keys import Layout, canonical, count, shape
from wancore.errors import InvalidInput

if TYPE_CHECKING:
    from transformers import WhisperConfig

HEAD_WIDTH = 64
SAMPLES_PER_MEL = 160
SAMPLES_PER_POSITION = 2 * SAMPLES_PER_MEL
GROUP, GROUPS = 8, 4

LAYOUTS = (
    Layout(
        anchor="model.encoder.embed_positions.weight",
        names=KeyMap.of({"model.encoder.**": "**"}, unused=["model.decoder.**", "proj_out.weight"]),
    ),
    Layout(
        anchor="encoder.embed_positions.weight",
        names=KeyMap.of({"encoder.**": "**"}, unused=["decoder.**", "proj_out.weight"]),
    ),
    Layout(anchor="embed_positions.weight", names=KeyMap.of({})),
)


class WhisperEncoder(nn.Module):
    """The encoder half of Whisper, with its log-mel front end."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        from transformers import WhisperFeatureExtractor

        self.network = network
        extractor: Any = WhisperFeatureExtractor
        self.spectrogram = extractor(feature_size=network.config.num_mel_bins)

    @property
    def piece(self) -> int:
        """Samples that are encoded at once: 30 s in the released models."""
        return int(self.network.config.max_source_positions) * SAMPLES_PER_POSITION

    @property
    def device(self) -> torch.device:
        weight: torch.Tensor = self.network.conv1.weight
        return weight.device

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Samples [S] -> [T, levels, D] at 50 per second: the embedding, then every layer, the last normed.

        Long audio is encoded in pieces that do not see each other. T = 2 * (S // 640), so that the
        padding of the last piece is dropped. Raises `InvalidInput` for audio that is not mono or
        shorter than 640 samples.
        """
        check_waveform(waveform, 2 * SAMPLES_PER_POSITION)
        states = torch.cat([self.hidden_states(self.mel(part)) for part in waveform.split(self.piece)], dim=1)
        kept = 2 * (len(waveform) // (2 * SAMPLES_PER_POSITION))
        return rearrange(states[:, :kept], "l t d -> t l d")

    def mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """Samples [S <= piece] -> log-mel spectrogram [bins, piece / 160], padded with silence."""
        features = self.spectrogram(
            waveform.float().cpu().numpy(),
            sampling_rate=SAMPLE_RATE,
            max_length=self.piece,
            return_tensors="pt",
        )
        mel: torch.Tensor = features.input_features[0]
        return mel

    @torch.no_grad()
    def hidden_states(self, mel: torch.Tensor) -> torch.Tensor:
        """One piece [bins, 2 * positions] -> [levels, positions, D]."""
        network = self.network
        batch = mel[None].to(network.conv1.weight)
        return torch.cat(levels(network.layers, lambda: network(batch).last_hidden_state))


def whisper_groups(hidden: torch.Tensor, fps: float = 25) -> torch.Tensor:
    """Hidden states [T, 33, D] at 50 per second -> [T', 5, D] at `fps` per second.

    The means of levels 0-7, 8-15, 16-23 and 24-31, and level 32. Raises `InvalidInput` for another
    number of levels. Source: `audio_processor_whisper.py` of the audio-driven model that reads them.
    """
    if hidden.shape[1] != GROUPS * GROUP + 1:
        raise InvalidInput("whisper levels", hidden.shape[1], "33, of an encoder with 32 layers")
    means = rearrange(hidden[:, :-1], "t (g n) d -> t g n d", g=GROUPS).mean(dim=2)
    groups = torch.cat([means, hidden[:, -1:]], dim=1)
    return resample_frames(groups, int(len(hidden) / FEATURE_RATE * fps))


def load_whisper(
    source: FileView | Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> WhisperEncoder:
    """The encoder from a Whisper checkpoint, whole or without its decoder. Raises `CheckpointError`."""
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as Network

    view = canonical(as_view(source), LAYOUTS, "Whisper encoder")
    config = whisper_config(view)
    return WhisperEncoder(build(lambda: Network(config), view, dtype, device, False))


def whisper_config(view: FileView) -> WhisperConfig:
    from transformers import WhisperConfig

    positions, width = shape(view, "embed_positions.weight", 2)
    stated = declared(
        view.config or {}, ("encoder_attention_heads", "activation_function", "scale_embedding")
    )
    stated["encoder_attention_heads"] = head_count(view, stated, "encoder_attention_heads", width, HEAD_WIDTH)
    sizes = {
        "d_model": width,
        "num_mel_bins": shape(view, "conv1.weight", 3)[1],
        "encoder_layers": count(view, "layers"),
        "encoder_ffn_dim": shape(view, "layers.0.fc1.weight", 2)[0],
        "max_source_positions": positions,
    }
    return configured(view, WhisperConfig, {**stated, **sizes})
