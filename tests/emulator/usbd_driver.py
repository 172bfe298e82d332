"""A driver for the USBD in Python, register by register: what firmware does, without a core."""

from __future__ import annotations

from collections.abc import Callable

from usb_bench import Bench

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.clock_power import ClockPower
from onnxino_tools.emulator.peripherals.usbd import Usbd
from onnxino_tools.emulator.peripherals.usbd_errata import UsbErrata
from onnxino_tools.emulator.scheduler import Scheduler
from onnxino_tools.emulator.usb.cdc_device import CdcDevice
from onnxino_tools.emulator.usb.descriptors import configuration_descriptor, device_descriptor
from onnxino_tools.emulator.usb.device import Answer

RAM = 0x20000000
LOCK, ED14, EC14 = 0xC00, 0xD14, 0xC14
USBRESET, ENDEPIN, EP0DATADONE, ENDEPOUT, USBEVENT, EP0SETUP, EPDATA = 0x100, 0x108, 0x128, 0x130, 0x158, 0x15C, 0x160
EVENTCAUSE, EPDATASTATUS, SIZE, ENABLE, PULLUP, STALL, TOGGLE = 0x400, 0x46C, 0x4A0, 0x500, 0x504, 0x518, 0x50C


class Chip:
    """RAM, time and an interrupt line."""

    def __init__(self, scheduler: Scheduler, faults: list[EmulatorFault], warnings: list[str]) -> None:
        self.scheduler = scheduler
        self.memory = bytearray(4096)
        self.faults, self.warnings = faults, warnings
        self.lines: dict[int, bool] = {}
        self.published: list[int] = []

    def ram_read(self, address: int, size: int) -> bytes:
        return bytes(self.memory[address - RAM : address - RAM + size])

    def ram_write(self, address: int, data: bytes) -> None:
        self.memory[address - RAM : address - RAM + len(data)] = data

    def set_line(self, irq: int, level: bool) -> None:
        self.lines[irq] = level

    def publish(self, event: int, times: int = 1) -> None:
        self.published.append(event)

    def request_stop(self) -> None: ...

    def fault(self, fault: EmulatorFault) -> None:
        self.faults.append(fault)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Driver:
    """Runs after each event of the clock, as an interrupt handler would. `brain` knows the requests; echoes data.

    `seen` lists the causes of USB events and the bus resets.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.chip = Chip(bench.scheduler, bench.faults, bench.warnings)
        errata = UsbErrata(self.chip)
        self.usbd = Usbd(self.chip, errata)
        self.power = ClockPower(self.chip, self.usbd.hfxo, self.usbd.supply_changed)
        self.usbd.supply = self.power
        self.errata = errata
        self.brain = CdcDevice(
            vendor=0x2341, product=0x805A, release=0x0100, strings=("Maker", "Board", "0123456789"), attributes=0x80
        )
        self.brain.device = device_descriptor(0x2341, 0x805A, 0x0100)
        self.brain.configuration_data = configuration_descriptor(0x80, 500, notification_size=8, interval=16)
        self.seen: list[int | str] = []
        self.got = bytearray()
        self.echo = True
        self._sending = False
        self._busy = False
        self._arrived = False
        self._left = bytearray()
        self._flush = False
        bench.host.attach(self.usbd)

    # --- registers ---
    def read(self, offset: int) -> int:
        return self.usbd.read(offset)

    def write(self, offset: int, value: int) -> None:
        self.usbd.write(offset, value)

    def took(self, event: int) -> bool:
        """Whether the event is there; clears it."""
        if not self.read(event):
            return False
        self.write(event, 0)
        return True

    def until(self, done: Callable[[], bool], seconds: float = 0.01) -> None:
        """Time passes as in a loop of the core."""
        end = self.bench.scheduler.now + int(seconds * 64_000_000)
        while not done():
            self.bench.scheduler.slept += 10
            self.bench.scheduler.run_due()
            assert self.bench.scheduler.now < end

    def workaround(self, on: bool) -> None:
        self.errata.write(LOCK, 0x9375)
        self.errata.write(ED14, 3 if on else 0)
        self.errata.write(EC14, 0xC0 if on else 0)
        self.errata.write(LOCK, 0x9375)

    def start(self) -> None:
        """Power to pull-up."""
        self.workaround(True)
        self.write(ENABLE, 1)
        self.power.write(0, 1)
        self.until(lambda: bool(self.read(EVENTCAUSE) & 1 << 11 and self.power.read(0x40C) & 1))
        self.write(EVENTCAUSE, 1 << 11)
        self.workaround(False)
        self.write(USBEVENT, 0)
        self.write(PULLUP, 1)

    def dma_in(self, n: int, data: bytes) -> None:
        self.chip.ram_write(RAM + 128 * n, data)
        self.write(0xC1C, 0x82)
        self.write(0x600 + 0x14 * n, RAM + 128 * n)
        self.write(0x604 + 0x14 * n, len(data))
        self.write(0x004 + 4 * n, 1)
        self.until(lambda: self.took(ENDEPIN + 4 * n))
        self.write(0xC1C, 0)

    def dma_out(self, n: int) -> bytes:
        size = self.read(SIZE + 4 * n)
        self.write(0xC1C, 0x82)
        self.write(0x700 + 0x14 * n, RAM + 2048 + 128 * n)
        self.write(0x704 + 0x14 * n, size)
        self.write(0x028 + 4 * n, 1)
        self.until(lambda: self.took(ENDEPOUT + 4 * n))
        self.write(0xC1C, 0)
        return self.chip.ram_read(RAM + 2048 + 128 * n, size)

    # --- work ---
    def run(self, seconds: float = 1.0, until: Callable[[], bool] = lambda: False) -> bool:
        """The bench with this driver in it."""

        def look() -> bool:
            self.service()
            return until() or bool(self.bench.faults)

        return self.bench.run(seconds, look) and not self.bench.faults

    def service(self) -> None:
        if self.took(USBRESET):
            self.seen.append("reset")
            self.brain.bus_reset()
            self.write(0x510, 1)
            self.write(0x514, 1)
            self._busy = self._arrived = self._flush = False
            self._left.clear()
        if self.took(USBEVENT):
            cause = self.read(EVENTCAUSE)
            self.write(EVENTCAUSE, cause)
            self.seen.append(cause)
        if self.took(EP0SETUP):
            self._setup()
        if self.took(EP0DATADONE):
            self._data_done()
        if self.took(EPDATA):
            status = self.read(EPDATASTATUS)
            self.write(EPDATASTATUS, status)
            self._busy = self._busy and not status >> 2 & 1
            self._arrived = self._arrived or bool(status >> 18 & 1)
        self._move()

    def _setup(self) -> None:
        packet = bytes(self.read(0x480 + 4 * i) for i in range(8))
        self.brain.setup(packet)
        if packet[:2] == b"\0\5":
            return
        if packet[0] & 0x80 and packet[6:8] != b"\0\0":
            self._next_in()
        elif packet[6:8] != b"\0\0":
            self.write(0x04C, 1)
        else:
            self._finish(packet)

    def _next_in(self) -> None:
        answer = self.brain.take(0)
        if answer is Answer.STALL:
            self.write(0x054, 1)
        elif isinstance(answer, bytes):
            self._sending = True
            self.dma_in(0, answer)
        else:
            self._sending = False
            self.write(0x050, 1)

    def _data_done(self) -> None:
        if self._sending:
            self._next_in()
            return
        data = self.dma_out(0)
        if self.brain.out(0, data) is Answer.ACK:
            self._finish(b"")
        else:
            self.write(0x054, 1)

    def _finish(self, packet: bytes) -> None:
        if self.brain.take(0) is Answer.STALL:
            self.write(0x054, 1)
            return
        if packet[:2] == b"\0\x09":
            for address in (0x81, 0x02, 0x82):
                self.write(STALL, address)
                self.write(TOGGLE, address | 1 << 8)
            self.write(0x510, 7)
            self.write(0x514, 5)
            self.write(SIZE + 8, 0)
        if packet[:1] == b"\2":
            self.write(STALL, packet[4] | (0 if packet[1] == 1 else 1 << 8))
            self.write(TOGGLE, packet[4] | 1 << 8)
        self.write(0x050, 1)

    def _move(self) -> None:
        if self._arrived:
            self._arrived = False
            data = self.dma_out(2)
            self.got += data
            if self.echo:
                self._left += data
        if not self._busy and (self._left or self._flush):
            piece = bytes(self._left[:64])
            del self._left[:64]
            self._busy = True
            self._flush = len(piece) == 64 and not self._left
            self.dma_in(2, piece)
