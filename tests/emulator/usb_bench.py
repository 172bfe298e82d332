"""A host and a clock without a chip, for tests of USB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.scheduler import Scheduler
from onnxino_tools.emulator.usb.cdc_device import CdcDevice
from onnxino_tools.emulator.usb.host import UsbHost

SECOND = 64_000_000


@dataclass
class _Active:
    cycles: int = 0
    deadline: int = 0


class Bench:
    """Time moves from event to event."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(_Active())
        self.faults: list[EmulatorFault] = []
        self.warnings: list[str] = []
        self.host = UsbHost(self.scheduler, fault=self.faults.append, warn=self.warnings.append)

    def run(self, seconds: float = 1.0, until: Callable[[], bool] = lambda: False) -> bool:
        """Until something is true, or for so long; whether it became true."""
        end = self.scheduler.now + int(seconds * SECOND)
        while not until():
            if self.scheduler.next_time() > end:
                self.scheduler.slept += end - self.scheduler.now
                return until()
            self.scheduler.slept += max(self.scheduler.next_time() - self.scheduler.now, 0)
            self.scheduler.run_due()
        return True


def bootloader_port(**options: Any) -> CdcDevice:
    """The identity of the board's bootloader."""
    names = ("Arduino", "Arduino Nano 33 BLE", "0" * 16 + "0123456789ABCDEF")
    return CdcDevice(vendor=0x2341, product=0x005A, release=0x0011, strings=names, **options)
