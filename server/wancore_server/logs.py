"""Logs: one JSON object a line on standard error, with job, attempt and worker where they are known."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

FIELDS = ("job", "attempt", "worker", "method", "caller", "reason", "log_id", "plugin")


class JsonFormatter(logging.Formatter):
    """Prompts and tokens never come here: callers pass ids and reasons only."""

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
