"""fit(): it learns, distils, keeps masks, stops early, goes on where it was interrupted, and is deterministic."""

from __future__ import annotations

import itertools
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import InputError  # noqa: E402
from onnxino_tools.train import (  # noqa: E402
    Progress,
    Training,
    evaluate,
    fit,
    taylor_scores,
    to_module,
)
from onnxino_tools.train.losses import soft_loss  # noqa: E402
from tests.train.networks import Net, classifier, digits, initializers, onnxruntime_of, patterns  # noqa: E402

QUICK = Training(epochs=3, batch=16, learning_rate=0.02, seed=5)
EVERYTHING = replace(
    QUICK,
    epochs=4,
    augment=("flip", "flip-vertical", "shift", "crop", "rotate", "rot90", "colour", "erase"),
    mixup=0.3,
    cutmix=1.0,
    label_smoothing=0.1,
    warmup=0.5,
    ema=0.9,
    feature_weight=0.5,
    feature_layers=(("relu2", "relu2"),),
    alpha=0.5,
)


def small(seed: int = 0, channels: int = 4, dropout: bool = False, classes: int = 3) -> Any:
    """A network for patterns(); relu2 is its inner layer."""
    net = Net(("N", 1, 8, 8), seed=seed)
    net.conv(1, channels)
    net.norm(channels)
    net.op("Relu")
    if dropout:
        net.op("Dropout", net.const("ratio", np.float32(0.2)))
    net.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    net.op("Flatten")
    net.dense(channels * 16, classes)
    return net.model()


def content(module: Any) -> bytes:
    return module.to_onnx().SerializeToString(deterministic=True)


DATA = patterns(96), patterns(48, seed=1)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("norm", [True, False], ids=["norm", "folded"])
def test_digits_are_learnt_from_random_weights(optimizer: str, norm: bool) -> None:
    module = to_module(classifier(norm=norm))
    train, held_out = digits(0, 500), digits(700, 1000)
    before = evaluate(module, held_out).accuracy
    rate = 0.01 if optimizer == "adamw" else 0.05
    told: list[Progress] = []
    settings = Training(epochs=8, batch=16, learning_rate=rate, optimizer=optimizer, warmup=0.5)
    history = fit(module, train, digits(500, 700), settings, progress=told.append)
    after = evaluate(module, held_out).accuracy
    assert before < 0.3
    assert after > 0.8
    assert [p.epoch for p in told] == list(range(1, 9))
    assert told[0].remaining > told[6].remaining > told[7].remaining == 0
    assert history.best_epoch == max(p.epoch for p in told if p.best)
    assert evaluate(module, digits(500, 700)).accuracy == history.best.validation_accuracy
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss / 2
    expected = onnxruntime_of(module.to_onnx(), held_out[0])
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.from_numpy(held_out[0])).numpy(), expected, atol=1e-5 * 10)
    assert not module.training


def test_distillation_moves_the_student_to_the_teacher() -> None:
    train, validation = digits(0, 400), digits(400, 600)
    teacher = to_module(classifier(channels=16, seed=7))
    fit(teacher, train, validation, Training(epochs=6, batch=16, learning_rate=0.01))
    teacher_model = teacher.to_onnx()
    wanted = torch.from_numpy(evaluate(teacher, validation).logits)

    def distance(student: Any) -> float:
        return float(soft_loss(torch.from_numpy(evaluate(student, validation).logits), wanted, 1.0))

    student, alone = to_module(classifier(channels=4)), to_module(classifier(channels=4))
    start = distance(student)
    settings = Training(epochs=6, batch=16, learning_rate=0.01, temperature=4, alpha=1.0)
    wrong = (train[0], (train[1] + 1) % 10)  # with alpha = 1 the labels do not count
    fit(student, wrong, validation, settings, teacher=teacher_model)
    fit(alone, train, validation, settings)
    assert distance(student) < start / 3
    assert distance(student) < distance(alone)
    assert evaluate(student, validation).accuracy > 0.6  # all of its labels were wrong
    assert evaluate(teacher, validation).logits.tobytes() == wanted.numpy().tobytes()


def test_soft_loss_is_hintons() -> None:
    """The gradient of T^2 KL is that of T^2 times the cross entropy of softened outputs: T (q - p) / N."""
    rng = np.random.default_rng(0)
    student = torch.from_numpy(rng.standard_normal((5, 4))).requires_grad_()
    teacher = torch.from_numpy(rng.standard_normal((5, 4)))
    temperature = 3.0
    loss = soft_loss(student, teacher, temperature)
    loss.backward()
    own, wanted = torch.softmax(student / temperature, 1), torch.softmax(teacher / temperature, 1)
    torch.testing.assert_close(student.grad, (temperature * (own - wanted) / 5).detach())
    divergence = (wanted * (wanted.log() - own.log())).sum(1).mean() * temperature**2
    torch.testing.assert_close(loss, divergence)


