"""HostLine: the board's serial line as the host's port sees it, over USB or UART, with the faults that are injected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino.errors import LinkError
from onnxino_tools.emulator.link_faults import FROM_DEVICE, TO_DEVICE, Channel, LinkFaults

if TYPE_CHECKING:
    from onnxino_tools.emulator.machine import Machine


class HostLine:
    """`write` and `read` bytes; what is written while there is no port is lost, as it is on a cable."""

    def __init__(self, machine: Machine, faults: LinkFaults | None = None) -> None:
        self._machine = machine
        self._incoming = bytearray()
        self._channels: tuple[Channel, Channel] | None = None
        if faults is not None:
            faults.attach(machine)
            self._channels = (
                faults.channel(TO_DEVICE, machine.scheduler, self._give),
                faults.channel(FROM_DEVICE, machine.scheduler, self._incoming.extend),
            )

    def write(self, data: bytes) -> None:
        """Host -> device."""
        if self._channels is None:
            self._give(data)
        else:
            self._channels[0].push(data)

    def read(self) -> bytes:
        """Device -> host: everything that arrived since the last call."""
        self.fetch()
        data = bytes(self._incoming)
        self._incoming.clear()
        return data

    @property
    def has_data(self) -> bool:
        """Whether `read` gives something."""
        self.fetch()
        return bool(self._incoming)

    def clear(self) -> None:
        """The connection is gone: what was under way is lost."""
        self._incoming.clear()
        for channel in self._channels or ():
            channel.clear()

    def fetch(self) -> None:
        """Takes what the device sent: faults on the way to the host strike now."""
        machine = self._machine
        data = machine.usb.read() if machine.usb is not None else machine.uart_read()
        if self._channels is None:
            self._incoming += data
        elif data:
            self._channels[1].push(data)

    def _give(self, data: bytes) -> None:
        machine = self._machine
        if not machine.powered:
            return
        if machine.usb is None:
            machine.uart_write(data)
            return
        try:
            machine.usb.write(data)
        except LinkError:
            return
