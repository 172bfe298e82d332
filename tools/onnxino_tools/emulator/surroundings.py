"""What is around the chip: power, reset button, bootloader, and the ends of its two lines."""

from __future__ import annotations

from abc import ABC, abstractmethod

from onnxino.boards import Board
from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.replay import Replay
from onnxino_tools.emulator.scheduler import Scheduler
from onnxino_tools.emulator.startup import Startup
from onnxino_tools.emulator.state import FlashState
from onnxino_tools.emulator.usb.host import UsbHost


class Surroundings(ABC):
    """The part of Machine that is not the running core."""

    board: Board
    bus: Bus
    scheduler: Scheduler
    startup: Startup
    usb: UsbHost | None  # the host at the USB port
    file: FlashState | None
    replay: Replay | None
    warnings: list[str]
    sleeping: bool  # the core waits in WFI

    @abstractmethod
    def start_up(self) -> None:
        """After any reset."""

    @abstractmethod
    def request_stop(self) -> None: ...

    @abstractmethod
    def fault(self, fault: EmulatorFault) -> None: ...

    @abstractmethod
    def sent(self, data: bytes) -> None: ...

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    # --- the lines ---
    def uart_write(self, data: bytes) -> None:
        """Host -> device. Without power the bytes are lost."""
        if not self.powered:
            return
        if self.replay is not None and data:
            self.replay.received(data)
        self.bus.uarte0.host_write(data)

    def uart_read(self) -> bytes:
        """Device -> host: everything sent since the last call."""
        data = bytes(self.bus.uarte0.from_device)
        self.bus.uarte0.from_device.clear()
        return data

    def plug_in_host(self) -> UsbHost:
        host = UsbHost(self.scheduler, fault=self.fault, warn=self.warn)
        host.on_write, host.on_read = self._usb_written, self.sent
        self.bus.uarte0.others_busy = lambda: host.busy
        host.attach(self.bus.usbd)
        self.startup.host = host
        return host

    def _usb_written(self, data: bytes) -> None:
        self.bus.uarte0.idle_polls = 0
        if self.replay is not None:
            self.replay.received(data)

    # --- power and reset ---
    @property
    def powered(self) -> bool:
        """False between `unplug` or a loss of power, and `plug`."""
        return self.startup.powered and not self.startup.failing

    @property
    def bootloader_active(self) -> bool:
        """From a reset until the application starts; `bootloader_waits` once it waits for commands."""
        return self.startup.bootloader is not None and self.startup.bootloader.active

    @property
    def bootloader_waits(self) -> bool:
        return self.startup.bootloader is not None and self.startup.bootloader.staying

    @property
    def has_application(self) -> bool:
        """Whether a reset leads to an application; True without a bootloader."""
        return self.startup.bootloader is None or self.startup.bootloader.application is not None

    @property
    def bootloader_touched(self) -> list[str]:
        """Each erase and write of flash that belongs to the bootloader: a real board would be lost."""
        return self.bus.nvmc.cells.touched

    def reset(self) -> None:
        """As the reset button does: RAM and flash stay, GPREGRET is lost. Twice within 500 ms: a double-tap."""
        if self.startup.powered:
            self._press_reset()

    def unplug(self) -> None:
        """Power and USB are gone: a flash write that is under way is done in part; RAM is lost."""
        if self.startup.powered:
            self.startup.power_off()
            self.sleeping = False
            self.request_stop()

    def plug(self) -> None:
        """Power and USB are back."""
        if not self.startup.powered:
            self.startup.power_on()
            self.start_up()

    def brown_out(self, operations: int = 0) -> None:
        """The power will fail in the middle of a flash operation (erase of a page, write of a word), after so many
        whole ones: then the board is as after `unplug`."""
        self.bus.nvmc.cells.cut_after = operations

    def close(self) -> None:
        """Lets other emulators use the state file. The machine cannot be used any more."""
        if self.file is not None:
            self.file.close()

    def _press_reset(self) -> None:
        self.startup.press_reset()
        self.start_up()

    def lose_power(self) -> None:
        """The power has failed; it comes back if somebody said when."""
        self.unplug()
        after, self.startup.replug_after = self.startup.replug_after, None
        if after is not None:
            self.scheduler.after(after, self.plug, outside=True)
