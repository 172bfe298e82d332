"""What a person does to the emulated board while it runs (buttons, cable), and what is said of it meanwhile."""

from __future__ import annotations

import queue
import signal
import sys
import threading
from collections.abc import Callable

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.machine import Machine

COMMANDS = {
    "reset": "the reset button",
    "double-tap": "the reset button twice: the bootloader waits",
    "unplug": "the cable is pulled",
    "plug": "and plugged in again",
}
_RESCUE = "the board can be flashed after a double-tap (a line 'double-tap', where the emulator takes commands)"
_NO_PORT = 8.0  # seconds of emulated time after which a USB port should be there


class Console:
    """`look` is called between two slices of the machine's time, `crashed` when its application faults.

    say: lines for the user. `lines` may be filled from another thread. While `stands`, the machine cannot run.
    """

    def __init__(self, machine: Machine, say: Callable[[str], None]) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.stands = False
        self._machine = machine
        self._say = say
        self._warned = self._delivered = 0
        self._since: float | None = machine.time

    def look(self) -> None:
        """Does what was asked for, and says what happened."""
        while not self.lines.empty():
            self._do(self.lines.get().strip().lower())
        if self._machine.startup.bootloader is not None:
            self._tell_of_faults()
            self._miss_port()

    def crashed(self, fault: EmulatorFault) -> None:
        """With a bootloader the board can be flashed again; without, the fault goes on to the caller."""
        if self._machine.startup.bootloader is None:
            raise fault
        self._say(f"note: {fault.message}" + (f" ({fault.hint})" if fault.hint else ""))
        self._say(f"the application crashed; {_RESCUE}")
        self.stands = True

    def _do(self, command: str) -> None:
        machine = self._machine
        if command in ("", "help", "?"):
            self._say("commands: " + ", ".join(f"{name} ({text})" for name, text in COMMANDS.items()))
            return
        if command not in COMMANDS:
            self._say(f"there is no command '{command}'; known are {', '.join(COMMANDS)}")
            return
        if command == "double-tap" and machine.startup.bootloader is None:
            self._say("there is no bootloader that a double-tap could start: --bootloader bl1 or bl2")
            return
        if command != "plug" and not machine.startup.powered:
            self._say(f"{command}: the board has no power; plug comes first")
            return
        if command == "double-tap":
            _double_tap(machine)
        else:
            {"reset": machine.reset, "unplug": machine.unplug, "plug": machine.plug}[command]()
        self.stands = False
        self._since = machine.time if command != "unplug" else None
        self._say(f"{command}: done")

    def _tell_of_faults(self) -> None:
        """Of the core, which the chip hands to the firmware; that may do nothing but stop."""
        warnings, delivered = self._machine.warnings, self._machine.delivered
        for text in warnings[self._warned :]:
            if text.startswith("the core locked up"):
                self._say(f"note: {text}")
                self._say(f"the application crashed; {_RESCUE}")
        self._warned = len(warnings)
        if len(delivered) > self._delivered == 0:
            self._say(f"note: {delivered[0].message}")
            self._say(f"the application crashed, its HardFault handler runs; if it does not come back, {_RESCUE}")
        self._delivered = len(delivered)

    def _miss_port(self) -> None:
        usb = self._machine.usb
        if usb is None or self._since is None:
            return
        if usb.configured:
            self._since = None
        elif self._machine.time - self._since > _NO_PORT and not self._machine.bootloader_active:
            self._since = None
            self._say(f"the application shows no USB port: it has none, or it crashed; {_RESCUE}")


def _double_tap(machine: Machine) -> None:
    machine.reset()
    if not machine.bootloader_waits:
        machine.reset()


def read_commands(console: Console | None, at_end: Callable[[], None] | None) -> None:
    """Reads stdin in a thread: lines are commands for the console; `at_end` is called at its end."""

    def wait() -> None:
        try:
            for line in sys.stdin.buffer:
                if console is not None:
                    console.lines.put(line.decode("utf-8", "replace"))
        except (OSError, ValueError):  # a terminal that belongs to another program now; closed at the end
            pass
        if at_end is not None:
            at_end()

    if console is not None and hasattr(signal, "SIGTTIN"):
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # started with &: runs on without commands
    threading.Thread(target=wait, daemon=True).start()
