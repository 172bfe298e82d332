"""The USBD's way onto the bus: supply, ENABLE, READY, crystal, pull-up, and suspend."""

from __future__ import annotations

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.base import Chip, Peripheral
from onnxino_tools.emulator.peripherals.usbd_errata import UsbErrata
from onnxino_tools.emulator.peripherals.usbd_registers import (
    ENABLE,
    EVENTCAUSE,
    LOWPOWER,
    PULLUP,
    READY,
    RESUME,
    SUSPEND,
    USBEVENT,
    WAKE_ALLOWED,
    NoSupply,
    Supply,
)  # fmt: skip
from onnxino_tools.emulator.scheduler import CLOCK_HZ, Event
from onnxino_tools.emulator.usb.device import Unplugged, Upstream

START_CYCLES = CLOCK_HZ // 2000  # from ENABLE to READY: 0.5 ms
WAKE_CYCLES = CLOCK_HZ // 100_000


class UsbdStart(Peripheral):
    """POWER is the `supply` and tells about VBUS and the crystal."""

    def __init__(self, chip: Chip, errata: UsbErrata) -> None:
        super().__init__(chip, 0x40027000, 39)
        self.supply: Supply = NoSupply()
        self.upstream: Upstream = Unplugged()
        self._errata = errata
        self._hfxo = False
        self._starting: Event | None = None
        self._running = False  # READY came
        self._suspended = False

    def reset(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        self._starting = None
        self._running = self._suspended = False
        super().reset()
        self.upstream.changed()

    @property
    def pulled_up(self) -> bool:
        """See UsbDevice."""
        return bool(self._running and self.registers[PULLUP])

    def power(self, present: bool) -> None:
        """See UsbDevice."""
        self.supply.set_vbus(present)

    def suspend(self) -> None:
        """See UsbDevice."""
        self._suspended = True
        self._cause(SUSPEND)

    def resume(self) -> None:
        """See UsbDevice."""
        self._suspended = False
        self._cause(RESUME)

    def _forget_bus(self) -> None:
        """What a bus reset does to the endpoints' buffers, and to the address."""

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
