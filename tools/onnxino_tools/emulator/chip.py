"""The nRF52840's peripherals put together on one bus, and what they may do to the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.memory import PAGE, Memory, Read, Write
from onnxino_tools.emulator.peripherals.base import Peripheral, Quiet
from onnxino_tools.emulator.peripherals.clock_power import RESET_WATCHDOG, ClockPower
from onnxino_tools.emulator.peripherals.gpio import Gpio
from onnxino_tools.emulator.peripherals.misc import Random, Temperature
from onnxino_tools.emulator.peripherals.nvic import SYSTICK, Nvic
from onnxino_tools.emulator.peripherals.nvmc import Nvmc
from onnxino_tools.emulator.peripherals.ppi import Ppi
from onnxino_tools.emulator.peripherals.rtc import Rtc
from onnxino_tools.emulator.peripherals.system import Dwt, SystemControl
from onnxino_tools.emulator.peripherals.systick import SysTick
from onnxino_tools.emulator.peripherals.timer import Timer
from onnxino_tools.emulator.peripherals.uarte import Uarte
from onnxino_tools.emulator.peripherals.usbd import Usbd
from onnxino_tools.emulator.peripherals.usbd_errata import UsbErrata
from onnxino_tools.emulator.peripherals.watchdog import Watchdog
from onnxino_tools.emulator.scheduler import Scheduler

RX_PIN, TX_PIN = 32 + 10, 32 + 3  # D1 = P1.10, D0 = P1.03, as written to PSEL

_QUIET = {
    0x40001000: "RADIO", 0x40003000: "SPI0/TWI0", 0x40004000: "SPI1/TWI1", 0x40005000: "NFCT",
    0x40006000: "GPIOTE", 0x40007000: "SAADC", 0x4000E000: "ECB", 0x4000F000: "CCM/AAR", 0x40012000: "QDEC",
    0x40013000: "COMP", 0x40014000: "EGU0", 0x40015000: "EGU1", 0x40016000: "EGU2", 0x40017000: "EGU3",
    0x40018000: "EGU4", 0x40019000: "EGU5", 0x4001C000: "PWM0", 0x4001D000: "PDM", 0x40020000: "MWU",
    0x40021000: "PWM1", 0x40022000: "PWM2", 0x40023000: "SPI2", 0x40025000: "I2S", 0x40026000: "FPU",
    0x40029000: "QSPI", 0x4002D000: "PWM3", 0x4002F000: "SPIM3",
    0x5002A000: "CRYPTOCELL", 0xE0000000: "ITM", 0xE0002000: "FPB",
}  # fmt: skip


class Engine(Protocol):
    """What the chip needs of the machine that runs the core."""

    def request_stop(self) -> None: ...

    def fault(self, fault: EmulatorFault) -> None: ...

    def warn(self, text: str) -> None: ...

    def stall(self, cycles: int) -> None: ...

    def request_reset(self, reason: int) -> None: ...

    def rights_changed(self) -> None: ...

    def cycle_count(self) -> int: ...

    def cycle_counter_read(self) -> None: ...

    def flash_changed(self) -> None: ...

    def sent(self, data: bytes) -> None:
        """The device sent something to the host."""

    def access(self) -> None:
        """Called for each register access (lets time pass where blocks are not counted)."""

    def after_read(self) -> None:
        """Called when a register was read: a place to stop where blocks are not counted."""


class Bus:
    """All peripherals; implements `Chip` for them."""

    def __init__(self, engine: Engine, memory: Memory, scheduler: Scheduler, *, paced: bool) -> None:
        self.scheduler = scheduler
        self._engine = engine
        self._memory = memory
        self.nvic = Nvic(engine.request_stop)
        self.systick = SysTick(scheduler, lambda: self.nvic.set_pending(SYSTICK, True))
        self.system = SystemControl(engine, self.nvic, self.systick)
        self.dwt = Dwt(engine, self.system)
        self.ppi = Ppi(self, self._trigger)
        self.uarte0 = Uarte(self, 0x40002000, 2, rx_pin=RX_PIN, tx_pin=TX_PIN, paced=paced)
        self.uarte0.on_sent = engine.sent
        self.uarte1 = Uarte(self, 0x40028000, 40, rx_pin=-1, tx_pin=-1)
        errata = UsbErrata(self)
        self.usbd = Usbd(self, errata)
        self.power = ClockPower(self, self._hfxo, self.usbd.supply_changed)
        self.usbd.supply = self.power
        self.usbd.skip = engine.stall
        self.gpio = Gpio(self)
        self.nvmc = Nvmc(self, memory, engine.stall, engine.flash_changed)
        self.watchdog = Watchdog(self, lambda: engine.request_reset(RESET_WATCHDOG))
        self.timers = [
            Timer(self, base, irq, f"TIMER{i}", 4 if i < 3 else 6)
            for i, (base, irq) in enumerate(
                ((0x40008000, 8), (0x40009000, 9), (0x4000A000, 10), (0x4001A000, 26), (0x4001B000, 27))
            )
        ]
        for timer in self.timers:
            timer.on_poll = self.uarte0.note_poll
        self.rtcs = [
            Rtc(self, base, irq, f"RTC{i}", channels)
            for i, (base, irq, channels) in enumerate(((0x4000B000, 11, 3), (0x40011000, 17, 4), (0x40024000, 36, 4)))
        ]
        self.peripherals: list[Peripheral] = [
            self.usbd, errata, self.power, self.uarte0, self.uarte1, self.gpio, self.nvmc, self.ppi, self.watchdog,
            *self.timers, *self.rtcs, Temperature(self), Random(self),
            *(Quiet(self, base, name) for base, name in _QUIET.items()),
        ]  # fmt: skip
        self._by_base = {peripheral.base: peripheral for peripheral in self.peripherals}
        memory.store_to_flash = self.nvmc.store

    def map(self) -> None:
        """Maps every page of registers."""
        for peripheral in self.peripherals:
            self._memory.map_registers(peripheral.base, self._reader(peripheral), self._writer(peripheral))
        for base, part in ((0xE000E000, self.system), (0xE0001000, self.dwt)):
            self._memory.map_registers(base, self._sized_reader(part.read), self._sized_writer(part.write))

    def reset(self) -> None:
        """A reset of the chip; what survives a soft one is kept by the peripherals themselves."""
        self.scheduler.clear()
        self.system.reset()
        self.dwt.reset()
        for peripheral in self.peripherals:
            peripheral.reset()

    # --- Chip ---
    def ram_read(self, address: int, size: int) -> bytes:
        return self._memory.ram_read(address, size)

    def ram_write(self, address: int, data: bytes) -> None:
        self._memory.ram_write(address, data)

    def set_line(self, irq: int, level: bool) -> None:
        self.nvic.set_line(irq, level)

    def publish(self, event: int, times: int = 1) -> None:
        self.ppi.publish(event, times)

    def request_stop(self) -> None:
        self._engine.request_stop()

    def fault(self, fault: EmulatorFault) -> None:
        self._engine.fault(fault)

    def warn(self, text: str) -> None:
        self._engine.warn(text)

    # --- inside ---
    def _trigger(self, task: int, times: int) -> None:
        peripheral = self._by_base.get(task & -PAGE)
        if peripheral is not None:
            peripheral.trigger(task & (PAGE - 1), times)

    def _hfxo(self, running: bool) -> None:
        self.uarte0.hfxo_running = self.uarte1.hfxo_running = running
        self.usbd.hfxo(running)

    # The callbacks of the engine, in one piece: they are called for each access. An exception cannot pass through the
    # engine: it is kept (Ctrl-C too) and raised when the engine has stopped.

    def _reader(self, peripheral: Peripheral) -> Read:
        access, after, inner = self._engine.access, self._engine.after_read, peripheral.read

        def read(_uc: Any, offset: int, size: int, _user: Any) -> int:
            try:
                access()
                if size != 4 or offset & 3:
                    self._odd_access(peripheral, offset, size)
                value = inner(offset & ~3)
                after()
                return value >> 8 * (offset & 3)
            except BaseException as error:
                self._keep(error)
                return 0

        return read

    def _writer(self, peripheral: Peripheral) -> Write:
        access, inner = self._engine.access, peripheral.write

        def write(_uc: Any, offset: int, size: int, value: int, _user: Any) -> None:
            try:
                access()
                if size != 4 or offset & 3:
                    self._odd_access(peripheral, offset, size)
                inner(offset & ~3, value & 0xFFFFFFFF)
            except BaseException as error:
                self._keep(error)

        return write

    def _odd_access(self, peripheral: Peripheral, offset: int, size: int) -> None:
        address = peripheral.base + offset
        self.warn(f"access of {size} bytes to {peripheral.name} at 0x{address:08x}: registers are 32 bits")

    def _sized_reader(self, inner: Callable[[int, int], int]) -> Read:
        access = self._engine.access

        def read(_uc: Any, offset: int, size: int, _user: Any) -> int:
            try:
                access()
                return inner(offset, size)
            except BaseException as error:
                self._keep(error)
                return 0

        return read

    def _sized_writer(self, inner: Callable[[int, int, int], None]) -> Write:
        access = self._engine.access

        def write(_uc: Any, offset: int, size: int, value: int, _user: Any) -> None:
            try:
                access()
                inner(offset, size, value & 0xFFFFFFFF)
            except BaseException as error:
                self._keep(error)

        return write

    def _keep(self, error: BaseException) -> None:
        self.error = self.error or error
        self._engine.request_stop()

    error: BaseException | None = None
