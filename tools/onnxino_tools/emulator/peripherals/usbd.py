"""USBD: the chip's USB device controller, at the level of tokens towards the host and of registers towards the core.

One EasyDMA transfer at a time: it moves a packet between RAM and an endpoint's buffer, and takes its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.base import RAM_BASE, RAM_SIZE, Chip, Peripheral
from onnxino_tools.emulator.peripherals.usbd_errata import UsbErrata
from onnxino_tools.emulator.scheduler import CLOCK_HZ, Event
from onnxino_tools.emulator.usb.device import IN, PACKET_SIZE, Answer, Unplugged, Upstream

USBRESET, STARTED, ENDEPIN, EP0DATADONE, ENDEPOUT = 0x100, 0x104, 0x108, 0x128, 0x130
SOF, USBEVENT, EP0SETUP, EPDATA = 0x154, 0x158, 0x15C, 0x160
EVENTCAUSE, EPSTATUS, EPDATASTATUS, SIZE_EPOUT, ENABLE, PULLUP = 0x400, 0x468, 0x46C, 0x4A0, 0x500, 0x504
EPINEN, EPOUTEN, LOWPOWER, EPIN, EPOUT, ERRATUM_199 = 0x510, 0x514, 0x52C, 0x600, 0x700, 0xC1C
SUSPEND, RESUME, WAKE_ALLOWED, READY = 1 << 8, 1 << 9, 1 << 10, 1 << 11
SHORT_STARTEPIN0, SHORT_STARTEPOUT0, SHORT_EP0STATUS, SHORT_OUT_STATUS, SHORT_OUT_RCVOUT = 1, 2, 4, 8, 16
ENDPOINTS = 8
START_CYCLES = CLOCK_HZ // 2000  # from ENABLE to READY: 0.5 ms
WAKE_CYCLES = CLOCK_HZ // 100_000
POLL_CYCLES = 2000  # between two looks of a firmware that waits
IDLE_SKIP = CLOCK_HZ // 50_000  # where the host does nothing: coarser looping, 20 us
LONGEST_SKIP = CLOCK_HZ // 10_000
_ISO = (0x024, 0x048)


class Supply(Protocol):
    """The USB part of POWER."""

    @property
    def usb_ready(self) -> bool:
        """VBUS is there and the regulator's output is ready."""
        ...

    @property
    def vbus(self) -> bool: ...

    def set_vbus(self, present: bool) -> None: ...


class _NoSupply:
    usb_ready = vbus = False

    def set_vbus(self, present: bool) -> None: ...


class Endpoint:
    """One direction of one endpoint. `data`: a packet in its buffer. `armed` (OUT): it takes the next packet."""

    __slots__ = ("armed", "data", "halted", "toggle")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.data: bytes | None = None
        self.armed = self.halted = False
        self.toggle = 0


