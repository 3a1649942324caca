"""What the metadata of a video says."""

from __future__ import annotations

from wancore import __version__
from wancore.media.metadata import mp4_comment
from wancore.media.provenance import KEY, SOURCE_TYPE
from wancore_server.jobs.live import LiveJob


def provenance(live: LiveJob) -> str:
    """That a model made it, which one, and what to ask the server for."""
    told = {
        "version": __version__,
        KEY: SOURCE_TYPE,
        "job": f"jobs/{live.id}",
        "family": live.family,
        "model": live.model.removeprefix("models/"),
        "seed": live.info.seed,
    }
    return mp4_comment(told)
