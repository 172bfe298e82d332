"""What a compression works on: the model, its teacher, the images and the recipe, all checked before any work."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino.errors import ConvertError, InputError, MissingExtraError, OnnxinoError
from onnxino_tools.compress.options import Recipe
from onnxino_tools.compress.prunable import check_prunable
from onnxino_tools.compress.samples import Arrays, Samples, load_samples

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino_tools.data.dataset import Dataset
    from onnxino_tools.report import Report

TORCH = (".pt", ".pth", ".pkl")


@dataclass
class Job:
    """name: of the files that are made; labels: class names that the model does not hold itself; latency: whether the
    emulator estimates the time of each stage."""

    name: str
    model: ModelProto
    teacher: ModelProto | None
    samples: Samples
    recipe: Recipe
    labels: list[str] | None
    latency: bool = True
    reports: dict[str, Report] = field(default_factory=dict[str, "Report"], repr=False)  # by the model file's SHA-256

    @cached_property
    def train(self) -> Arrays:
        """The training images as the model takes them, and their labels."""
        assert self.samples.train is not None
        return self.samples.arrays(self.samples.train)

    @cached_property
    def validation(self) -> Arrays:
        """The images that choose, as the model takes them, and their labels."""
        return self.samples.arrays(self.samples.validation)


def make_job(
    model: Any, data: str | Path | Dataset, recipe: Recipe, name: str | None = None, latency: bool = True
) -> Job:
    """Loads and checks everything. model: path, bytes, onnx.ModelProto or torch nn.Module (in evaluation form).

    Raises MissingExtraError for what is not installed, ConvertError for a model that cannot be compressed, InputError
    for data that do not fit it.
    """
    check_extras(recipe)
    if recipe.targets.ms is not None and not latency:
        raise InputError("a target in milliseconds needs the latency, which is left out", "leave --no-latency away")
    loaded, stem = _load(model, data, recipe)
    _check_model(loaded, recipe)
    trains = recipe.trains or recipe.quantizes
    samples = load_samples(loaded, data, recipe.data, training=trains, seed=recipe.seed)
    teacher = None
    if recipe.fine_tune is not None and recipe.fine_tune.teacher is not None:
        teacher = load_teacher(recipe.fine_tune.teacher, loaded)
    return Job(name or stem, loaded, teacher, samples, recipe, _labels(samples), latency)


def check_extras(recipe: Recipe, what: str | None = None) -> None:
    """Raises MissingExtraError where the recipe needs what is not installed."""
    if recipe.trains and importlib.util.find_spec("torch") is None:
        if what is None:
            what = "Fine-tuning" if recipe.fine_tune is not None else "Pruning by Taylor scores"
        raise MissingExtraError(what, "train")
    if recipe.targets.ms is not None and importlib.util.find_spec("unicorn") is None:
        raise MissingExtraError("A target in milliseconds", "emulator")


def _load(model: Any, data: str | Path | Dataset, recipe: Recipe) -> tuple[ModelProto, str]:
    """The model and a name for it."""
    from onnxino_converter.importer import load_source
    from onnxino_converter.names import identifier

    if hasattr(model, "state_dict") and hasattr(model, "parameters"):
        if importlib.util.find_spec("torch") is None:
            raise MissingExtraError("Compressing a torch module", "train")
        from onnxino_tools.train import from_module

        return from_module(model, _example_shape(data, recipe)), identifier(type(model).__name__.lower())
    try:
        source = load_source(model)
    except OnnxinoError as error:
        if isinstance(model, str | Path) and Path(model).suffix.lower() in TORCH and Path(model).is_file():
            error.hint = (
                "in Python, where the model is built and its weights are loaded: onnxino_tools.compress.compress("
                "module, data, recipe, output='out'); or export it: onnx.save(onnxino_tools.train.from_module(module, "
                "(1, 3, 64, 64)), 'model.onnx')"
            )
        raise
    return source.model, identifier(source.stem)


def _example_shape(data: str | Path | Dataset, recipe: Recipe) -> tuple[int, ...]:
    """The input's shape for a torch module, from the images: one channels-first image, or an array as it is."""
    from onnxino_tools.data.dataset import Dataset, load_dataset

    if not isinstance(data, Dataset) and Path(data).is_dir():
        raise InputError(
            "a folder of image files does not tell the size that a torch module takes",
            "export the module: torch.onnx.export(module, torch.zeros(1, 3, 64, 64), 'model.onnx')",
        )
    images = (data if isinstance(data, Dataset) else load_dataset(data)).images
    if images.dtype.kind == "f":
        return (1, *images.shape[1:])
    height, width, *channels = images.shape[1:]
    channel = channels[0] if channels else 1
    return (1, height, width, channel) if recipe.data.layout == "NHWC" else (1, channel, height, width)


def _check_model(model: ModelProto, recipe: Recipe) -> None:
    """Raises ConvertError for a model that is quantized, cannot be converted, or cannot be quantized as asked.
    InputError where nothing of it can be pruned as asked."""
    from onnxino_converter.importer import import_graph
    from onnxino_converter.quantize.quantizer import check, prepare

    try:
        check(model)
    except ConvertError as error:
        if "quantized already" in str(error):
            error.hint = "give the float model that it was made from"
        raise
    import_graph(model)
    if recipe.quantizes:
        prepare(model)
    if recipe.prune is not None:
        check_prunable(model, recipe.prune)


def load_teacher(path: str | Path | ModelProto, student: ModelProto) -> ModelProto:
    """The teacher. Raises InputError where it takes other inputs or has other classes than the student."""
    from onnxino_converter.importer import load_source

    teacher = load_source(path).model
    said = path if isinstance(path, str | Path) else "the teacher"
    for what, theirs, ours in zip(("input", "output"), _ports(teacher), _ports(student), strict=True):
        if not _same(theirs[1:], ours[1:]):
            raise InputError(
                f"the teacher '{said}' has an {what} of {_shape(theirs)}, the model one of {_shape(ours)}",
                "a teacher takes the same images and tells the same classes apart",
            )
    return teacher


def _ports(model: ModelProto) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of the first input and the first output; -1 where a size is open."""
    initializers = {t.name for t in model.graph.initializer}
    first = next(port for port in model.graph.input if port.name not in initializers)

    def shape(port: Any) -> tuple[int, ...]:
        return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in port.type.tensor_type.shape.dim)

    return shape(first), shape(model.graph.output[0])


def _same(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two shapes agree; what is open, or not told at all, agrees with everything."""
    return not a or not b or (len(a) == len(b) and all(x == y or -1 in (x, y) for x, y in zip(a, b, strict=True)))


def _shape(sizes: tuple[int, ...]) -> str:
    return f"[{', '.join('?' if size < 0 else str(size) for size in sizes)}]"


def _labels(samples: Samples) -> list[str] | None:
    """The data's class names, where the model has none of its own and as many outputs."""
    own = samples.model.metadata.class_labels if samples.model.metadata is not None else None
    classes = samples.validation.classes
    if own or not classes or len(set(classes)) != len(classes):
        return None
    return list(classes)