class Usbd(Peripheral):
    """Implements `UsbDevice`. POWER is its `supply` and tells it about VBUS and the crystal."""

    name = "USBD"

    def __init__(self, chip: Chip, errata: UsbErrata) -> None:
        super().__init__(chip, 0x40027000, 39)
        self.supply: Supply = _NoSupply()
        self._errata = errata
        self.upstream: Upstream = Unplugged()
        self.skip: Callable[[int], None] = lambda cycles: None
        self._poll = (0, 0)  # the last read that found nothing: register, time
        self._hfxo = False
        self._in = [Endpoint() for _ in range(ENDPOINTS)]
        self._out = [Endpoint() for _ in range(ENDPOINTS)]
        self._starting: Event | None = None
        self._dma: Event | None = None
        self._dma_end = 0
        self._dma_done: Callable[[], None] = lambda: None
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
            0x470: lambda: self._address, 0x50C: self._read_toggle, 0x520: lambda: self.upstream.frame_number,
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
            self.readers[0x480 + 4 * n] = lambda n=n: self._packet[n]
        self.reset()

    def reset(self) -> None:
        for event in (self._starting, self._dma):
            if event is not None:
                event.cancel()
        self._starting = self._dma = None
        self._dma_end = 0
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
        self._running = False  # READY came
        self._suspended = False
        self._forget_bus()
        super().reset()
        self.upstream.changed()

    def _forget_bus(self) -> None:
        """What a bus reset does to the endpoints' buffers, and to the address."""
        self._address = 0
        self._packet = bytes(8)
        self._new_address: int | None = None
        self._stalled = self._receive = self._status = False
        for endpoint in (*self._in, *self._out):
            endpoint.clear()

    # --- core side ---
    def read(self, offset: int) -> int:
        if self._dma_end:
            self._settle()
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
        if self._dma_end:
            self.skip(max(self._dma_end - now, 0))
            self._settle()
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
        if self._dma_end:
            self._settle()
        super().write(offset, value)

    def clear_event(self, offset: int) -> None:
        if offset == SOF:
            self._seen_frame = self.upstream.frame_number
        super().clear_event(offset)

    def interrupts_changed(self) -> None:
        self.upstream.changed()

    def hfxo(self, running: bool) -> None:
        """The crystal started or stopped."""
        self._hfxo = running
        if not running and self.pulled_up and not self._suspended:
            self._misuse("the HFXO crystal was stopped while the device is on the bus", "only in suspend it may rest")

    def supply_changed(self) -> None:
        """VBUS or the regulator's output came or went."""
        if not self.supply.vbus:
            self._running = False
            self._forget_bus()
        elif self.registers[ENABLE]:
            self._await_ready()
        self.upstream.changed()

    def _misuse(self, what: str, hint: str | None = None) -> None:
        self.chip.fault(EmulatorFault("usbd", f"USBD: {what}", hint))

    def _clear_bits(self, offset: int, value: int) -> None:
        self.registers[offset] &= ~value

    def _cause(self, bit: int) -> None:
        self.registers[EVENTCAUSE] |= bit
        self.event(USBEVENT)

    # --- start ---
    def _enable(self, value: int) -> None:
        on = value & 1
        if on and not self.registers[ENABLE]:
            self._errata.check_enabling()
            if not self.supply.vbus:
                self.chip.warn("USBD enabled without VBUS: the chip wants it after USBDETECTED")
            self.registers[ENABLE] = on
            self._await_ready()
        elif not on:
            self.registers[ENABLE] = self.registers[PULLUP] = 0
            self._running = False
            self._forget_bus()
        self.upstream.changed()

    def _await_ready(self) -> None:
        if self.supply.usb_ready and not self._running and self._starting is None:
            self._starting = self.chip.scheduler.after(START_CYCLES, self._is_ready)

    def _is_ready(self) -> None:
        self._starting = None
        if self.registers[ENABLE] and self.supply.usb_ready:
            self._running = True
            self._cause(READY)

    def _pull_up(self, value: int) -> None:
        on = value & 1
        if on and not self.registers[PULLUP]:
            if not self._running:
                self._misuse("USBPULLUP is set before EVENTCAUSE.READY came", "write ENABLE, and wait for READY")
            elif not self._hfxo:
                self._misuse("USBPULLUP is set while the HFXO crystal is off", "wait for EVENTS_HFCLKSTARTED")
            self._errata.check_running()
        self.registers[PULLUP] = on
        self.upstream.changed()

    def _low_power(self, value: int) -> None:
        before, self.registers[LOWPOWER] = self.registers[LOWPOWER], value & 1
        if value & 1 and not self._suspended:
            self.chip.warn("USBD LOWPOWER is set while the bus is not suspended")
        if before and not value & 1:
            self.chip.scheduler.after(WAKE_CYCLES, lambda: self._cause(WAKE_ALLOWED))

    def _drive(self) -> None:
        """DPDMDRIVE with DPDMVALUE 1: remote wake-up."""
        if self.registers[0x508] & 31 == 1:
            self.upstream.wake_up()
        else:
            self.chip.warn(f"USBD DPDMDRIVE with DPDMVALUE {self.registers[0x508]}: only 1 (resume) is modelled")

    # --- EasyDMA ---
    def _free(self, what: str) -> bool:
        if self._dma_end:
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
        if not self._free(what):
            return
        if size > PACKET_SIZE:
            self._misuse(f"{what} with MAXCNT {size}: a packet has up to {PACKET_SIZE} bytes")
            return
        if pointer < RAM_BASE or pointer + size > RAM_BASE + RAM_SIZE:
            where = f"0x{pointer:08x}, {size} bytes: not in RAM (0x20000000 to 0x2003ffff)"
            self.chip.fault(
                EmulatorFault("easydma", f"EasyDMA of USBD ({what}) at {where}", "copy constants to RAM first")
            )
            return
        if self.registers[ERRATUM_199] != 0x82:
            self.chip.warn("USBD EasyDMA without the work-around of erratum 199: 0x40027c1c is not 0x82 meanwhile")
        self._dma_done = lambda: done(pointer, size)
        self._dma_end = self.chip.scheduler.now + 64 + size
        self._dma = self.chip.scheduler.at(self._dma_end, self._settle)
        self.event(STARTED)

    def _settle(self) -> None:
        """Ends the transfer if its time is over."""
        if self._dma_end and self.chip.scheduler.now >= self._dma_end:
            self._dma_end = 0
            if self._dma is not None:
                self._dma.cancel()
                self._dma = None
                self.chip.scheduler.update_deadline()
            self._dma_done()

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
        if self._dma_end:
            self.chip.warn(f"USBD SIZE.EPOUT[{n}] read while an EasyDMA transfer runs: the chip gives wrong values")
        return self._sizes[n]

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
        if self._new_address is not None or self._packet[:2] == b"\0\5":
            self.chip.warn(f"USBD {name} after SET_ADDRESS, which the chip answers by itself")
        elif name == "EP0STATUS":
            self._status = True
        else:
            self._receive = True
        self.upstream.changed()

    def _stall_control(self) -> None:
        self._stalled = True
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

    def _control_in(self) -> bytes | Answer:
        if self._stalled:
            return Answer.STALL
        if self._new_address is not None:
            self._address, self._new_address = self._new_address, None
            return b""
        if self._packet[0] & IN and self._packet[6:8] != b"\0\0":
            data = self._in[0].data
            if data is None:
                return Answer.NAK
            self._in[0].data = None
            self._data_done()
            return data
        return self._control_status(b"")

    def _control_status(self, answer: bytes | Answer) -> bytes | Answer:
        if not self._status:
            return Answer.NAK
        self._status = False
        return answer

    def _control_out(self, data: bytes) -> Answer:
        if self._stalled:
            return Answer.STALL
        if self._packet[0] & IN:
            answer = self._control_status(Answer.ACK)
            return answer if isinstance(answer, Answer) else Answer.ACK
        if not self._receive:
            return Answer.NAK
        self._receive = False
        self._out[0].data = data
        self._sizes[0] = len(data)
        self._data_done()
        return Answer.ACK

    # --- UsbDevice ---
    @property
    def pulled_up(self) -> bool:
        return bool(self._running and self.registers[PULLUP])

    @property
    def wants_frames(self) -> bool:
        return bool(self.interrupts >> (SOF - 0x100 >> 2) & 1)

    def power(self, present: bool) -> None:
        self.supply.set_vbus(present)

    def bus_reset(self) -> None:
        self._suspended = False
        if self._dma_end:
            self._dma_end = self.chip.scheduler.now
            self._settle()
        self._forget_bus()
        self.event(USBRESET)

    def suspend(self) -> None:
        self._suspended = True
        self._cause(SUSPEND)

    def resume(self) -> None:
        self._suspended = False
        self._cause(RESUME)

    def setup(self, packet: bytes) -> None:
        self._settle()
        self._packet = packet
        self._stalled = self._receive = self._status = False
        self._in[0].data = self._out[0].data = None
        self._new_address = int.from_bytes(packet[2:4], "little") & 0x7F if packet[:2] == b"\0\5" else None
        self.event(EP0SETUP)

    def out(self, endpoint: int, data: bytes) -> Answer:
        self._settle()
        if self.registers[LOWPOWER]:
            return Answer.NAK
        if endpoint == 0:
            return self._control_out(data)
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
        self._settle()
        if self.registers[LOWPOWER]:
            return Answer.NAK
        if endpoint == 0:
            return self._control_in()
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
