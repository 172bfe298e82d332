"""The errors that Onnxino raises for a user's mistake: what was found, what was expected, where, and a hint.

The command line prints them as `error:` and `hint:` lines and exits with 1 (2 for wrong usage); a traceback means a
defect of Onnxino.
"""

from __future__ import annotations


class OnnxinoError(Exception):
    """Base of all errors for a user's mistake. `hint` says what to do about it, or is None; tracebacks show it too."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self._hint: str | None = None
        self.hint = hint

    @property
    def hint(self) -> str | None:
        """What to do about it; also a note of the exception, which is what a notebook shows."""
        return self._hint

    @hint.setter
    def hint(self, hint: str | None) -> None:
        self.__notes__ = [note for note in getattr(self, "__notes__", []) if note != f"hint: {self._hint}"]
        self._hint = hint
        if hint is not None:
            self.add_note(f"hint: {hint}")


class ModelError(OnnxinoError):
    """A .oxm file is damaged, of an unknown version, or states something that cannot be true."""


class ConvertError(OnnxinoError):
    """An ONNX model cannot be converted as it is."""


class InputError(OnnxinoError):
    """Data given by the user (arrays, images, labels) does not fit the model."""


class LinkError(OnnxinoError):
    """The device cannot be reached, or does not answer as it should."""


class MissingExtraError(OnnxinoError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}', which is not installed", f"pip install 'onnxino[{extra}]'")
        self.extra = extra
