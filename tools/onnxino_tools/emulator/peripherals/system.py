"""The core's own registers: NVIC, SCB, SysTick, MPU, FPU control (page 0xE000E000) and DWT (page 0xE0001000)."""

from __future__ import annotations

from typing import Protocol

from onnxino_tools.emulator.peripherals.mpu import Mpu
from onnxino_tools.emulator.peripherals.nvic import IRQS, PENDSV, SYSTICK, Nvic
from onnxino_tools.emulator.peripherals.systick import SysTick

CPUID = 0x410FC241  # Cortex-M4 r0p1
_VECTKEY = 0x05FA


class CoreControl(Protocol):
    """What writes to these registers do to the machine."""

    def request_reset(self, reason: int) -> None: ...

    def rights_changed(self) -> None:
        """The FPU was switched on or off, or the MPU changed: blocks have to be looked at again."""

    def request_stop(self) -> None: ...

    def cycle_count(self) -> int:
        """Cycles in which the core ran, since the machine was made."""
        ...

    def cycle_counter_read(self) -> None:
        """CYCCNT is about to be read by the firmware."""

    def warn(self, text: str) -> None: ...


class SystemControl:
    """Registers of the page 0xE000E000, with byte and halfword access where the architecture allows it."""

    def __init__(self, control: CoreControl, nvic: Nvic, systick: SysTick) -> None:
        self._control = control
        self.nvic = nvic
        self.systick = systick
        self.mpu = Mpu()
        self.reset()

    def reset(self) -> None:
        self.vtor = 0
        self.cpacr = 0
        self.demcr = 0
        self._plain = {
            0x004: 0, 0x008: 0, 0xD10: 0, 0xD14: 0x200, 0xD24: 0, 0xD28: 0, 0xD2C: 0, 0xD30: 0, 0xD34: 0,
            0xD38: 0, 0xD3C: 0, 0xDF0: 0, 0xDF4: 0, 0xDF8: 0, 0xF34: 0xC0000000, 0xF38: 0, 0xF3C: 0,
        }  # fmt: skip
        self.mpu.reset()
        self.nvic.reset()
        self.systick.reset()

    @property
    def fpu_enabled(self) -> bool:
        return self.cpacr >> 20 & 15 == 15

    @property
    def stack_align_8(self) -> bool:
        return bool(self._plain[0xD14] >> 9 & 1)

    def read(self, offset: int, size: int) -> int:
        word = self._read_word(offset & ~3)
        return word >> (8 * (offset & 3)) & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        if size < 4:
            shift = 8 * (offset & 3)
            mask = ((1 << 8 * size) - 1) << shift
            plain = 0 if 0x100 <= offset < 0x300 else self._read_word(offset & ~3) & ~mask
            value = plain | (value << shift & mask)
        self._write_word(offset & ~3, value & 0xFFFFFFFF)

    def _read_word(self, offset: int) -> int:
        if 0x100 <= offset < 0x500:
            return self.nvic.read(offset)
        if 0x010 <= offset <= 0x01C:
            return self.systick.read(offset)
        if 0xD90 <= offset <= 0xDB8:
            return self.mpu.read(offset)
        if offset in (0xD18, 0xD1C, 0xD20):
            return self.nvic.system_priorities(offset)
        fixed = {
            0xD00: CPUID,
            0xD04: self._icsr,
            0xD08: self.vtor,
            0xD0C: self._aircr,
            0xD88: self.cpacr,
            0xDFC: self.demcr,
        }
        if offset in fixed:
            value = fixed[offset]
            return value if isinstance(value, int) else value()
        if offset not in self._plain:
            self._control.warn(f"read of core register 0x{0xE000E000 + offset:08x}, which is not modelled")
        return self._plain.get(offset, 0)

    def _write_word(self, offset: int, value: int) -> None:
        if 0x100 <= offset < 0x500 or offset == 0xF00:
            self.nvic.write(offset, value)
        elif 0x010 <= offset <= 0x01C:
            self.systick.write(offset, value)
        elif 0xD90 <= offset <= 0xDB8:
            self.mpu.write(offset, value)
            self._control.rights_changed()
        elif offset in (0xD18, 0xD1C, 0xD20):
            self.nvic.set_system_priorities(offset, value)
        elif offset == 0xD04:
            self._write_icsr(value)
        elif offset == 0xD08:
            self.vtor = value & 0xFFFFFF80
        elif offset == 0xD0C:
            self._write_aircr(value)
        elif offset == 0xD88:
            self.cpacr = value & 0xF00000
            self._control.rights_changed()
        elif offset == 0xDFC:
            self.demcr = value
        elif offset in (0xD28, 0xD2C, 0xD30):
            self._plain[offset] &= ~value  # fault status: write 1 to clear
        elif offset in self._plain:
            self._plain[offset] = value
        elif offset != 0xD00:
            self._control.warn(f"write of core register 0x{0xE000E000 + offset:08x}, which is not modelled")

    def set_fault_status(self, configurable: int, hard: int, address: int | None) -> None:
        """CFSR, HFSR and the fault address registers, for a fault that is delivered to the firmware."""
        self._plain[0xD28] |= configurable
        self._plain[0xD2C] |= hard
        if address is not None:
            self._plain[0xD34] = self._plain[0xD38] = address

    def _icsr(self) -> int:
        active = self.nvic.current
        pending = self.nvic.highest_pending()
        value = active | pending << 12 | (1 << 22 if self.nvic.pending >> 16 else 0)
        value |= (self.nvic.pending >> SYSTICK & 1) << 26 | (self.nvic.pending >> PENDSV & 1) << 28
        return value

    def _write_icsr(self, value: int) -> None:
        for bit, exception, pend in (
            (28, PENDSV, True),
            (27, PENDSV, False),
            (26, SYSTICK, True),
            (25, SYSTICK, False),
        ):
            if value >> bit & 1:
                self.nvic.set_pending(exception, pend)

    def _aircr(self) -> int:
        return 0xFA050000 | self.nvic.group_bits << 8

    def _write_aircr(self, value: int) -> None:
        if value >> 16 != _VECTKEY:
            self._control.warn("AIRCR written without its key 0x05fa: ignored")
            return
        self.nvic.group_bits = value >> 8 & 7
        if value & 4:
            self._control.request_reset(4)


