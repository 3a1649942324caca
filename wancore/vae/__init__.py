"""Between pixels and latents: the causal video VAE, and cheap previews of latents."""

from wancore.vae.end_image import decode_with_end, encode_with_end
from wancore.vae.files import VaeFile, VaeKind, recognise
from wancore.vae.fitted import FittedDecoderStream
from wancore.vae.latent_rgb import latent_rgb
from wancore.vae.load import load_vae
from wancore.vae.memory import Fit, Need, decoder_need, encoder_need, fit_decoder, fit_encoder
from wancore.vae.preview import PreviewDecoder, PreviewStream, load_preview
from wancore.vae.statistics import LatentStatistics
from wancore.vae.stream import DecoderStream, EncoderStream
from wancore.vae.tiled import TiledDecoderStream
from wancore.vae.tiling import Tiling
from wancore.vae.vae import Vae

__all__ = [
    "DecoderStream",
    "EncoderStream",
    "Fit",
    "FittedDecoderStream",
    "LatentStatistics",
    "Need",
    "PreviewDecoder",
    "PreviewStream",
    "TiledDecoderStream",
    "Tiling",
    "Vae",
    "VaeFile",
    "VaeKind",
    "decode_with_end",
    "decoder_need",
    "encode_with_end",
    "encoder_need",
    "fit_decoder",
    "fit_encoder",
    "latent_rgb",
    "load_preview",
    "load_vae",
    "recognise",
]
