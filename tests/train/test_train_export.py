"""PyTorch modules as ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import ConvertError, InputError  # noqa: E402
from onnxino_tools.train import from_module, to_module  # noqa: E402
from tests.train.networks import classifier, initializers, onnxruntime_of  # noqa: E402


def _sequential() -> Any:
    torch.manual_seed(3)
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Hardswish(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8, 5),
    )


def test_from_module() -> None:
    module = _sequential().train()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    model = from_module(module, (1, 3, 12, 12))
    assert module.training
    assert module[1].training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    onnx.checker.check_model(model, full_check=True)
    assert [port.name for port in (*model.graph.input, *model.graph.output)] == ["image", "logits"]
    assert [node.op_type for node in model.graph.node].count("BatchNormalization") == 2
    assert "Identity" not in [node.op_type for node in model.graph.node]
    assert set(initializers(model)) >= set(state) - {"1.num_batches_tracked", "4.num_batches_tracked"}
    images = torch.randn(4, 3, 12, 12)
    with torch.no_grad():
        expected = module.eval()(images).numpy()
        np.testing.assert_allclose(to_module(model)(images).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(onnxruntime_of(model, images.numpy()), expected, atol=1e-5)


def test_from_module_takes_views_of_open_batches() -> None:
    class Viewing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 2, 3)
            self.head = torch.nn.Linear(72, 3)

        def forward(self, image: Any) -> Any:
            value = torch.relu(self.conv(image))
            return self.head(value.view(value.size(0), -1))

    module = Viewing().eval()
    images = torch.randn(3, 1, 8, 8)
    model = from_module(module, (1, 1, 8, 8))
    np.testing.assert_allclose(
        onnxruntime_of(model, images.numpy()), to_module(model)(images).detach().numpy(), atol=1e-5
    )
    np.testing.assert_allclose(onnxruntime_of(model, images.numpy()), module(images).detach().numpy(), atol=1e-5)


def test_from_module_of_an_imported_one() -> None:
    model = classifier()
    assert from_module(to_module(model), (1, 1, 28, 28)).SerializeToString() == model.SerializeToString()


def test_from_module_mistakes(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"does not take an input of \[1, 4, 12, 12\]") as caught:
        from_module(_sequential(), (1, 4, 12, 12))
    assert "(1, 3, 64, 64)" in str(caught.value.hint)
    with pytest.raises(InputError, match=r"the example's shape is \[3\]"):
        from_module(_sequential(), (3,))
    with pytest.raises(ConvertError, match=r"cannot export the module to ONNX: .*adaptive_avg_pool2d"):
        from_module(torch.nn.AdaptiveAvgPool2d(3), (1, 1, 8, 8))

    class Two(torch.nn.Module):
        def forward(self, image: Any) -> Any:
            return image, image

    with pytest.raises(ConvertError, match="gives a tuple; a classifier gives one tensor"):
        from_module(Two(), (1, 1, 8, 8))
    assert capfd.readouterr().out == ""
