"""The mark that says of a file that a model made it."""

from __future__ import annotations

#: IPTC's term for media made by a trained model (NewsCodes, Digital Source Type).
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
#: Its name in the metadata.
KEY = "digital_source_type"
