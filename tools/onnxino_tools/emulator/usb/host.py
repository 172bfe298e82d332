"""UsbHost: the computer at the other end of the cable. It enumerates strictly and drives one serial port (CDC-ACM).

It works in emulated time, on events of the scheduler: nothing polls, a device says when something changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from onnxino.errors import LinkError
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.scheduler import Event, Scheduler
from onnxino_tools.emulator.usb.cdc_device import LineCoding
from onnxino_tools.emulator.usb.control import (
    MILLISECOND,
    TURNAROUND,
    Description,
    Enumeration,
    HostError,
    Sleep,
    Steps,
    packet_cycles,
    request,
    transfer,
)
from onnxino_tools.emulator.usb.device import Answer, Unplugged, UsbDevice

_READ_SIZE = 4096  # a driver's buffer: goes on to the reader when it is full, or with a packet below full size
_KEPT = 1 << 16  # bytes that wait for the reader before the device is not asked for more
_DRAIN = 2000 * MILLISECOND  # how long closing the port waits for bytes that the device does not take


@dataclass
class Request:
    """A control transfer asked for by the user; `data` is None when it was refused."""

    done: bool = False
    data: bytes | None = None


class UsbHost:
    """`device` is what the cable leads to; None: nothing.

    `fault` gets what a strict host does not accept (kind "usb"), `warn` what only works by luck. `on_write(data)` and
    `on_read()` are called when data for the device is queued and when data of it arrived.
    """

    def __init__(
        self, clock: Scheduler, *, fault: Callable[[EmulatorFault], None], warn: Callable[[str], None]
    ) -> None:
        self.clock = clock
        self._warn = warn
        self._fault = fault
        self.on_write: Callable[[bytes], None] = lambda data: None
        self.on_read: Callable[[], None] = lambda: None
        self.plugged = True
        self.suspended = False
        self.enumerations = 0  # how often a device was configured
        self.frames_from = clock.now
        self._connected: UsbDevice | None = None
        self._timer: Event | None = None
        self._wake: Event | None = None
        self._frame: Event | None = None
        self._suspending: Event | None = None
        self._busy_until = 0
        self._forget()

    def _forget(self) -> None:
        """Nothing is known of a device, and nothing is under way."""
        for event in (self._timer, self._frame, self._suspending):
            if event is not None:
                event.cancel()
        self._timer = self._frame = self._suspending = None
        self.description: Description | None = None
        self._present = self._vanished = self._waiting = self.suspended = self._stopping = False
        self._process: Steps[None] | None = None
        self._queue: deque[Steps[None]] = deque()
        self._line = LineCoding(9600)
        self._dtr: bool = False
        self.opened = self._held = False
        self._toggles: dict[int, int] = {}
        self._outgoing = bytearray()
        self._partial = bytearray()  # of a read that is not complete
        self._incoming = bytearray()

    # --- for the user: the cable ---
    @property
    def device(self) -> UsbDevice:
        assert self._connected is not None
        return self._connected

    def attach(self, device: UsbDevice | None) -> None:
        """Leads the cable to another device; the one before, if any, vanishes for the host."""
        if device is self._connected:
            return
        if self._connected is not None:
            self._connected.upstream = Unplugged()
        self._forget()
        self._connected = device
        if device is not None:
            device.upstream = self
            device.power(self.plugged)
            self.changed()

    def plug(self) -> None:
        """VBUS comes."""
        self._power(True)

    def unplug(self) -> None:
        """VBUS goes: the port vanishes."""
        self._power(False)

    def _power(self, present: bool) -> None:
        if present == self.plugged:
            return
        self.plugged = present
        if not present:
            self._forget()
        if self._connected is not None:
            self._connected.power(present)
            self.changed()

    def reset_bus(self) -> None:
        """A port reset: the device is enumerated anew."""
        present = self._present
        self._forget()
        if present:
            self._present = True
            self._start(self._enumerate(debounce=False))

    def suspend(self) -> None:
        """No more frames, when what is under way is done: after 3 ms the device is suspended."""
        if self._present and not self.suspended and not self._stopping:
            self._stopping = True
            self._enqueue(self._stop_frames())

    def _stop_frames(self) -> Steps[None]:
        yield Sleep(TURNAROUND)
        if not self._stopping:
            return
        self.suspended, self._stopping = True, False
        self._suspending = self._after(3 * MILLISECOND, lambda: self.device.suspend())

    def resume(self) -> None:
        """Resume signalling for 20 ms, then frames again."""
        self._stopping = False
        if self.suspended:
            if self._suspending is not None:
                self._suspending.cancel()
            self.device.resume()
            self._timer_free(20 * MILLISECOND)

    def _timer_free(self, cycles: int) -> None:
        def over() -> None:
            self.suspended = False
            self._next()

        self._suspending = self._after(cycles, over)

    # --- for the user: the port ---
    @property
    def configured(self) -> bool:
        """Enumeration is over: the port exists."""
        return self.description is not None

    @property
    def product_id(self) -> int | None:
        """Of the device that is configured."""
        return self.description.device.product if self.description is not None else None

    @property
    def serial_number(self) -> str | None:
        """Of the device that is configured."""
        return self.description.serial_number if self.description is not None else None

    @property
    def pending(self) -> int:
        """Bytes that the device has not taken."""
        return len(self._outgoing)

    @property
    def busy(self) -> bool:
        """A transaction is about to happen."""
        timer = self._timer
        return self._wake is not None or (timer is not None and timer.time - self.clock.now < MILLISECOND)

    @property
    def settled(self) -> bool:
        """All that was asked for (line settings, requests) is done, and all data is with the device."""
        return self._process is None and not self._queue and not self._outgoing

    @property
    def has_data(self) -> bool:
        """Whether `read` gives something."""
        return bool(self._incoming)

    def write(self, data: bytes) -> None:
        """Host -> device. Raises LinkError where there is no port."""
        self._need_port()
        if data:
            self._outgoing += data
            self.on_write(data)
            self.changed()

    def read(self) -> bytes:
        """Device -> host: everything that arrived since the last call. Nothing arrives while the port is not open."""
        if not self._incoming:
            return b""
        data = bytes(self._incoming)
        self._incoming.clear()
        if len(data) >= _KEPT:
            self.changed()
        return data

    def set_line(self, baud_rate: int | None = None, dtr: bool | None = None, opened: bool | None = None) -> None:
        """What a program does to the port; what was written before goes first, what is written later follows.

        `opened`: whether somebody reads; where not given it is as `dtr`. Raises LinkError where there is no port.
        """
        self._need_port()
        if opened is None:
            opened = dtr
        self._held = self._held or dtr is not False
        self._enqueue(self._change_line(baud_rate, dtr, opened))

    def request(self, packet: bytes, data: bytes = b"") -> Request:
        """A control transfer of the user's own (8 bytes of SETUP, data for the device)."""
        result = Request()

        def steps() -> Steps[None]:
            result.data = yield from transfer(self, packet, data)
            result.done = True

        self._enqueue(steps())
        return result

    def clear_halt(self, address: int) -> Request:
        """CLEAR_FEATURE(ENDPOINT_HALT), after which both sides begin with DATA0."""
        result = Request()

        def steps() -> Steps[None]:
            result.data = yield from transfer(self, request(0x02, 1, 0, address))
            self._toggles[address] = 0
            result.done = True

        self._enqueue(steps())
        return result

    def _need_port(self) -> None:
        if self.description is None:
            raise LinkError("the board has no USB serial port now", "it is unplugged, or was reset and comes back soon")

    # --- Upstream, for the device ---
    def changed(self) -> None:
        device = self._connected
        if device is None:
            return
        if self._present and not device.pulled_up:
            self._vanished = True
        if self._wake is None:
            self._wake = self._at(max(self.clock.now + TURNAROUND, self._busy_until), self._look)

    def wake_up(self) -> None:
        if self.suspended:
            self.resume()

    @property
    def frame_number(self) -> int:
        return (self.clock.now - self.frames_from) // MILLISECOND & 0x7FF

    def warn(self, text: str) -> None:
        """Notes what only works by luck."""
        self._warn(text)

    # --- what happens on the bus ---
    def _look(self) -> None:
        self._wake = None
        if self._connected is None:
            return
        if self.clock.now < self._busy_until:
            self._wake = self._at(self._busy_until, self._look)
            return
        if self._vanished:
            self._forget()
        if not self._present:
            if self.plugged and self._connected.pulled_up:
                self._present = True
                self._start(self._enumerate())
            return
        if self.suspended:
            return
        if self._waiting:
            self._run(True)
        if self.description is not None:
            self._pump(self.description)
        if self._frame is None and self._connected.wants_frames:
            self._frame = self._after(MILLISECOND, self._start_of_frame)

    def _start_of_frame(self) -> None:
        self._frame = None
        if self._present and not self.suspended and self.device.wants_frames:
            self.device.start_of_frame(self.frame_number)
            self._frame = self._after(MILLISECOND, self._start_of_frame)

    def _pump(self, found: Description) -> None:
        """One bulk transaction in each direction, if the device is ready for it."""
        device, cycles = self.device, 0
        bulk_in, bulk_out = found.configuration.bulk_in, found.configuration.bulk_out
        if self.opened and len(self._incoming) < _KEPT:
            address = bulk_in.address
            in_step = device.toggle(address) == self._toggles.get(address, 0)
            answer = device.take(address & 15)
            if isinstance(answer, bytes):
                cycles += packet_cycles(len(answer))
                self._arrived(answer, address, bulk_in.packet_size, in_step)
            elif answer is Answer.STALL:
                self._halted(address)
        if self._outgoing and not self._held:
            address = bulk_out.address
            packet = bytes(self._outgoing[: bulk_out.packet_size])
            in_step = device.toggle(address) == self._toggles.get(address, 0)
            answer = device.out(address, packet)
            if answer is Answer.ACK:
                cycles += packet_cycles(len(packet))
                self._toggles[address] = 1 - self._toggles.get(address, 0)
                del self._outgoing[: len(packet)]
                if not in_step:
                    self.warn(f"data toggles of endpoint 0x{address:02x} disagree: the device drops the packet")
            elif answer is Answer.STALL:
                self._halted(address)
        if cycles:
            self._busy_until = self.clock.now + cycles
            self.changed()

    def _arrived(self, packet: bytes, address: int, size: int, in_step: bool) -> None:
        if len(packet) > size:
            self._error(f"a packet of {len(packet)} bytes on endpoint 0x{address:02x}, which is for {size}")
            return
        if not in_step:
            self.warn(f"data toggles of endpoint 0x{address:02x} disagree: the host drops a packet")
            return
        self._toggles[address] = 1 - self._toggles.get(address, 0)
        self._partial += packet
        if len(packet) < size or len(self._partial) >= _READ_SIZE:
            self._incoming += self._partial
            self._partial.clear()
            self.on_read()

    def _halted(self, address: int) -> None:
        if self._process is None and not self._queue:
            self.warn(f"endpoint 0x{address:02x} is halted (STALL): the host clears it")
            self.clear_halt(address)

    def _at(self, time: int, callback: Callable[[], None]) -> Event:
        return self.clock.at(time, callback, outside=True)

    def _after(self, cycles: int, callback: Callable[[], None]) -> Event:
        return self._at(self.clock.now + cycles, callback)

    # --- processes: one at a time ---
    def _enumerate(self, debounce: bool = True) -> Steps[None]:
        self.frames_from = self.clock.now
        description = yield from Enumeration(self).run(debounce)
        self.enumerations += 1
        self._toggles = {}
        self.description = description

    def _change_line(self, baud_rate: int | None, dtr: bool | None, opened: bool | None) -> Steps[None]:
        assert self.description is not None
        control = self.description.configuration.control_interface
        if dtr is False:
            yield from self._drain()
        if baud_rate is not None and baud_rate != self._line.baud_rate:
            self._line.baud_rate = baud_rate
            if (yield from transfer(self, request(0x21, 0x20, 0, control, 7), self._line.encode())) is None:
                raise HostError("SET_LINE_CODING was refused (STALL)")
        if dtr is not None and dtr != self._dtr:
            self._dtr = dtr
            if (yield from transfer(self, request(0x21, 0x22, 3 if dtr else 0, control))) is None:
                raise HostError("SET_CONTROL_LINE_STATE was refused (STALL)")
        if opened is not None:
            self.opened = opened
        if not self._queue:
            self._held = False
        self.changed()

    def _drain(self) -> Steps[None]:
        """Closing waits for what was written, and gives up on a device that does not take it."""
        self._held = False
        end = self.clock.now + _DRAIN
        while self._outgoing and self.clock.now < end:
            self.changed()
            yield Sleep(MILLISECOND // 4)
        self._outgoing.clear()

    def _enqueue(self, steps: Steps[None]) -> None:
        self._queue.append(steps)
        if self._process is None:
            self._next()

    def _start(self, steps: Steps[None]) -> None:
        """The first step is done later, as is everything here: never within a call of the device or the user."""
        self._process, self._waiting = steps, False
        self._timer = self._at(max(self.clock.now + TURNAROUND, self._busy_until), self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._run(None)

    def _run(self, answer: bool | None) -> None:
        """Runs the process on to where it has to wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting = False
        process = self._process
        if process is None:
            return
        try:
            step = next(process) if answer is None else process.send(answer)
        except StopIteration:
            if self._process is process:
                self._next()
            return
        except HostError as error:
            self._process = None
            self._error(str(error))
            return
        if self._process is not process:
            return  # the device was taken away by what it did
        if isinstance(step, Sleep):
            self._timer = self._after(step.cycles, lambda: self._run(True))
        else:
            self._waiting = True
            self._timer = self._at(step.deadline, lambda: self._run(False))

    def _next(self) -> None:
        self._process = None
        if self._queue and not self.suspended:
            self._start(self._queue.popleft())
        else:
            self.changed()

    def _error(self, text: str) -> None:
        self._fault(EmulatorFault("usb", f"the USB host does not accept the device: {text}"))
