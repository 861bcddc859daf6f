"""The records of a compressed batch, whichever of Kafka's codecs it names, and never too much of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import lz4.frame
import snappy
import zstandard

MAX_BYTES = 128 * 1024 * 1024  # of a batch: a megabyte may unfold to gigabytes, and brokers see the megabyte

_PIECE = 1024 * 1024  # bytes
_GZIP = 31  # what zlib calls the largest window, in gzip's wrapping
_GZIP_RATIO = 1_032  # it makes no more of a byte
_XERIAL = b"\x82SNAPPY\x00"  # how snappy in blocks begins, as Java writes it; 8 bytes of versions follow
_XERIAL_HEADER = 16


def decompress(codec: int, data: bytes) -> bytes:
    """The bytes that `data` was made of by the codec of this number.

    Raises ValueError for an unknown codec, for what the codec did not write, and for over MAX_BYTES.
    """
    if codec not in _CODECS:
        raise ValueError(f"it is compressed in a way that is not known: {codec}")
    name, pieces_of = _CODECS[codec]
    pieces, size = [], 0
    try:
        for piece in pieces_of(data):
            size += len(piece)
            if size > MAX_BYTES:
                break
            pieces.append(piece)
    except Exception as error:
        raise ValueError(f"it is not {name}: {error}") from error
    if size > MAX_BYTES:
        raise ValueError(f"it is over {MAX_BYTES:,} bytes when it is uncompressed")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _gzip(data: bytes) -> Iterator[bytes]:
    size = int.from_bytes(data[-4:], "little")  # what it says it will be
    if len(data) * _GZIP_RATIO <= MAX_BYTES and size <= MAX_BYTES:
        whole = zlib.decompress(data, _GZIP, max(1, size))  # in one piece: three times as fast
        if len(whole) == size:
            yield whole
            return
    while data:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            piece = member.decompress(data, _PIECE)
            if not piece and not member.eof:
                raise EOFError("it is cut short")
            data = member.unconsumed_tail
            yield piece
        data = member.unused_data


def _snappy(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_XERIAL):
        yield _snappy_block(data)
        return
    at = _XERIAL_HEADER
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if size < 0:
            raise ValueError("a block has a negative size")
        yield _snappy_block(data[at : at + size])
        at += size


def _snappy_block(data: bytes) -> bytes:
    """One block; it says first how much it will be."""
    size = 0
    for shift, byte in enumerate(data[:5]):
        size |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            break
    if size > MAX_BYTES:
        raise ValueError(f"a block of {size:,} bytes")
    block: bytes = snappy.decompress(data)
    return block


def _lz4(data: bytes) -> Iterator[bytes]:
    while data:
        frame = lz4.frame.LZ4FrameDecompressor()
        piece = frame.decompress(data, _PIECE)
        while piece or not frame.eof:
            if not piece and frame.needs_input:
                raise EOFError("it is cut short")
            yield piece
            piece = b"" if frame.eof else frame.decompress(b"", _PIECE)
        data = frame.unused_data or b""


def _zstd(data: bytes) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        while piece := reader.read(_PIECE):
            yield piece


_CODECS: dict[int, tuple[str, Callable[[bytes], Iterator[bytes]]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("LZ4", _lz4),
    4: ("zstd", _zstd),
}
