"""Documents that are BSON already."""

from __future__ import annotations

from bson.raw_bson import RawBSONDocument


class Encoded(RawBSONDocument):
    """A document on its way out, without the checks of bytes that may have come from anywhere."""

    __slots__ = ("raw",)

    def __init__(self, encoded: bytes) -> None:
        self.raw = encoded  # type: ignore[misc]  # pymongo has a property in its place

    def __bool__(self) -> bool:  # pymongo asks whether it is empty, which would decode it
        return True

    def __repr__(self) -> str:
        return f"<{len(self.raw)} bytes of BSON>"
