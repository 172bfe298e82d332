"""Keeps a port of this computer and the emulated USB host's view of the device the same, in both directions."""

from __future__ import annotations

from typing import Protocol

from onnxino_tools.emulator.usb.host import UsbHost
from onnxino_tools.emulator.usb.ports import LineState, UsbPort


class ByteLine(Protocol):
    """The bytes of the device, with the faults that are injected."""

    def write(self, data: bytes) -> None: ...

    def read(self) -> bytes: ...

    def clear(self) -> None: ...


class PortFollower:
    """`update` is called again and again."""

    def __init__(self, host: UsbHost, line: ByteLine, port: UsbPort) -> None:
        self._host, self._line, self._port = host, line, port
        self._seen = 0  # the enumeration that the port belongs to
        self._state = LineState()

    def update(self) -> None:
        """The port comes and goes with the device; what a program does to it goes to the device, with its data."""
        host, port = self._host, self._port
        if port.present and (not host.configured or host.enumerations != self._seen):
            port.disconnect()
            self._line.clear()
            self._state = LineState()
        if host.configured and not port.present:
            port.connect()
            self._seen = host.enumerations
        if port.present:
            self._follow()

    def _follow(self) -> None:
        state = self._port.line()
        data = self._port.read() if self._host.pending < 1 << 16 else b""
        if data and not state.opened:
            state = self._port.line()  # opened a moment ago: first the settings, then the data
        if state != self._state:
            self._change(state)
        if data:
            self._line.write(data)

    def _change(self, state: LineState) -> None:
        before, self._state = self._state, state
        host = self._host
        if state.opened:
            host.set_line(state.baud_rate, state.dtr, True)
        else:
            # Another rate than before: somebody came and went since the last look, as short as a touch at 1200 baud.
            if state != LineState() and state.baud_rate != before.baud_rate:
                host.set_line(state.baud_rate, True, True)
            if before.opened or state.baud_rate != before.baud_rate:
                host.set_line(dtr=False, opened=False)

    def send(self) -> None:
        """What the device sent."""
        data = self._line.read()
        if data and self._port.present:
            self._port.write(data)
