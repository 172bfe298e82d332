"""fit(): it learns, distils, matches features, keeps masks, averages weights, and follows its schedule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import InputError  # noqa: E402
from onnxino_tools.train import Progress, Training, evaluate, fit, to_module  # noqa: E402
from onnxino_tools.train.losses import soft_loss  # noqa: E402
from tests.train.networks import Net, classifier, content, digits, initializers, onnxruntime_of, patterns, small  # noqa: E402

QUICK = Training(epochs=3, batch=16, learning_rate=0.02, seed=5)
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


def test_without_validation_data_the_last_weights_stay() -> None:
    module = to_module(small())
    history = fit(module, DATA[0], None, QUICK)
    assert history.best_epoch == 3
    assert history.best.validation_accuracy is None
    assert evaluate(module, DATA[1]).accuracy > 0.9


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_training_that_finds_nothing_better_gives_back_what_it_was_given(ema: float, tmp_path: Path) -> None:
    module = to_module(small())
    fit(module, *DATA, replace(QUICK, epochs=6))
    given, start = content(module), evaluate(module, DATA[1])
    settings = replace(QUICK, learning_rate=5.0, schedule="constant", ema=ema, epochs=2)  # destroys it
    for _ in range(2):  # and from the checkpoint of the finished training
        module = to_module(module.to_onnx())
        history = fit(module, *DATA, settings, checkpoint=tmp_path / "training.ckpt")
        assert content(module) == given
        assert history.best_epoch == history.best.number == 0
        assert history.start is history.best
        assert history.best.validation_accuracy == start.accuracy
        assert history.best.validation_loss == start.loss
        assert all((epoch.validation_accuracy or 0) < start.accuracy for epoch in history.epochs)


def test_the_start_is_a_candidate_with_its_masks() -> None:
    model = small()
    module, mask = to_module(model), np.zeros(initializers(model)["head5.weight"].shape, bool)
    fit(module, *DATA, replace(QUICK, epochs=1, learning_rate=1e-12), masks={"head5.weight": mask})
    assert not initializers(module.to_onnx())["head5.weight"].any()


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
