"""What the server counts; names and labels are part of what operators rely on.

Labels are bounded: family, model, stage, encoding, priority, reason, worker, outcome, kind; never ids.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SLOW = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """One registry per gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.jobs = self.counter("jobs", "Jobs that ended.", "outcome", "family")
        self.queue_depth = self.gauge("queue_depth", "Jobs waiting.", "priority")
        self.queue_wait = self.histogram(
            "queue_wait_seconds", "From the call to the start.", SLOW, "priority"
        )
        self.job_run = self.histogram("job_run_seconds", "Time of an attempt that ended.", SLOW, "family")
        self.stage = self.histogram("stage_seconds", "Time in a stage.", SLOW, "family", "stage")
        self.step = self.histogram("step_seconds", "Time of a denoising step.", SLOW, "family")
        self.model_load = self.histogram(
            "model_load_seconds", "Time to load parts of a model.", SLOW, "model"
        )
        self.first_frame = self.histogram("first_frame_seconds", "Start to first frame.", SLOW, "family")
        self.frame_interval = self.histogram("frame_interval_seconds", "Between blocks.", SLOW, "family")
        self.frames = self.counter("frames_emitted", "Frames that workers made.", "family")
        self.skipped = self.counter("frames_skipped", "Frames that viewers did not get.")
        self.viewers = self.gauge("viewers", "Streams open.")
        self.viewer_lag = self.gauge("viewer_lag_frames", "Frames that the slowest viewer is behind.")
        self.sent = self.counter("stream_sent_bytes", "Bytes of frames sent.", "encoding")
        self.encode = self.histogram("encode_seconds", "Time to encode a block.", FAST, "encoding")
        self.spool_wait = self.counter("spool_wait_seconds", "Time that workers waited for room.")
        self.cancel = self.histogram("cancel_seconds", "From a cancel to its end.", FAST)
        self.sessions = self.gauge("sessions", "Live sessions that have not ended.")
        self.control_to_frame = self.histogram(
            "control_to_frame_seconds", "From a control to the block that shows it.", FAST
        )
        self.worker_up = self.gauge("worker_up", "1 while a worker can take jobs.", "worker")
        self.worker_restarts = self.counter("worker_restarts", "Worker processes lost.", "reason")
        self.worker_memory = self.gauge("worker_memory_bytes", "Resident memory.", "worker")
        self.gpu_memory = self.gauge(
            "gpu_memory_bytes", "Of the worker's GPU: allocated, reserved, total.", "worker", "kind"
        )
        self.store_commit = self.histogram("store_commit_seconds", "Time of a commit.", FAST)
        self.spool_bytes = self.gauge("spool_bytes", "Bytes of frames kept.")
        self.asset_bytes = self.gauge("asset_bytes", "Bytes of assets kept.")
        self.loop_lag = self.histogram("event_loop_lag_seconds", "How late the gateway's loop is.", FAST)
        self.calls = Counter("grpc_server_call_started", "Calls begun.", ("method",), registry=self.registry)
        self.call_time = Histogram(
            "grpc_server_call_duration_seconds", "Time of a call.", ("method", "status"),
            buckets=FAST, registry=self.registry,
        )  # fmt: skip

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"wancore_{name}", text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"wancore_{name}", text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"wancore_{name}", text, labels, buckets=buckets, registry=self.registry)
