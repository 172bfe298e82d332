"""Counts instructions and cycles block by block, natively where a C compiler is at hand, else in Python.

Both counters stop the engine at block boundaries only. The struct mirrors block_hook.c.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnxino_tools.emulator.blocks import CONDITIONAL, MAY_UNMASK, Block
from onnxino_tools.emulator.scheduler import NEVER

CODE_REGIONS = ((0x00000000, 0x100000), (0x20000000, 0x40000), (0x00800000, 0x40000))  # flash, RAM, alias of RAM
Decode = Callable[[int, int], Block | None]  # None: a fault was noted, stop

_DECODE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)


class _Entry(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint16),
        ("instructions", ctypes.c_uint16),
        ("cycles", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
    )


class _Region(ctypes.Structure):
    _fields_ = (("base", ctypes.c_uint32), ("size", ctypes.c_uint32), ("blocks", ctypes.c_void_p))


class CounterState(ctypes.Structure):
    """Mirror of `state` in block_hook.c."""

    _fields_ = (
        ("instructions", ctypes.c_uint64),
        ("cycles", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("stop", ctypes.c_uint32),
        ("masked", ctypes.c_uint32),
        ("address", ctypes.c_uint32),
        ("next", ctypes.c_uint32),
        ("taken", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("flash_reads", ctypes.c_uint64),
        ("wait_states", ctypes.c_uint32),
        ("watched_size", ctypes.c_uint32),
        ("watched", ctypes.c_void_p),
        ("decode", _DECODE),
        ("emu_stop", ctypes.c_void_p),
        ("regions", _Region * 3),
    )

    instructions: int
    cycles: int
    deadline: int
    limit: int
    stop: int
    masked: int
    address: int
    next: int
    taken: int
    flags: int
    flash_reads: int
    wait_states: int
    watched_size: int
    watched: int


def new_state() -> CounterState:
    return CounterState(deadline=NEVER, limit=NEVER)


class NativeCounter:
    """The hook of block_hook.c, compiled once and cached."""

    kind = "native"

    def __init__(self, uc: Any, state: CounterState, decode: Decode, library: ctypes.CDLL) -> None:
        self.state = state
        self._uc = uc
        self.library = library
        self.keep: list[Any] = []  # callbacks of the engine must live as long as it
        self._tables = [(_Entry * (size // 2))() for _, size in CODE_REGIONS]
        for region, (base, size), table in zip(state.regions, CODE_REGIONS, self._tables, strict=True):
            region.base, region.size, region.blocks = base, size, ctypes.addressof(table)

        def fill(address: int, size: int, entry: int) -> None:
            block = decode(address, size)
            if block is None:
                state.stop = 1
                return
            target = _Entry.from_address(entry)
            target.size, target.instructions, target.cycles, target.flags = (
                block.size, block.instructions, block.cycles, block.flags,
            )  # fmt: skip

        self._fill = _DECODE(fill)
        state.decode = self._fill
        state.emu_stop = ctypes.cast(unicorn_library().uc_emu_stop, ctypes.c_void_p).value
        self._handle: int | None = None

    def install(self) -> None:
        if self._handle is None:
            hook = ctypes.cast(self.library.onnxino_block_hook, ctypes.c_void_p)
            self._handle = add_block_hook(self._uc, hook, ctypes.addressof(self.state))

    def remove(self) -> None:
        if self._handle is not None:
            remove_hook(self._uc, self._handle)
            self._handle = None

    def forget(self) -> None:
        """Drops all decoded blocks (code or the right to execute it changed)."""
        for table in self._tables:
            ctypes.memset(table, 0, ctypes.sizeof(table))


class PythonCounter:
    """The same in Python: 20 to 60 times slower, needs no compiler."""

    kind = "python"

    def __init__(self, uc: Any, state: CounterState, decode: Decode, why: str = "") -> None:
        self.why = why  # there is no native one
        self.state = state
        self._uc = uc
        self._blocks: dict[int, Block] = {}
        self._handle: int | None = None
        self._hook = _python_hook(state, self._blocks, decode, uc)

    def install(self) -> None:
        if self._handle is None:
            self._handle = add_block_hook(self._uc, ctypes.cast(self._hook, ctypes.c_void_p), 0)

    def remove(self) -> None:
        if self._handle is not None:
            remove_hook(self._uc, self._handle)
            self._handle = None

    def forget(self) -> None:
        self._blocks.clear()


_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)


def _python_hook(state: CounterState, blocks: dict[int, Block], decode: Decode, uc: Any) -> Any:
    def hook(_handle: int, address: int, size: int, _user: int) -> None:
        masked = state.masked and state.flags & MAY_UNMASK
        if state.stop or masked or state.cycles >= state.deadline or state.instructions >= state.limit:
            state.stop = 2
            uc.emu_stop()
            return
        block = blocks.get(address)
        if block is None or block.size != size:
            block = decode(address, size)
            if block is None:
                state.stop = 1
                uc.emu_stop()
                return
            blocks[address] = block
        state.instructions += block.instructions
        state.cycles += block.cycles + (state.taken if address != state.next else 0)
        state.flags = block.flags
        state.taken = 2 if block.flags & CONDITIONAL else 0
        state.address = address
        state.next = address + size

    return _HOOK(hook)


Counter = NativeCounter | PythonCounter


def unicorn_library() -> Any:
    """The shared library behind the Python package: the package's own interface takes Python callbacks only."""
    from unicorn.unicorn_py3 import unicorn as binding

    return binding.uclib


def add_block_hook(uc: Any, function: ctypes.c_void_p, user: int) -> int:
    """Registers a C function as block hook; returns its handle."""
    from unicorn import UC_HOOK_BLOCK
    from unicorn.unicorn import UcError

    handle = ctypes.c_size_t()
    status = unicorn_library().uc_hook_add(
        uc._uch,
        ctypes.byref(handle),
        UC_HOOK_BLOCK,
        function,
        ctypes.c_void_p(user),
        ctypes.c_uint64(1),
        ctypes.c_uint64(0),
    )
    if status:
        raise UcError(status)
    uc.ctl_flush_tb()  # blocks translated before do not call the hook
    return int(handle.value)


def remove_hook(uc: Any, handle: int) -> None:
    unicorn_library().uc_hook_del(uc._uch, ctypes.c_size_t(handle))
    uc.ctl_flush_tb()


def load_native() -> ctypes.CDLL:
    """The compiled hook. Raises CompileError without a compiler."""
    from onnxino.compile_cache import shared_library

    source = Path(__file__).with_name("block_hook.c")
    return ctypes.CDLL(str(shared_library("onnxino-block-hook", [source], ["-O2"])))


def make_counter(count: str, uc: Any, state: CounterState, decode: Decode) -> Counter:
    """The counter for Machine's `count`. Raises InputError for another word, CompileError for "native" without a
    compiler."""
    from onnxino.errors import InputError, OnnxinoError

    if count not in ("auto", "native", "python", "off"):
        raise InputError(f"count is '{count}'", "one of auto, native, python, off")
    if count == "python":
        return PythonCounter(uc, state, decode)
    try:
        return NativeCounter(uc, state, decode, load_native())
    except (OnnxinoError, OSError) as error:
        if count == "native":
            raise
        return PythonCounter(uc, state, decode, str(error).splitlines()[0])