class Dwt:
    """CYCCNT counts while DEMCR.TRCENA and DWT_CTRL.CYCCNTENA are set; it stands while the core sleeps."""

    def __init__(self, control: CoreControl, system: SystemControl) -> None:
        self._control = control
        self._system = system
        self.reset()

    def reset(self) -> None:
        self._ctrl = 0x40000000
        self._offset = 0  # CYCCNT = cycles + offset, or `_frozen` while it stands
        self._frozen = 0
        self._plain: dict[int, int] = {}

    @property
    def _running(self) -> bool:
        return bool(self._ctrl & 1)

    def read(self, offset: int, size: int) -> int:
        if not self._system.demcr >> 24 & 1:
            self._control.warn("DWT register read while DEMCR.TRCENA is 0: reads as zero")
            return 0
        if offset == 0:
            return self._ctrl
        if offset == 4:
            self._control.cycle_counter_read()
            return self._count()
        return self._plain.get(offset, 0)

    def _count(self) -> int:
        return (self._control.cycle_count() + self._offset if self._running else self._frozen) & 0xFFFFFFFF

    def write(self, offset: int, size: int, value: int) -> None:
        if not self._system.demcr >> 24 & 1:
            self._control.warn("DWT register written while DEMCR.TRCENA is 0: ignored")
            return
        count = self._count()
        if offset == 0:
            self._ctrl = 0x40000000 | value & 0x0FFFFFFF
            self._set(count)
        elif offset == 4:
            self._set(value)
        else:
            self._plain[offset] = value

    def _set(self, count: int) -> None:
        self._frozen = count
        self._offset = count - self._control.cycle_count()


__all__ = ["IRQS", "Dwt", "SystemControl"]
