"""The address map: flash, RAM with its alias, information pages, peripherals, and what happens outside of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from onnxino_tools.emulator.fault import EmulatorFault

FLASH_SIZE = 0x100000
RAM_BASE, RAM_SIZE, RAM_ALIAS = 0x20000000, 0x40000, 0x00800000
FICR_BASE, UICR_BASE = 0x10000000, 0x10001000
WATCHED_BASE, WATCHED_SIZE = 0x40000, 0xA0000  # the model region: its data reads can be counted
PAGE = 0x1000

Read = Callable[[Any, int, int, Any], int]  # engine, offset, size, user data -> value
Write = Callable[[Any, int, int, int, Any], None]  # engine, offset, size, value, user data


class Memory:
    """Owns the bytes of flash and RAM; Unicorn works on the same buffers."""

    def __init__(self, uc: Any, ficr: bytes, uicr: bytes, flash: Any = None) -> None:
        """`flash`: an array of 1 MB of ctypes.c_uint8 that keeps its contents, or None for a new, erased one."""
        import unicorn

        self._uc = uc
        self._unicorn = unicorn
        self.flash = (ctypes.c_uint8 * FLASH_SIZE)() if flash is None else flash
        self.ram = (ctypes.c_uint8 * RAM_SIZE)()
        self._flash_view = memoryview(self.flash).cast("B")
        self._ram_view = memoryview(self.ram).cast("B")
        if flash is None:
            self._flash_view[:] = b"\xff" * FLASH_SIZE
        self.code_changed: Callable[[], None] = lambda: None
        self.store_to_flash: Callable[[int, int, int], bool] = lambda address, size, value: False
        self.note: Callable[[EmulatorFault], None] = lambda fault: None
        self._keep: list[Any] = []
        rx, rwx = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC, unicorn.UC_PROT_ALL
        self._rx = rx
        for address in (RAM_BASE, RAM_ALIAS):
            uc.mem_map_ptr(address, RAM_SIZE, rwx, ctypes.addressof(self.ram))
        uc.mem_map(FICR_BASE, 2 * PAGE, unicorn.UC_PROT_READ)
        uc.mem_write(FICR_BASE, ficr)
        uc.mem_write(UICR_BASE, uicr)
        uc.hook_add(unicorn.UC_HOOK_MEM_WRITE_PROT, self._protected_store)
        uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self._unmapped)
        uc.hook_add(unicorn.UC_HOOK_MEM_FETCH_PROT, self._unmapped)

    def map_flash(self, watched: bool) -> None:
        """Maps the flash; without the model region where that is watched (watch.py)."""
        if not watched:
            self._map_read_only(0, FLASH_SIZE)
            return
        end = WATCHED_BASE + WATCHED_SIZE
        self._map_read_only(0, WATCHED_BASE)
        self._map_read_only(end, FLASH_SIZE - end)

    def _map_read_only(self, start: int, size: int) -> None:
        self._uc.mem_map_ptr(start, size, self._rx, ctypes.addressof(self.flash) + start)
        # mem_map_ptr calls the hook for stores, but then stores all the same; after mem_protect it does not.
        self._uc.mem_protect(start, size, self._rx)

    def map_registers(self, base: int, read: Read, write: Write, size: int = PAGE) -> None:
        """A page of registers. Engine and user data come with each call."""
        self._uc.mmio_map(base, size, read, None, write, None)

    # --- host access ---
    def ram_read(self, address: int, size: int) -> bytes:
        return bytes(self._ram_view[address - RAM_BASE : address - RAM_BASE + size])

    def ram_write(self, address: int, data: bytes) -> None:
        self._ram_view[address - RAM_BASE : address - RAM_BASE + len(data)] = data

    def flash_read(self, address: int, size: int) -> bytes:
        return bytes(self._flash_view[address : address + size])

    def flash_write(self, address: int, data: bytes) -> None:
        """Past all protection. Translated code is dropped where code can be."""
        self._flash_view[address : address + len(data)] = data
        if address < WATCHED_BASE or address + len(data) > WATCHED_BASE + WATCHED_SIZE:
            self.code_changed()

    def bootloader_serial(self) -> str:
        """The USB serial number as the bootloader makes it of FICR.DEVICEADDR: 32 hexadecimal digits."""
        low, high = (int.from_bytes(self.code(FICR_BASE + at, 4), "little") for at in (0xA4, 0xA8))
        return f"{0:016X}{high:08X}{low:08X}"

    def code(self, address: int, size: int) -> bytes:
        return bytes(self._uc.mem_read(address, size))

    # --- Unicorn's callbacks ---
    def _protected_store(self, _uc: Any, _access: int, address: int, size: int, value: int, _user: Any) -> bool:
        value &= (1 << 8 * size) - 1
        if address < FLASH_SIZE:
            return self.store_to_flash(address, size, value)
        self.note(
            EmulatorFault(
                "bus", f"store of {size} bytes to 0x{address:08x}, which is read-only (FICR or UICR)", address=address
            )
        )
        return False

    def _unmapped(self, _uc: Any, access: int, address: int, size: int, value: int, _user: Any) -> bool:
        unicorn = self._unicorn
        if access in (unicorn.UC_MEM_FETCH_UNMAPPED, unicorn.UC_MEM_FETCH_PROT):
            self.note(EmulatorFault("jump", f"jump to 0x{address:08x}, where there is no code"))
            return False
        if access == unicorn.UC_MEM_WRITE_UNMAPPED:
            what = f"store of {size} bytes (0x{value & 0xFFFFFFFF:x}) to 0x{address:08x}, where there is nothing"
        else:
            what = f"load of {size} bytes from 0x{address:08x}, where there is nothing"
        self.note(EmulatorFault("unmapped", what, address=address))
        return False
