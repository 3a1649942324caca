-- Where a job belongs in its caller's trace: a W3C `traceparent`, or ''.
ALTER TABLE jobs ADD COLUMN trace TEXT NOT NULL DEFAULT '';
