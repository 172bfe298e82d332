"""Classify images with a model, on this computer or on a device.

IMAGE is an image file, a folder (all images below it), or a .npy/.npz with an array `images`. Image files are brought
to the model's size. All backends give the same bytes: numpy (reference), c (fast), emulator (the board's firmware), or
a board behind a serial port. With --frame, IMAGE is a file with the raw bytes of a camera; a device converts them to
the model's input itself (docs/camera.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino_tools.inference import Answer


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file (.oxm, or .onnx to convert on the fly)")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image file, folder, .npy or .npz")
    parser.add_argument(
        "--backend", default="numpy", metavar="B", help="numpy (default), c, emulator, or a serial port"
    )
    parser.add_argument("--top", type=arguments.positive, default=3, metavar="N", help="classes to show (default: 3)")
    camera = parser.add_argument_group("camera")
    camera.add_argument(
        "--frame",
        metavar="FORMAT:WxH",
        help="IMAGE holds a camera's raw frame: grey, rgb565be, rgb565le or yuyv, for example rgb565be:160x120",
    )
    camera.add_argument(
        "--fit",
        choices=["crop", "stretch"],
        default="crop",
        help="of a frame: its largest centred part, or all of it distorted (default: crop)",
    )
    arguments.add_resize(parser)
    arguments.add_preprocessing(parser)
    arguments.add_save(parser, "inputs, outputs and predictions")
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    options = arguments.pixel_options(args)
    arguments.check_save(args)
    from onnxino import InferenceSession
    from onnxino.pixels import PixelOptions
    from onnxino_tools.inference import FrameKind, classify, classify_frames, save
    from onnxino_tools.models import read_model

    kind = None if args.frame is None else FrameKind.parse(args.frame, args.fit)
    if kind is not None and options != PixelOptions():
        raise arguments.UsageError(
            "a frame becomes the input as the model's metadata says, not by --scale, --mean, --std or --layout",
            "give them to onnxino convert, which writes them into the model",
        )
    content = read_model(args.model, args.images)
    with InferenceSession(content, backend=args.backend) as session:
        if kind is None:
            answers = classify(session, args.images, options, args.resize)
        else:
            answers = classify_frames(session, args.images, kind)
        if args.save is not None:
            save(args.save, session, answers)
    if args.json:
        ui.out_json({"images": [_as_json(answer, args.top) for answer in answers]})
        return 0
    width = max(len(answer.name) for answer in answers)
    for answer in answers:
        best = "   ".join(f"{name} {value:.3f}" for name, value in answer.top(args.top))
        ui.out(f"{answer.name:{width}}  {best}")
    return 0


def _as_json(answer: Answer, top: int) -> dict[str, object]:
    best = [{"class": name, "value": value} for name, value in answer.top(top)]
    return {
        "image": answer.name,
        "prediction": answer.prediction,
        "class": best[0]["class"],
        "top": best,
        "cycles": answer.cycles,
    }
