"""CLOCK and POWER (one page): crystals, reset reasons, and the two bytes that survive a soft reset."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral
from onnxino_tools.emulator.scheduler import CLOCK_HZ

HFCLKSTARTED, LFCLKSTARTED, DONE = 0x100, 0x104, 0x10C
USBDETECTED, USBREMOVED, USBPWRRDY = 0x11C, 0x120, 0x124
RESET_PIN, RESET_WATCHDOG, RESET_SOFT, RESET_LOCKUP = 1, 2, 4, 8
USB_START = CLOCK_HZ // 1000  # cycles from VBUS to the USB regulator's output
HFXO_START = CLOCK_HZ * 360 // 1_000_000  # cycles until the crystal runs: typical 0.36 ms


class ClockPower(Peripheral):
    """`on_hfxo(running)` is called when the crystal starts or stops, `on_usb()` when VBUS or the output of the USB
    regulator come or go. GPREGRET and RESETREAS live through `soft_reset`."""

    name = "CLOCK/POWER"

    def __init__(self, chip: Chip, on_hfxo: Callable[[bool], None], on_usb: Callable[[], None] = lambda: None) -> None:
        super().__init__(chip, 0x40000000, 0)
        self._on_hfxo = on_hfxo
        self._on_usb = on_usb
        self.vbus = self.usb_ready = False
        self.tasks = {
            0x00: self._start_hfxo, 0x04: self._stop_hfxo, 0x08: self._start_lfclk, 0x0C: self._stop_lfclk,
            0x10: lambda: None, 0x78: lambda: None, 0x7C: lambda: None,
        }  # fmt: skip
        self.writers = {
            0x400: self._clear_reasons,
            0x51C: self._gpregret,
            0x520: self._gpregret2,
            0x500: self._system_off,
        }
        self.reset_reasons = RESET_PIN
        self.gpregret = self.gpregret2 = 0
        self._hfxo = self._lfclk = False
        self._starting = 0
        self.readers = {
            0x400: lambda: self.reset_reasons, 0x408: lambda: self._starting, 0x40C: self._hfclk_status,
            0x414: lambda: int(self._lfclk), 0x418: lambda: 0x10001 if self._lfclk else 0,
            0x438: lambda: int(self.vbus) | int(self.usb_ready) << 1,
            0x51C: lambda: self.gpregret, 0x520: lambda: self.gpregret2,
        }  # fmt: skip
        self.reset()

    def reset(self) -> None:
        self.registers = {
            0x428: 0, 0x510: 0, 0x518: 0, 0x528: 0, 0x538: 0, 0x53C: 0, 0x550: 0, 0x558: 0, 0x55C: 0,
            0x578: 0, 0x580: 0, 0x640: 0,
        }  # fmt: skip
        self._hfxo = self._lfclk = False
        self._starting = 0
        self._on_hfxo(False)
        super().reset()
        self.usb_ready = self.vbus  # no event tells of a supply that was there before

    def set_vbus(self, present: bool) -> None:
        """The host's 5 V come or go."""
        if present == self.vbus:
            return
        self.vbus = present
        self.usb_ready = False
        self.event(USBDETECTED if present else USBREMOVED)
        self._on_usb()
        if present:
            self.chip.scheduler.after(USB_START, self._usb_output)

    def _usb_output(self) -> None:
        if self.vbus and not self.usb_ready:
            self.usb_ready = True
            self.event(USBPWRRDY)
            self._on_usb()

    def application_state(self) -> None:
        """As the bootloader leaves it: LFXO runs, DC/DC converter on, HFXO off."""
        self._lfclk = True
        self.registers[0x518] = 1
        self.registers[0x578] = 1

    def _start_hfxo(self) -> None:
        if self._hfxo:
            self.event(HFCLKSTARTED)
            return
        self._starting = 1
        self.chip.scheduler.after(HFXO_START, self._hfxo_runs)

    def _hfxo_runs(self) -> None:
        if self._starting:
            self._hfxo = True
            self._on_hfxo(True)
            self.event(HFCLKSTARTED)

    def _stop_hfxo(self) -> None:
        self._hfxo, self._starting = False, 0
        self._on_hfxo(False)

    def _hfclk_status(self) -> int:
        return 0x10000 | int(self._hfxo)

    def _start_lfclk(self) -> None:
        self._lfclk = True
        self.event(LFCLKSTARTED)

    def _stop_lfclk(self) -> None:
        self._lfclk = False

    def _clear_reasons(self, value: int) -> None:
        self.reset_reasons &= ~value

    def _gpregret(self, value: int) -> None:
        self.gpregret = value & 0xFF

    def _gpregret2(self, value: int) -> None:
        self.gpregret2 = value & 0xFF

    def _system_off(self, value: int) -> None:
        self.chip.warn("SYSTEMOFF is not modelled: the core goes on")
