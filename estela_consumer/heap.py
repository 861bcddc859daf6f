"""The C library's heap, for a process of many threads."""

from __future__ import annotations

import ctypes
import os
import sys

_M_ARENA_MAX = -8  # glibc's name for it, as its malloc.h has it
_ARENAS = 2  # one for who has the interpreter's lock, one for a client that allocates beside it


def share_heap() -> None:
    """Have all threads of this process allocate from two arenas, if the C library is glibc.

    By itself it has eight for each core, and what threads have freed in one is of no use to those of another.
    Nothing is done if MALLOC_ARENA_MAX is set, or with another C library.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
