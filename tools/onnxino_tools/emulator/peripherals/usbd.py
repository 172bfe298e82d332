"""USBD: the chip's USB device controller, at the level of tokens towards the host and of registers towards the core.

One EasyDMA transfer at a time: it moves a packet between RAM and an endpoint's buffer, and takes its time.
"""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.peripherals.base import Chip
from onnxino_tools.emulator.peripherals.usbd_dma import UsbDma
from onnxino_tools.emulator.peripherals.usbd_endpoints import ENDPOINTS, ControlEndpoint, Endpoint
from onnxino_tools.emulator.peripherals.usbd_errata import UsbErrata
from onnxino_tools.emulator.peripherals.usbd_registers import (
    ENABLE,
    ENDEPIN,
    ENDEPOUT,
    EP0DATADONE,
    EP0SETUP,
    EPDATA,
    EPDATASTATUS,
    EPIN,
    EPINEN,
    EPOUT,
    EPOUTEN,
    EPSTATUS,
    ERRATUM_199,
    EVENTCAUSE,
    LOWPOWER,
    PULLUP,
    SHORT_EP0STATUS,
    SHORT_OUT_RCVOUT,
    SHORT_OUT_STATUS,
    SHORT_STARTEPIN0,
    SHORT_STARTEPOUT0,
    SIZE_EPOUT,
    SOF,
    STARTED,
    USBRESET,
)  # fmt: skip
from onnxino_tools.emulator.peripherals.usbd_start import UsbdStart
from onnxino_tools.emulator.scheduler import CLOCK_HZ
from onnxino_tools.emulator.usb.device import IN, Answer

POLL_CYCLES = 2000  # between two looks of a firmware that waits
IDLE_SKIP = CLOCK_HZ // 50_000  # where the host does nothing: coarser looping, 20 us
LONGEST_SKIP = CLOCK_HZ // 10_000
_ISO = (0x024, 0x048)


