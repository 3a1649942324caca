"""Settings of the server: flags, then `WANCORE_SERVE_*`, then the table `[serve]` of `wancore.toml`.

Spans are in seconds, sizes in bytes. What holds for the engine (models, device, plugins) stays in
`wancore.runtime.settings` and reaches the workers through the environment and the same file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from wancore.plugins.inputs import first_problem

MIB, GIB = 2**20, 2**30


def default_data() -> Path:
    """`$XDG_STATE_HOME/wancore`."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "wancore"


class ServerSettings(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix="WANCORE_SERVE_",
        toml_file="wancore.toml",
        toml_table_header=("serve",),
        extra="forbid",
        frozen=True,
    )

    address: str = Field("127.0.0.1:50700", description="HOST:PORT or unix:PATH to listen on")
    metrics_address: str = Field(
        "127.0.0.1:50701", description="HOST:PORT of the Prometheus metrics, over HTTP; empty: off"
    )
    data: Path = Field(default_factory=default_data, description="token, store, spool, assets")
    insecure_bind: bool = Field(False, description="allow an address beyond this machine without TLS")
    tls_certificate: Path | None = Field(None, description="PEM chain; reloaded when it changes")
    tls_key: Path | None = Field(None, description="PEM key of the certificate")
    tls_client_ca: Path | None = Field(None, description="PEM roots; clients must then show a certificate")
    reflection: bool | None = Field(None, description="gRPC reflection; unset: only on this machine")

    devices: tuple[str, ...] = Field((), description="one worker each; empty: every GPU, else the CPU")
    gang: int = Field(1, ge=1, le=64, description="processes of a worker, one rank each")
    resident_models: int = Field(1, ge=1, description="models whose weights a worker keeps, last used first")
    encoders: int = Field(1, ge=1, le=16, description="processes that make pictures and H.264")
    jpeg_quality: int = Field(92, ge=1, le=100)
    h264_crf: int = Field(18, ge=0, le=51)
    provenance: bool = Field(True, description="write into MP4 files that a model made them, and which")

    queued_per_caller: int = Field(20, ge=0)
    running_per_caller: int = Field(2, ge=0)
    queued_jobs: int = Field(1000, ge=0, description="jobs in the queue, of all callers")
    max_viewers: int = Field(64, ge=1, description="streams at once")
    connection_streams: int = Field(32, ge=1, description="calls at once on one connection")

    message_bytes: int = Field(4 * MIB, description="longest message to the server")
    asset_bytes: int = Field(2 * GIB, ge=1)
    store_bytes: int = Field(50 * GIB, ge=1, description="all assets together")
    spool_bytes: int = Field(50 * GIB, ge=1, description="frames of all jobs together")
    spool_grant_bytes: int = Field(256 * MIB, ge=1, description="room given to an attempt at once")
    free_bytes: int = Field(2 * GIB, ge=0, description="below this, or 5 % of the disk, no new work")
    free_share: float = Field(0.05, ge=0, lt=1)
    image_pixels: int = Field(64_000_000, ge=1)
    video_frames: int = Field(4096, ge=1)
    prompt_bytes: int = Field(16 * 1024, ge=1)
    parameter_bytes: int = Field(64 * 1024, ge=2)
    parameter_depth: int = Field(8, ge=1)
    decoder_memory_bytes: int = Field(2 * GIB, ge=64 * MIB, description="of the process that decodes assets")
    decoder_s: float = Field(60, gt=0)

    heartbeat_s: float = Field(5, gt=0, description="between messages to a viewer when nothing happens")
    viewer_stall_s: float = Field(30, gt=0, description="without a completed write, a viewer is cut off")
    disconnect_grace_s: float = Field(30, gt=0)
    keepalive_time_s: float = Field(20, gt=0)
    keepalive_timeout_s: float = Field(10, gt=0)
    client_ping_s: float = Field(10, gt=0, description="pings from clients closer than this are refused")
    cancel_grace_s: float = Field(10, gt=0, description="from a cancel to the signal to terminate")
    terminate_grace_s: float = Field(5, gt=0, description="from there to the kill")
    session_idle_s: float = Field(
        60, gt=0, description="a session ends when its client says nothing for so long"
    )
    session_lifetime_s: float = Field(1800, gt=0)
    session_rejoin_s: float = Field(
        20, gt=0, description="how long a session waits for a client that was lost"
    )
    session_stall_s: float = Field(7, gt=0, description="as viewer_stall_s, for the stream of a session")
    session_lease_s: float = Field(
        5, gt=0, description="how often a worker's lease is renewed; four late: lost"
    )
    session_audio_s: float = Field(60, gt=0, description="most sound of an input beyond what was used")
    session_kept_s: float = Field(600, gt=0, description="how long GetSession knows of one that has ended")
    worker_beat_s: float = Field(1, gt=0)
    worker_silence_s: float = Field(10, gt=0)
    worker_patience_s: float = Field(60, gt=0, description="silence allowed while loading or compiling")
    watchdog_min_s: float = Field(120, gt=0)
    watchdog_factor: float = Field(10, ge=1)
    recycle_growth: float = Field(
        0.1, ge=0, description="growth over the memory after its first job that has a worker replaced"
    )
    recycle_least_bytes: int = Field(512 * MIB, ge=0, description="growth below this is none")
    restart_first_s: float = Field(1, gt=0)
    restart_most_s: float = Field(60, gt=0)
    quarantine_crashes: int = Field(5, ge=1)
    quarantine_window_s: float = Field(600, gt=0)
    canary_s: float = Field(20, gt=0, description="between canaries of an idle worker")
    health_s: float = Field(60, gt=0, description="how long a canary or progress counts as health")
    spool_wait_s: float = Field(30, gt=0)
    probe_s: float = Field(30, gt=0, description="for the import of one plugin, and to describe all")
    plugins_s: float = Field(10, gt=0, description="between looks at which plugins are installed")
    checker_s: float = Field(5, gt=0, description="time for a family's rules to judge a call")
    checker_rest_s: float = Field(
        60, gt=0, description="rules that crash or hang twice are not asked for so long"
    )
    checker_memory_bytes: int = Field(8 * GIB, ge=256 * MIB, description="of the process that asks the rules")
    retention_s: float = Field(24 * 3600, gt=0, description="how long an ended job and its frames are kept")
    request_id_s: float = Field(24 * 3600, gt=0)
    ageing_s: float = Field(600, gt=0, description="after this a waiting job rises by one class")
    drain_s: float = Field(60, ge=0)
    store_busy_s: float = Field(5, gt=0, description="wait for a locked store")
    housekeeping_s: float = Field(30, gt=0)

    log_prompts: bool = Field(False, description="write prompts into the log")
    fail_point: str = Field("", description="for tests: kill the gateway at NAME:COUNT, or raise there")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_server_settings(**flags: Any) -> ServerSettings:
    """Settings with `flags` (those that are not None) on top. Raises `InvalidInput`."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return ServerSettings(**given)
    except ValidationError as error:
        raise first_problem(error, "", known=", ".join(ServerSettings.model_fields)) from error
