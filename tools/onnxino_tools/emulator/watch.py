"""Data reads of the model region, seen one by one: mapped as registers, so that each read can cost wait states."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from onnxino_tools.emulator.counting import Counter, CounterState, NativeCounter, unicorn_library
from onnxino_tools.emulator.memory import WATCHED_BASE, WATCHED_SIZE, Memory

_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p)


def map_watched(
    uc: Any,
    memory: Memory,
    store: Callable[[int, int, int], bool],
    state: CounterState,
    counter: Counter | None,
    wait_states: int,
) -> None:
    """Maps the model region; reads are served natively where the counter is native. `store` takes (address, size,
    value)."""
    state.wait_states = wait_states
    state.watched = ctypes.addressof(memory.flash) + WATCHED_BASE
    state.watched_size = WATCHED_SIZE
    if isinstance(counter, NativeCounter):
        _map_native(uc, store, state, counter)
        return

    def on_read(_uc: Any, offset: int, size: int, _user: Any) -> int:
        words = (offset + size + 3 >> 2) - (offset >> 2)
        state.flash_reads += words
        state.cycles += words * wait_states
        return int.from_bytes(memory.flash_read(WATCHED_BASE + offset, size), "little")

    def on_write(_uc: Any, offset: int, size: int, value: int, _user: Any) -> None:
        store(WATCHED_BASE + offset, size, value)

    uc.mmio_map(WATCHED_BASE, WATCHED_SIZE, on_read, None, on_write, None)


def _map_native(uc: Any, store: Callable[[int, int, int], bool], state: CounterState, counter: NativeCounter) -> None:
    from unicorn.unicorn import UcError

    def on_write(_handle: int, offset: int, size: int, value: int, _user: int) -> None:
        store(WATCHED_BASE + offset, size, value)

    callback = _WRITE(on_write)
    counter.keep.append(callback)
    read = ctypes.cast(counter.library.onnxino_flash_read, ctypes.c_void_p)
    user = ctypes.c_void_p(ctypes.addressof(state))
    status = unicorn_library().uc_mmio_map(
        uc._uch, WATCHED_BASE, WATCHED_SIZE, read, user, ctypes.cast(callback, ctypes.c_void_p), None
    )
    if status:
        raise UcError(status)
