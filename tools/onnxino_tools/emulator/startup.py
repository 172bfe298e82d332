"""What happens when power comes or goes, and at a reset: the bootloader, or the application at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from onnxino.boards import Board
from onnxino_tools.emulator.boot import start_application
from onnxino_tools.emulator.bootloader import Bootloader
from onnxino_tools.emulator.bootloader_flash import Generation
from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.memory import RAM_BASE, RAM_SIZE, Memory
from onnxino_tools.emulator.peripherals.clock_power import RESET_PIN, RESET_SOFT

if TYPE_CHECKING:
    from onnxino_tools.emulator.usb.cdc_device import CdcDevice
    from onnxino_tools.emulator.usb.host import UsbHost

VENDOR, PRODUCT, RELEASE = 0x2341, 0x005A, 0x0011  # of the bootloader


class Engine(Protocol):
    """What start-up needs of the machine."""

    def request_stop(self) -> None: ...

    def request_reset(self, reason: int) -> None: ...

    def application_starts(self) -> None:
        """The core is set to the application's first instruction."""


class Startup:
    """Implements the bootloader's `Owner`. `host`: the USB cable's other end, or None where none is plugged in.

    `output` is what the bootloader sends where there is no USB host.
    """

    def __init__(
        self, engine: Engine, bus: Bus, memory: Memory, core: Core, board: Board, generation: Generation | None
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._memory = memory
        self._core = core
        self._board = board
        self.bootloader = Bootloader(generation, self, bus, memory) if generation is not None else None
        self.host: UsbHost | None = None
        self._port: CdcDevice | None = None
        self.output = bytearray()
        self.powered = True
        self.failing = False  # the power goes as soon as the engine stands
        self.replug_after: int | None = None  # cycles until the power comes back after it failed
        self.failures = 0
        bus.nvmc.power_failed = self.power_failed

    @property
    def standing(self) -> bool:
        """The core does not run: no power, or the bootloader works in its place."""
        return not self.powered or (self.bootloader is not None and self.bootloader.active)

    @property
    def busy(self) -> bool:
        """Time that passes is not waiting for the host."""
        return self.bootloader is not None and self.bootloader.busy

    def start(self) -> None:
        """After any reset."""
        if self.bootloader is not None:
            self.bootloader.interrupt()
        self.bootloader_usb(False)
        self._bus.reset()
        if self.bootloader is None:
            self.hand_over(self._board.image_address)
        else:
            self._bus.nvmc.registers[0x504] = 0
            self.bootloader.start()

    # --- power ---
    def power_failed(self) -> None:
        """The power fails now; it is gone when the engine stands."""
        self._bus.nvmc.cells.powered = False
        self.failing = True
        self.failures += 1
        self._engine.request_stop()

    def power_off(self) -> None:
        """Everything but the flash is lost."""
        self.failing = False
        if self.bootloader is not None:
            self.bootloader.interrupt()
        self.powered = self._bus.nvmc.cells.powered = False
        if self.host is not None:
            self.host.unplug()
        self.bootloader_usb(False)
        self._bus.reset()
        self._bus.watchdog.power_on()
        for queue in (self._bus.uarte0.to_device, self._bus.uarte0.from_device, self.output):
            queue.clear()

    def power_on(self) -> None:
        """What RAM holds is anything; `start` follows."""
        self.powered = self._bus.nvmc.cells.powered = True
        self.lose_memory()
        self._bus.power.gpregret = self._bus.power.gpregret2 = self._bus.power.reset_reasons = 0
        if self.host is not None:
            self.host.plug()

    def lose_memory(self) -> None:
        self._memory.ram_write(RAM_BASE, self._bus.nvmc.cells.noise(RAM_SIZE))

    def press_reset(self) -> None:
        """The pin reset: RAM stays, GPREGRET does not."""
        power = self._bus.power
        power.gpregret = power.gpregret2 = 0
        power.reset_reasons = power.reset_reasons | RESET_PIN if self.bootloader is not None else RESET_PIN
        self._bus.watchdog.power_on()

    # --- Owner, for the bootloader ---
    def hand_over(self, start: int) -> None:
        forwarded = self.bootloader is not None and self.bootloader.generation.forwards
        start_application(self._bus, self._memory, self._core, start, forwarded=forwarded)
        self._engine.application_starts()

    def restart(self) -> None:
        self._engine.request_reset(RESET_SOFT)

    def bootloader_usb(self, on: bool) -> None:
        host = self.host
        if host is None:
            return
        if on:
            self._port = self._make_port()
            host.attach(self._port)
            self._port.connect()
        elif self._port is not None:
            self._port.disconnect()
            self._port = None
            host.attach(self._bus.usbd)

    def bootloader_busy(self, busy: bool) -> None:
        if self._port is not None:
            self._port.accept(not busy)

    def bootloader_sends(self, data: bytes) -> None:
        if self._port is not None:
            self._port.send(data)
        else:
            self.output += data

    def _make_port(self) -> CdcDevice:
        from onnxino_tools.emulator.usb.cdc_device import CdcDevice

        assert self.bootloader is not None
        return CdcDevice(
            vendor=VENDOR, product=PRODUCT, release=RELEASE,
            strings=("Arduino", "Arduino Nano 33 BLE", self._memory.bootloader_serial()),
            received=self.bootloader.receive,
        )  # fmt: skip
