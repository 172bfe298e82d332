"""Figures of a model on its way: the report of one, and the accuracy alone where many networks are judged."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from onnxino.errors import InputError, OnnxinoError
from onnxino_tools import ui
from onnxino_tools.compress.rows import Row, percent

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino_tools.compress.job import Job
    from onnxino_tools.report import Report

TEACHER = "teacher"  # its key among the reports


def measured(job: Job, content: bytes) -> Report:
    """The report of a model file on the images that choose. Raises InputError for a model that is no classifier."""
    from onnxino_tools.report import measure

    key = hashlib.sha256(content).hexdigest()
    if key in job.reports:
        return job.reports[key]
    report = measure(content, job.samples.validation, pixels=job.samples.pixels, latency=job.latency)
    if report.accuracy is None:
        raise InputError(
            f"the accuracy cannot be measured: {report.accuracy_note}", "onnxino convert --calibrate only quantizes"
        )
    job.reports[key] = report
    return report


def final_report(job: Job, content: bytes, onnx: ModelProto, original: Report, last: Report) -> Report:
    """The report of the result (content: the model file) beside the original, on the images that are asked for.

    original, last: the reports of the first and the last stage, on the images that choose.
    """
    from onnxino_tools.report import measure

    samples = job.samples
    if samples.evaluate is samples.validation:
        report, before = last, original
    else:
        report = measure(content, samples.evaluate, pixels=samples.pixels, latency=job.latency, baseline=job.model)
        assert report.baseline is not None
        before = report.baseline
    before = replace(before, name=f"{job.name}, original", sizes=replace(before.sizes, onnx=job.model.ByteSize()))
    return replace(report, sizes=replace(report.sizes, onnx=onnx.ByteSize()), baseline=before)


def row_of(stage: str, report: Report) -> Row:
    """What a stage shows."""
    assert report.accuracy is not None
    return Row(
        stage=stage,
        accuracy=report.accuracy.top1,
        parameters=report.parameters,
        nonzero=report.nonzero,
        macs=report.macs,
        weight_bytes=report.sizes.weights,
        oxm_bytes=report.sizes.model,
        arena_bytes=report.sizes.arena,
        latency_ms=None if report.latency is None else report.latency.ms,
    )


def teacher_note(job: Job, student: float) -> str | None:
    """What share of the images that choose the teacher classifies right, beside the student's; None without one."""
    from onnxino_tools.report import measure

    if job.teacher is None:
        return None
    try:
        if TEACHER not in job.reports:
            with ui.silence():
                job.reports[TEACHER] = measure(
                    job.teacher, job.samples.validation, pixels=job.samples.pixels, latency=False, thumbnails=0
                )
    except OnnxinoError as error:  # what cannot be converted can teach all the same
        return f"teacher: its accuracy cannot be measured: {error.message}"
    found = job.reports[TEACHER].accuracy
    if found is None:
        return f"teacher: its accuracy cannot be measured: {job.reports[TEACHER].accuracy_note}"
    text = f"teacher: {percent(found.top1)} of the validation images"
    if found.top1 > student:
        return text
    return f"{text}, which is not above the model's own {percent(student)}: it has little to teach"


def accuracy(job: Job, model: ModelProto) -> float:
    """Share of the images that choose which a network classifies right. Quicker than a report: no emulator."""
    from onnxino_tools.report import measure

    with ui.silence():
        report = measure(model, job.samples.validation, pixels=job.samples.pixels, latency=False, thumbnails=0)
    assert report.accuracy is not None
    return report.accuracy.top1
