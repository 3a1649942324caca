"""Logs: one JSON object a line on standard error, with job, attempt and worker where they are known."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

FIELDS = (
    "job", "attempt", "worker", "method", "caller", "reason", "log_id", "plugin", "trace_id", "span",
    "span_id", "parent_id", "start", "seconds", "stage", "encoding", "code", "prompt",
)  # fmt: skip


class FieldsAdapter(logging.LoggerAdapter[logging.Logger]):
    """Adds its fields to those of each line; `fields` may change as time goes on."""

    def __init__(self, logger: logging.Logger, **fields: object) -> None:
        self.fields = fields
        super().__init__(logger, self.fields)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**self.fields, **(kwargs.get("extra") or {})}
        return msg, kwargs


class JsonFormatter(logging.Formatter):
    """Tokens never come here, prompts only where the operator says so: else ids and reasons."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
