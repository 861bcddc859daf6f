"""Threads of the consumer share two arenas of glibc's heap, unless the user says otherwise."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

_ON_GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
_THREADS_THAT_ALLOCATE = """
import ctypes, os, sys, threading
from estela_consumer.heap import share_heap
if sys.argv[1] == "shared":
    share_heap()
begun = threading.Barrier(16)
def allocate():
    kept = bytearray(1000)
    begun.wait(60)
    kept = bytearray(2000)
threads = [threading.Thread(target=allocate) for _ in range(15)]
for thread in threads:
    thread.start()
begun.wait(60)
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype, libc.fdopen.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_char_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.malloc_info(0, libc.fdopen(1, b"w"))
libc.fflush(None)
"""


@pytest.mark.skipif(not _ON_GLIBC, reason="the C library is another one")
@pytest.mark.parametrize(
    ("way", "variable", "expected"),
    [("shared", "", (1, 2)), ("as it comes", "", (3, 1000)), ("shared", "5", (3, 5))],
    ids=["shared", "as it comes", "as the user says"],
)
def test_how_many_arenas_there_are(way: str, variable: str, expected: tuple[int, int]) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    if variable:
        environ["MALLOC_ARENA_MAX"] = variable

    told = subprocess.run(
        [sys.executable, "-c", _THREADS_THAT_ALLOCATE, way],
        env=environ, capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip

    fewest, most = expected
    assert fewest <= told.count("<heap nr=") <= most