def test_features_of_another_width_and_size_are_matched() -> None:
    teacher = to_module(small(seed=9, channels=6))

    class Wide(torch.nn.Module):
        """Twice the size inside."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = teacher
            self.stem = torch.nn.Upsample(scale_factor=2)

        def forward(self, images: Any) -> Any:
            self.stem(images.repeat(1, 6, 1, 1))
            return self.inner(images)

    for name, taught in (("relu2", teacher), ("stem", Wide())):
        layers = (("relu2", name),)
        settings = replace(QUICK, alpha=0.0, feature_weight=1.0, feature_layers=layers)
        history = fit(to_module(small(channels=3)), *DATA, settings, teacher=taught)
        assert history.epochs[-1].train_loss < history.epochs[0].train_loss


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_masked_weights_stay_zero(optimizer: str) -> None:
    model = small()
    rng = np.random.default_rng(3)
    masks = {name: rng.random(initializers(model)[name].shape) < 0.5 for name in ("block0.conv.weight", "head5.weight")}
    settings = replace(QUICK, optimizer=optimizer, ema=0.5)
    module = to_module(model)
    inside: list[bool] = []

    def look(_: Progress) -> None:
        state = dict(module.named_parameters())
        inside.append(all(bool((state[name].detach().numpy()[~mask] == 0).all()) for name, mask in masks.items()))

    fit(module, *DATA, settings, masks=masks, progress=look)
    assert inside == [True] * 3
    for name, mask in masks.items():
        values = initializers(module.to_onnx())[name]
        assert (values[~mask] == 0).all()
        assert (values[mask] != 0).all()
        assert not np.array_equal(values[mask], initializers(model)[name][mask])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_momenta_of_masked_weights_are_zero(optimizer: str, tmp_path: Path) -> None:
    mask = np.zeros(initializers(small())["head5.weight"].shape, bool)
    mask[0] = True
    path = tmp_path / "training.ckpt"
    fit(to_module(small()), *DATA, replace(QUICK, optimizer=optimizer), masks={"head5.weight": mask}, checkpoint=path)
    states = torch.load(path, weights_only=True)["optimizer"]["state"].values()
    momenta = [v for state in states for v in state.values() if v is not None and tuple(v.shape) == mask.shape]
    assert len(momenta) == (2 if optimizer == "adamw" else 1)
    assert all(bool((value.numpy()[1:] == 0).all()) and bool((value.numpy()[0] != 0).any()) for value in momenta)


def test_the_same_again_gives_the_same_bytes() -> None:
    teacher = to_module(small(seed=9))
    results: list[bytes] = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed * len(results))  # torch's own generator must not matter
        module = to_module(small(dropout=True))
        settings = replace(EVERYTHING, seed=seed)
        fit(module, *DATA, settings, teacher=teacher)
        results.append(content(module))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_other_generators_are_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(to_module(small(dropout=True)), *DATA, replace(QUICK, epochs=1))
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


class Stop(Exception):
    """Ends a training from its callback."""


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Stop])
def test_a_resumed_training_gives_the_same_bytes(optimizer: str, error: type[BaseException], tmp_path: Path) -> None:
    teacher = to_module(small(seed=9))
    settings = replace(EVERYTHING, optimizer=optimizer)
    mask = {"head6.weight": np.arange(3 * 64).reshape(3, 64) % 3 > 0}
    whole = to_module(small(dropout=True))
    more: dict[str, Any] = {"teacher": teacher, "masks": mask}
    expected = fit(whole, *DATA, settings, **more)
    path = tmp_path / "training.ckpt"

    def stop(progress: Progress) -> None:
        if progress.epoch in (1, 3):
            raise error

    for reached in (1, 3):
        with pytest.raises(error):
            fit(
                to_module(small(dropout=True)),
                *DATA,
                settings,
                teacher=teacher,
                masks=mask,
                checkpoint=path,
                progress=stop,
            )
        assert len(torch.load(path, weights_only=True)["history"]["epochs"]) == reached
    module = to_module(small(dropout=True))
    history = fit(module, *DATA, settings, **more, checkpoint=path)
    assert history.resumed_from == 3
    assert content(module) == content(whole)
    assert history.best_epoch == expected.best_epoch
    strip = [replace(epoch, seconds=0.0) for epoch in history.epochs]
    assert strip == [replace(epoch, seconds=0.0) for epoch in expected.epochs]

    again = to_module(small(dropout=True))
    assert fit(again, *DATA, settings, **more, checkpoint=path).resumed_from == 4
    assert content(again) == content(whole)
    assert [file.name for file in tmp_path.iterdir()] == ["training.ckpt"]


def test_an_epoch_that_is_cut_off_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxino_tools.train.optimizer import Optimizer

    whole = to_module(small())
    fit(whole, *DATA, QUICK)
    path = tmp_path / "training.ckpt"
    inner, steps = Optimizer.step, itertools.count()

    def step(self: Any, loss: Any) -> None:
        if next(steps) == 9:  # in the second epoch of six steps each
            raise KeyboardInterrupt
        inner(self, loss)

    monkeypatch.setattr(Optimizer, "step", step)
    module = to_module(small())
    with pytest.raises(KeyboardInterrupt):
        fit(module, *DATA, QUICK, checkpoint=path)
    assert not module.training
    module = to_module(small())
    assert fit(module, *DATA, QUICK, checkpoint=path).resumed_from == 1
    assert content(module) == content(whole)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to a thread")
def test_ctrl_c_at_any_moment_keeps_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "training.ckpt"
    main = threading.main_thread().ident
    assert main is not None

    def soon(progress: Progress) -> None:
        if progress.epoch == 2:
            threading.Timer(0.03, signal.pthread_kill, (main, signal.SIGINT)).start()

    settings = replace(QUICK, epochs=100_000)
    with pytest.raises(KeyboardInterrupt):
        fit(to_module(small()), *DATA, settings, checkpoint=path, progress=soon)
    assert [file.name for file in tmp_path.iterdir()] == ["training.ckpt"]
    reached = len(torch.load(path, weights_only=True)["history"]["epochs"])
    assert 2 <= reached < 100_000


def test_early_stopping_returns_the_best_weights(tmp_path: Path) -> None:
    images, labels = patterns(40, seed=3)
    shuffled = np.random.default_rng(0).permutation(labels)  # nothing to learn: validation gets worse by chance
    validation = patterns(60, seed=4)
    settings = Training(epochs=60, batch=8, learning_rate=0.02, patience=3, seed=1)
    module, path = to_module(small()), tmp_path / "training.ckpt"
    history = fit(module, (images, shuffled), validation, settings, checkpoint=path)
    assert history.stopped_early
    assert len(history.epochs) == history.best_epoch + 3 < 60
    accuracies = [epoch.validation_accuracy or 0.0 for epoch in history.epochs]
    assert history.best.validation_accuracy == max(accuracies) == evaluate(module, validation).accuracy
    again = to_module(small())
    assert fit(again, (images, shuffled), validation, settings, checkpoint=path).stopped_early
    assert content(again) == content(module)


def test_without_validation_data_the_last_weights_stay() -> None:
    module = to_module(small())
    history = fit(module, DATA[0], None, QUICK)
    assert history.best_epoch == 3
    assert history.best.validation_accuracy is None
    assert evaluate(module, DATA[1]).accuracy > 0.9


def test_batches_of_one_are_left_out() -> None:
    images, labels = patterns(33)  # 16 + 16 + 1, and normalizations need two samples
    net = Net(("N", 64))
    net.dense(64, 4)
    net.norm(4)
    net.dense(4, 3)
    fit(to_module(net.model()), (images.reshape(33, 64), labels), None, QUICK)


def test_a_module_that_is_no_onnx_learns_too() -> None:
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 12))
    settings = replace(QUICK, epochs=6, alpha=0.0, feature_weight=0.1, feature_layers=(("1", "1"),))
    with pytest.raises(InputError, match="the teacher has 12 classes, the student 3"):
        fit(module, *DATA, settings, teacher=teacher)
    teacher.append(nn.Linear(12, 3))
    fit(module, *DATA, settings, teacher=teacher)
    assert evaluate(module, DATA[1]).accuracy > 0.9


def test_a_network_may_teach_itself() -> None:
    module = to_module(small())
    start = content(module)
    fit(module, *DATA, QUICK, teacher=module)
    assert content(module) != start


def test_taylor_scores_are_squared_gradient_times_weight() -> None:
    net = Net(("N", 2))
    weight = np.array([[1.0, -2.0], [0.5, 0.0]], np.float32)
    net.op("Gemm", net.const("w", weight), transB=1)
    images, labels = np.array([[1, 0], [0, 1], [2, 1]], np.float32), np.array([0, 1, 1])
    module = to_module(net.model())
    scores = taylor_scores(module, images, labels, batch=2)
    parts: list[Any] = []
    for part in (slice(0, 2), slice(2, 3)):
        logits = images[part] @ weight.T
        share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        gradient = (share - np.eye(2)[labels[part]]).T @ images[part] / len(images[part])
        parts.append((gradient * weight) ** 2)
    np.testing.assert_allclose(scores["w"], np.mean(parts, axis=0), rtol=1e-5)
    assert scores["w"].dtype == np.float32
    assert scores["w"][1, 1] == 0


def test_taylor_scores_leave_the_module_alone() -> None:
    module = to_module(small()).train()
    before = content(module)
    scores = taylor_scores(module, *DATA[0])
    assert set(scores) == {name for name, _ in module.named_parameters()}
    assert all(scores[name].shape == tuple(p.shape) for name, p in module.named_parameters())
    assert module.training
    assert content(module) == before
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_average_follows_the_weights() -> None:
    from onnxino_tools.train.average import Average

    module = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0.0)
    average = Average(module, 0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 4.0], 1):
        with torch.no_grad():
            module.weight.fill_(value)
        average.update(module)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = expected * decay + value * (1 - decay)
    assert float(average.state()["weight"]) == pytest.approx(expected)


def test_the_learning_rate_rises_and_falls() -> None:
    from onnxino_tools.train.optimizer import Optimizer

    module = torch.nn.Linear(2, 2)
    settings = Training(epochs=10, learning_rate=1.0, warmup=2)
    optimizer = Optimizer(module, None, settings, {})
    rates: list[float] = []
    for epoch in (0, 0.5, 1.5, 2, 6, 9.5):
        optimizer.set_rate(epoch, 0.5)
        rates.append(optimizer.rate)
    assert rates == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.5, (1 + np.cos(np.pi * 7.5 / 8)) / 2])
    constant = Optimizer(module, None, replace(settings, schedule="constant", warmup=0), {})
    constant.set_rate(9.5, 0.5)
    assert constant.rate == 1.0


# ---- mistakes ----


def _fit(images: Any = None, labels: Any = None, settings: Training = QUICK, **more: Any) -> None:
    good = DATA[0]
    data = (good[0] if images is None else images, good[1] if labels is None else labels)
    fit(to_module(small()), data, DATA[1], settings, **more)


MISTAKES: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "labels too great": (
        {"labels": np.full(96, 6)},
        r"the training labels go from 6 to 6; the model has 3 outputs, so 0 to 2 were expected",
        "made for these classes",
    ),
    "negative labels": ({"labels": DATA[0][1] - 1}, r"the training labels go from -1 to 1", None),
    "one-hot labels": ({"labels": np.eye(3)[DATA[0][1]]}, r"labels are float64 \[96, 3\]", "argmax"),
    "float labels": ({"labels": DATA[0][1] * 1.0}, r"labels are float64 \[96\]; expected whole numbers", None),
    "no samples": (
        {"images": DATA[0][0][:0], "labels": DATA[0][1][:0]},
        "there are no training samples",
        "at least one image",
    ),
    "one sample": ({"images": DATA[0][0][:1], "labels": DATA[0][1][:1]}, "there is one training sample", None),
    "other numbers": ({"labels": DATA[0][1][:9]}, "there are 96 training images and 9 labels", None),
    "bytes": ({"images": np.zeros((96, 1, 8, 8), np.uint8)}, "the training images are uint8; expected float32", "255"),
    "other shape": (
        {"images": np.zeros((96, 1, 9, 8), np.float32)},
        r"the training images are \[96, 1, 9, 8\]; the model takes \[N, 1, 8, 8\]",
        "resize",
    ),
    "channels last": (
        {"images": np.zeros((96, 8, 8, 1), np.float32)},
        r"the training images are \[96, 8, 8, 1\]",
        "images.transpose(0, 3, 1, 2)",
    ),
    "other rank": ({"images": np.zeros((96, 64), np.float32)}, r"the training images are \[96, 64\]", None),
    "not finite": ({"images": np.full((96, 1, 8, 8), np.nan, np.float32)}, "images hold NaN or infinity", None),
    "diverged": (
        {"settings": replace(QUICK, optimizer="sgd", learning_rate=1e30)},
        r"the training diverged: in epoch 1 the loss is \w+, with a learning rate of 1e\+30",
        "learning_rate = 1e+29",
    ),
    "teacher of other classes": (
        {"teacher": small(classes=4)},
        "the teacher has 4 classes, the student 3",
        "the same classes",
    ),
    "teacher of other images": (
        {"teacher": classifier(3)},
        r"the teacher does not take images of \[2, 1, 8, 8\]: ",
        None,
    ),
    "features without a teacher": (
        {"settings": replace(QUICK, feature_weight=1.0, feature_layers=(("relu2", "relu2"),))},
        "feature matching needs a teacher",
        None,
    ),
    "unknown layer": (
        {"settings": replace(QUICK, feature_weight=1.0, feature_layers=(("relu", "relu2"),)), "teacher": small()},
        "the student has no layer 'relu'",
        "relu2",
    ),
    "features of other ranks": (
        {"settings": replace(QUICK, feature_weight=1.0, feature_layers=(("relu2", "flatten4"),)), "teacher": small()},
        r"a student's features \[2, 4, 8, 8\] and a teacher's \[2, 64\] do not go together",
        "both give",
    ),
    "unknown mask": (
        {"masks": {"head5.weigt": np.ones((3, 64), bool)}},
        "there is a mask for 'head5.weigt', which is no parameter",
        "did you mean 'head5.weight'?",
    ),
    "mask of another shape": (
        {"masks": {"head5.weight": np.ones((3, 63), bool)}},
        r"the mask for 'head5.weight' is \[3, 63\], the parameter \[3, 64\]",
        None,
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str) -> None:
    arguments, message, hint = MISTAKES[case]
    with pytest.raises(InputError, match=message) as caught:
        _fit(**arguments)
    assert (hint or "") in (caught.value.hint or "")


def test_validation_labels_and_patience_are_checked() -> None:
    with pytest.raises(InputError, match="the validation labels go from 7 to 7"):
        fit(to_module(small()), DATA[0], (DATA[1][0], np.full(48, 7)), QUICK)
    with pytest.raises(InputError, match="patience needs validation data"):
        fit(to_module(small()), DATA[0], None, replace(QUICK, patience=2))
    with pytest.raises(InputError, match="the training data are 1 arrays"):
        fit(to_module(small()), (DATA[0][0],), None, QUICK)  # pyright: ignore[reportArgumentType]


def test_a_diverged_training_leaves_the_best_weights() -> None:
    module = to_module(small())
    kept: list[bytes] = []

    def spoil(progress: Progress) -> None:
        kept.append(content(module))
        with torch.no_grad():
            next(module.parameters()).fill_(float("nan"))

    with pytest.raises(InputError, match="diverged: in epoch 2 the loss is nan"):
        fit(module, *DATA, QUICK, progress=spoil)
    assert kept == [content(module)]


def test_a_module_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"the model does not take images of \[2, 1, 8, 8\]"):
        fit(torch.nn.Linear(3, 3), *DATA, QUICK)
    with pytest.raises(InputError, match=r"the model gives \[2, 1, 8, 3\] for 2 images; expected logits \[N, "):
        fit(torch.nn.Linear(8, 3), *DATA, QUICK)


def test_checkpoints_of_other_trainings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "my training.ckpt"
    fit(to_module(small()), *DATA, QUICK, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"another training; different: epochs \(there 3, here 4\)") as caught:
        fit(to_module(small()), *DATA, replace(QUICK, epochs=4), checkpoint=path)
    assert str(caught.value.hint).endswith(f"rm '{path}'")
    with pytest.raises(InputError, match=r"different: initial model\n"):
        fit(to_module(small(seed=1)), *DATA, QUICK, checkpoint=path)
    with pytest.raises(InputError, match=r"different: training data\n"):
        fit(to_module(small()), patterns(96, seed=8), DATA[1], QUICK, checkpoint=path)
    with pytest.raises(InputError, match=r"different: teacher\n"):
        fit(to_module(small()), *DATA, QUICK, checkpoint=path, teacher=small())
    with pytest.raises(InputError, match=r"different: masks\n"):
        fit(to_module(small()), *DATA, QUICK, checkpoint=path, masks={"head5.bias": np.ones(3, bool)})
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other"])
def test_damaged_checkpoints_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "training.ckpt"
    fit(to_module(small()), *DATA, replace(QUICK, epochs=1), checkpoint=path)
    whole = path.read_bytes()
    if damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"epoch 3", "empty": b""}[damage])
    with pytest.raises(InputError, match="is damaged, or no checkpoint of a training"):
        fit(to_module(small()), *DATA, replace(QUICK, epochs=1), checkpoint=path)


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    told: list[Progress] = []
    with pytest.raises(InputError, match="is a folder, the name of a file was expected"):
        fit(to_module(small()), *DATA, QUICK, checkpoint=tmp_path, progress=told.append)
    assert not told
