"""What a model is worth and what it costs: `measure()` finds out, `Report` holds it, `html.render()` shows it."""

from onnxino_tools.report.measure import measure
from onnxino_tools.report.report import Report

__all__ = ["Report", "measure"]
