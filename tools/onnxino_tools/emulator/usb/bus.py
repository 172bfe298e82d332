"""UsbBus: the cable and what the host does with it: attaching, resets, frames, suspend, control transfers in a queue.

It works in emulated time, on events of the scheduler: nothing polls, a device says when something changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.scheduler import Event, Scheduler
from onnxino_tools.emulator.usb.control import (
    MILLISECOND,
    TURNAROUND,
    Description,
    Enumeration,
    HostError,
    Sleep,
    Steps,
)
from onnxino_tools.emulator.usb.device import Unplugged, UsbDevice

_FIRST_SUSPEND = 3 * MILLISECOND  # without frames, until a device takes the bus as suspended
_RESUME = 20 * MILLISECOND


class UsbBus:
    """Implements `Upstream`. Subclasses do what is to do with a configured device (`_pump`)."""

    def __init__(
        self, clock: Scheduler, *, fault: Callable[[EmulatorFault], None], warn: Callable[[str], None]
    ) -> None:
        self.clock = clock
        self._warn = warn
        self._fault = fault
        self.plugged = True
        self.suspended = False
        self.enumerations = 0  # how often a device was configured
        self._frames_from = clock.now
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

    # --- for the user ---
    @property
    def device(self) -> UsbDevice:
        """What the cable leads to."""
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
        if self._stopping:
            self.suspended, self._stopping = True, False
            self._suspending = self._after(_FIRST_SUSPEND, lambda: self.device.suspend())

    def resume(self) -> None:
        """Resume signalling for 20 ms, then frames again."""
        self._stopping = False
        if not self.suspended:
            return
        if self._suspending is not None:
            self._suspending.cancel()
        self.device.resume()
        self._suspending = self._after(_RESUME, self._resumed)

    def _resumed(self) -> None:
        self.suspended = False
        if self._process is None:
            self._next()
        self.changed()

    @property
    def busy(self) -> bool:
        """A transaction is about to happen."""
        timer = self._timer
        return self._wake is not None or (timer is not None and timer.time - self.clock.now < MILLISECOND)

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
        self.resume()

    @property
    def frame_number(self) -> int:
        return (self.clock.now - self._frames_from) // MILLISECOND & 0x7FF

    def warn(self, text: str) -> None:
        """Notes what only works by luck."""
        self._warn(text)

    def _error(self, text: str) -> None:
        self._fault(EmulatorFault("usb", f"the USB host does not accept the device: {text}"))

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
            cycles = self._pump(self.description)
            if cycles:
                self._busy_until = self.clock.now + cycles
                self.changed()
        if self._frame is None and self._connected.wants_frames:
            self._frame = self._after(MILLISECOND, self._start_of_frame)

    def _begin(self) -> None:
        """A device was configured."""

    def _pump(self, found: Description) -> int:
        """Transactions with a configured device; the cycles that they took, 0 where it was not ready."""
        raise NotImplementedError

    def _start_of_frame(self) -> None:
        self._frame = None
        if self._present and not self.suspended and self.device.wants_frames:
            self.device.start_of_frame(self.frame_number)
            self._frame = self._after(MILLISECOND, self._start_of_frame)

    def _at(self, time: int, callback: Callable[[], None]) -> Event:
        return self.clock.at(time, callback, outside=True)

    def _after(self, cycles: int, callback: Callable[[], None]) -> Event:
        return self._at(self.clock.now + cycles, callback)

    # --- processes: one at a time ---
    def _enumerate(self, debounce: bool = True) -> Steps[None]:
        self._frames_from = self.clock.now
        description = yield from Enumeration(self).run(debounce)
        self.enumerations += 1
        self.description = description
        self._begin()

    def _enqueue(self, steps: Steps[None]) -> None:
        self._queue.append(steps)
        if self._process is None:
            self._next()

    def _start(self, steps: Steps[None]) -> None:
        """The first step is done later, as is everything here: never within a call of the device or the user."""
        self._process, self._waiting = steps, False
        self._timer = self._at(max(self.clock.now + TURNAROUND, self._busy_until), lambda: self._run(None))

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