class Usbd(UsbdStart):
    """Implements `UsbDevice`."""

    name = "USBD"

    def __init__(self, chip: Chip, errata: UsbErrata) -> None:
        super().__init__(chip, errata)
        self.skip: Callable[[int], None] = lambda cycles: None
        self._poll = (0, 0)  # the last read that found nothing: register, time
        self._in = [Endpoint() for _ in range(ENDPOINTS)]
        self._out = [Endpoint() for _ in range(ENDPOINTS)]
        self._control = ControlEndpoint(self._in[0], self._out[0], self._data_done)
        self._dma = UsbDma(chip)
        self.tasks = {
            0x04C: lambda: self._control_task("EP0RCVOUT"), 0x050: lambda: self._control_task("EP0STATUS"),
            0x054: self._stall_control, 0x058: self._drive, 0x05C: lambda: None,
        }  # fmt: skip
        for n in range(ENDPOINTS):
            self.tasks[0x004 + 4 * n] = lambda n=n: self._start_in(n)
            self.tasks[0x028 + 4 * n] = lambda n=n: self._start_out(n)
        for offset in _ISO:
            self.tasks[offset] = lambda: chip.warn("isochronous transfers of the USBD are not modelled")
        self.readers = {
            0x470: lambda: self._control.address, 0x50C: self._read_toggle, 0x520: lambda: self.upstream.frame_number,
        }  # fmt: skip
        self.writers = {
            EVENTCAUSE: lambda value: self._clear_bits(EVENTCAUSE, value),
            EPSTATUS: lambda value: self._clear_bits(EPSTATUS, value),
            EPDATASTATUS: lambda value: self._clear_bits(EPDATASTATUS, value),
            ENABLE: self._enable, PULLUP: self._pull_up, 0x50C: self._write_toggle, 0x518: self._stall_endpoint,
            LOWPOWER: self._low_power,
        }  # fmt: skip
        for n in range(ENDPOINTS):
            self.readers[0x420 + 4 * n] = lambda n=n: int(self._in[n].halted)
            self.readers[0x444 + 4 * n] = lambda n=n: int(self._out[n].halted)
            self.readers[SIZE_EPOUT + 4 * n] = lambda n=n: self._read_size(n)
            self.writers[SIZE_EPOUT + 4 * n] = lambda _value, n=n: self._arm(n)
            self.readers[0x480 + 4 * n] = lambda n=n: self._control.packet[n]
        self.reset()

    def reset(self) -> None:
        self._dma.reset()
        self.registers = {
            0x200: 0, EVENTCAUSE: 0, EPSTATUS: 0, EPDATASTATUS: 0, 0x4C0: 0, ENABLE: 0, PULLUP: 0, 0x508: 0,
            EPINEN: 1, EPOUTEN: 1, 0x51C: 0, LOWPOWER: 0, 0x800: 0, 0x804: 0, ERRATUM_199: 0,
        }  # fmt: skip
        for n in range(ENDPOINTS):
            for base in (EPIN, EPOUT):
                self.registers |= {base + 0x14 * n + at: 0 for at in (0, 4, 8)}
        self._sizes = [0] * ENDPOINTS
        self._selected = 0
        self._seen_frame = 0
        self._forget_bus()
        super().reset()

    def _forget_bus(self) -> None:
        """What a bus reset does to the endpoints' buffers, and to the address."""
        self._control.clear()
        for endpoint in (*self._in, *self._out):
            endpoint.clear()

    # --- core side ---
    def read(self, offset: int) -> int:
        if self._dma.end:
            self._dma.settle()
        if offset == SOF and not self.wants_frames:
            return int(self.upstream.frame_number != self._seen_frame and self.pulled_up)
        if 0x100 <= offset < 0x200:
            if offset not in self.events:
                self._nothing(offset)
            return int(offset in self.events)
        return super().read(offset)

    def _nothing(self, offset: int) -> None:
        """Shortens a wait. The end of a transfer is there at the next look; a second look at another event, soon after
        the first, means that the firmware polls: then time moves to the next event, which the loop would reach in many
        more rounds."""
        now = self.chip.scheduler.now
        if self._dma.end:
            self.skip(max(self._dma.end - now, 0))
            self._dma.settle()
            return
        register, time = self._poll
        if register != offset:
            if now - time > POLL_CYCLES:
                self._poll = (offset, now)
            return
        self._poll = (offset, now)
        if now - time < POLL_CYCLES:
            longest = LONGEST_SKIP if self.upstream.busy else IDLE_SKIP
            self.skip(min(max(self.chip.scheduler.next_time() - now, 0), longest))

    def write(self, offset: int, value: int) -> None:
        if self._dma.end:
            self._dma.settle()
        super().write(offset, value)

    def clear_event(self, offset: int) -> None:
        if offset == SOF:
            self._seen_frame = self.upstream.frame_number
        super().clear_event(offset)

    def interrupts_changed(self) -> None:
        self.upstream.changed()

    # --- EasyDMA ---
    def _free(self, what: str) -> bool:
        if self._dma.end:
            self._misuse(
                f"{what} is started while an EasyDMA transfer runs",
                "only one at a time, EP0RCVOUT and EP0STATUS included: wait for its ENDEPIN or ENDEPOUT event",
            )
            return False
        if not self._running:
            self._misuse(f"{what} is started before READY")
            return False
        return True

    def _begin(self, what: str, at: int, done: Callable[[int, int], None]) -> None:
        """Starts a transfer with the registers at `at`; `done(pointer, size)` moves the data when it ends."""
        pointer, size = self.registers[at], self.registers[at + 4] & 0x7F
        if self._free(what) and self._dma.begin(what, pointer, size, lambda: done(pointer, size)):
            if self.registers[ERRATUM_199] != 0x82:
                self.chip.warn("USBD EasyDMA without the work-around of erratum 199: 0x40027c1c is not 0x82 meanwhile")
            self.event(STARTED)

    def _start_in(self, n: int) -> None:
        what, endpoint = f"STARTEPIN[{n}]", self._in[n]
        if endpoint.data is not None:
            self._misuse(f"{what} while the host has not taken the packet before", "wait for EPDATA or EP0DATADONE")
            return
        if not self.registers[EPINEN] >> n & 1:
            self.chip.warn(f"USBD {what} of an endpoint that EPINEN does not enable")

        def done(pointer: int, size: int) -> None:
            endpoint.data = self.chip.ram_read(pointer, size)
            self.registers[EPIN + 0x14 * n + 8] = size
            self.registers[EPSTATUS] |= 1 << n
            self.event(ENDEPIN + 4 * n)
            self.upstream.changed()

        self._begin(what, EPIN + 0x14 * n, done)

    def _start_out(self, n: int) -> None:
        what, endpoint = f"STARTEPOUT[{n}]", self._out[n]
        data = endpoint.data
        if data is None:
            self._misuse(f"{what}, and no packet has arrived", "wait for EPDATA, or EP0DATADONE")
            return
        if self.registers[EPOUT + 0x14 * n + 4] & 0x7F != len(data):
            self.chip.warn(f"USBD {what} with another MAXCNT than SIZE.EPOUT[{n}]")

        def done(pointer: int, size: int) -> None:
            copied = data[:size]
            self.chip.ram_write(pointer, copied)
            self.registers[EPOUT + 0x14 * n + 8] = len(copied)
            self.registers[EPSTATUS] |= 1 << 16 + n
            endpoint.data = None
            endpoint.armed = n > 0
            self.event(ENDEPOUT + 4 * n)
            if n == 0:
                self._shorts_after_out()
            self.upstream.changed()

        self._begin(what, EPOUT + 0x14 * n, done)

    def _shorts_after_out(self) -> None:
        if self.registers[0x200] & SHORT_OUT_STATUS:
            self._control_task("EP0STATUS")
        if self.registers[0x200] & SHORT_OUT_RCVOUT:
            self._control_task("EP0RCVOUT")

    # --- endpoints ---
    def _arm(self, n: int) -> None:
        """A write to SIZE.EPOUT: the endpoint takes its first packet."""
        self._sizes[n] = 0
        self._out[n].armed = self._out[n].data is None
        self.upstream.changed()

    def _read_size(self, n: int) -> int:
        if self._dma.end:
            self.chip.warn(f"USBD SIZE.EPOUT[{n}] read while an EasyDMA transfer runs: the chip gives wrong values")
        return self._control.size if n == 0 else self._sizes[n]

    def _endpoint(self, address: int) -> Endpoint:
        return (self._in if address & IN else self._out)[address & 7]

    def _stall_endpoint(self, value: int) -> None:
        endpoint = self._endpoint(value)
        endpoint.halted = bool(value >> 8 & 1)
        self.upstream.changed()

    def _write_toggle(self, value: int) -> None:
        self._selected = value & 0x87
        choice = value >> 8 & 3
        if choice:
            self._endpoint(self._selected).toggle = choice - 1

    def _read_toggle(self) -> int:
        return self._selected | (self._endpoint(self._selected).toggle + 1) << 8

    # --- endpoint 0 ---
    def _control_task(self, name: str) -> None:
        if not self._free(name):
            return
        if self._control.answers_itself:
            self.chip.warn(f"USBD {name} after SET_ADDRESS, which the chip answers by itself")
        elif name == "EP0STATUS":
            self._control.status = True
        else:
            self._control.receive = True
        self.upstream.changed()

    def _stall_control(self) -> None:
        self._control.stalled = True
        self.upstream.changed()

    def _data_done(self) -> None:
        self.event(EP0DATADONE)
        shorts = self.registers[0x200]
        if shorts & SHORT_STARTEPIN0:
            self._start_in(0)
        if shorts & SHORT_STARTEPOUT0:
            self._start_out(0)
        if shorts & SHORT_EP0STATUS:
            self._control_task("EP0STATUS")

    # --- UsbDevice ---
    @property
    def wants_frames(self) -> bool:
        return bool(self.interrupts >> (SOF - 0x100 >> 2) & 1)

    def bus_reset(self) -> None:
        self._suspended = False
        self._dma.finish()
        self._forget_bus()
        self.event(USBRESET)

    def setup(self, packet: bytes) -> None:
        self._dma.settle()
        self._control.setup(packet)
        self.event(EP0SETUP)

    def out(self, endpoint: int, data: bytes) -> Answer:
        self._dma.settle()
        if self.registers[LOWPOWER]:
            return Answer.NAK
        if endpoint == 0:
            return self._control.out(data)
        target = self._out[endpoint]
        if target.halted:
            return Answer.STALL
        if not target.armed or not self.registers[EPOUTEN] >> endpoint & 1:
            return Answer.NAK
        target.armed = False
        target.data = data
        target.toggle ^= 1
        self._sizes[endpoint] = len(data)
        self.registers[EPDATASTATUS] |= 1 << 16 + endpoint
        self.event(EPDATA)
        return Answer.ACK

    def take(self, endpoint: int) -> bytes | Answer:
        self._dma.settle()
        if self.registers[LOWPOWER]:
            return Answer.NAK
        if endpoint == 0:
            return self._control.take()
        source = self._in[endpoint]
        if source.halted:
            return Answer.STALL
        data = source.data
        if data is None or not self.registers[EPINEN] >> endpoint & 1:
            return Answer.NAK
        source.data = None
        source.toggle ^= 1
        self.registers[EPDATASTATUS] |= 1 << endpoint
        self.event(EPDATA)
        return data

    def toggle(self, address: int) -> int:
        return self._endpoint(address).toggle

    def start_of_frame(self, number: int) -> None:
        self.event(SOF)
