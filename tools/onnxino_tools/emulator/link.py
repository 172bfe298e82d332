"""EmulatorTransport: the byte stream to a Machine in this process, with the interface of a serial port."""

from __future__ import annotations

from onnxino.errors import LinkError
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.machine import Machine

_IDLE_STEP = 64_000  # cycles (1 ms) that pass at a time while the firmware waits


class EmulatorTransport:
    """Timeouts are emulated time, so that results do not depend on the speed of this computer.

    Without counting ("off") no time passes while the core computes, and a firmware that never waits is not interrupted.
    """

    name = "emulator"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._closed = False

    def write(self, data: bytes) -> None:
        """Host -> device; the device sees the bytes when it runs, which is in `read`. Raises LinkError after
        `close`."""
        self._check_open()
        self.machine.line.write(data)

    def read(self, timeout: float) -> bytes:
        """Runs the device until it sends something. At least one byte, or b"" after `timeout` seconds of emulated time.

        Raises LinkError (from the EmulatorFault) if the firmware faulted, or after `close`.
        """
        self._check_open()
        machine = self.machine
        scheduler = machine.scheduler
        end = scheduler.now + max(int(timeout * machine.board.clock_hz), 1)
        try:
            while True:
                data = machine.line.read()
                if data:
                    return data
                left = end - scheduler.now
                if left <= 0:
                    return b""
                if machine.run(until=self._has_output, max_cycles=left) == "idle":
                    machine.skip(min(_IDLE_STEP, max(end - scheduler.now, 0)))
        except EmulatorFault as fault:
            raise LinkError(f"the device faulted: {fault.message}", fault.hint) from fault

    def _has_output(self) -> bool:
        return self.machine.line.has_data

    def close(self) -> None:
        """May be called twice."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError("the connection to the emulator is closed")

    def __enter__(self) -> EmulatorTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
