"""Stream a data set to a board over its serial port and prove what it computes.

Each image goes to the device, its output bytes come back and are compared with the NumPy reference. Ends with accuracy,
confusion matrix, latency, bytes that differ and link errors; exit code 1 when a byte differs. The model is loaded into
the device first where it holds another one. A board that is unplugged or reset goes on where it was when it is back.
When it stays away or Ctrl-C or SIGTERM comes, the images done are reported and saved.

PORT is a serial port (/dev/ttyACM0, COM3), a URL of pyserial (socket://127.0.0.1:5331), or `emulator`; without it, the
only board that is connected by USB.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import InputError, LinkError
from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino_tools.connection import Connection
    from onnxino_tools.evaluate import Evaluation, Evaluator
    from onnxino_tools.link import DeviceLink


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--port", metavar="PORT", help="serial port, URL of pyserial, or emulator (default: the only board connected)"
    )
    parser.add_argument(
        "--model", required=True, metavar="M.oxm", help="model file (.oxm, or .onnx to convert on the fly)"
    )
    arguments.add_data(parser)
    arguments.add_preprocessing(parser)
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--check-every",
        type=arguments.positive,
        default=0,
        metavar="N",
        help="compare every operator's output with the reference, by checksum, for one image in N",
    )
    group.add_argument(
        "--repeat",
        type=arguments.positive,
        default=1,
        metavar="N",
        help="run each image N times: equal bytes each time",
    )
    parser.add_argument("--layers", action="store_true", help="show the CPU cycles of each operator")
    parser.add_argument(
        "--reconnect",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds that the board may be away (default: 10; 0: it may not go)",
    )
    arguments.add_save(parser, "inputs, outputs, predictions and latency of each image")
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    options = arguments.pixel_options(args)
    arguments.check_save(args)
    from onnxino import InferenceSession
    from onnxino_tools.data.inputs import check_single, evaluated_split, image_feed
    from onnxino_tools.devices import connect
    from onnxino_tools.evaluate import Evaluator, Options
    from onnxino_tools.models import read_model

    content = read_model(args.model)
    with InferenceSession(content) as session:
        check_single(session.model)
        split = evaluated_split(args.data, args.split)
        data, feed, text = image_feed(
            session.model, args.data, options, split=split, limit=args.limit, resize=args.resize
        )
        ui.talk(f"input: {text}")
        evaluator = Evaluator(session, data, feed, Options(args.check_every, args.repeat))
        with connect(args.port, args.reconnect) as connection:
            ui.talk(f"device: {load_if_needed(connection.link, content)}")
            connection.model = content
            return measure(connection, evaluator, save=args.save, as_json=args.json, layers=args.layers)


def load_if_needed(link: DeviceLink, content: bytes) -> str:
    """Loads the model file unless the device holds exactly this one; says what happened."""
    if link.has_model(content):
        return "holds this model already"
    with ui.Progress(len(content), "bytes", "load") as bar:
        link.load_model(content, lambda done, _: bar.update(done))
    return f"{ui.size(len(content))} of model went over the serial port into flash, verified by the firmware"


def measure(
    device: DeviceLink | Connection, evaluator: Evaluator, *, save: str | None, as_json: bool, layers: bool = False
) -> int:
    """Streams all images, reports and saves; returns the exit code.

    What is done when the link breaks or a signal (Ctrl-C, SIGTERM, SIGHUP) comes is saved and reported before the error
    goes on.
    """
    from onnxino_tools.connection import Connection
    from onnxino_tools.interrupt import Interrupt

    emulated = is_emulated(device.link if isinstance(device, Connection) else device)
    failure: BaseException | None = None
    result = evaluator.result
    with Interrupt() as interrupt:
        try:
            with ui.Progress(len(evaluator.data), "images") as bar:

                def progress(done: int) -> None:
                    bar.update(done)
                    interrupt.check()

                evaluator.run(device, progress)
        except (LinkError, KeyboardInterrupt) as e:
            failure = e
        # Before the report: where the terminal was closed, stdout fails.
        if save is not None:
            from onnxino_tools.evaluate import save as save_arrays

            try:
                save_arrays(Path(save), evaluator.session, result)
                ui.talk(f"saved: {ui.counted(result.images, 'image')} in {save}")
            except InputError as e:  # the report is still worth seeing
                failure = failure or e
    if as_json:
        ui.out_json(result.as_json())
    else:
        for line in [*report(result, emulated), *(layer_table(result) if layers else [])]:
            ui.out(line)
    if result.images < result.total:
        ui.talk(f"{result.images:,} of {result.total:,} images were done before it broke off")
    if failure is not None:
        raise failure
    return 0 if result.ok else _say_what_differs(result)


def _say_what_differs(result: Evaluation) -> int:
    if result.layers_different:
        ui.error(
            f"operator {result.first_different} gives other bytes than the reference", "onnxino verify compares all"
        )
    if result.repeats_different:
        ui.error(f"{ui.counted(result.repeats_different, 'repetition')} gave other bytes than the first run")
    if result.bytes_different:
        hint = "--check-every 1 and onnxino verify find the first operator that differs"
        ui.error(f"{result.bytes_different:,} output bytes differ from the reference", hint)
    return 1


def is_emulated(link: DeviceLink) -> bool:
    """Whether the device is the emulator, in whatever process: its chip has a made-up number."""
    from onnxino_tools.emulator.machine import DEVICE_ID

    return link.hello().device_id == f"{DEVICE_ID:016X}"


def report(result: Evaluation, emulated: bool) -> list[str]:
    """The result for people."""
    rows: list[tuple[str, str]] = [("images", f"{result.images:,}")]
    if result.correct is not None and result.images:
        share = result.correct / result.images
        rows.append(("accuracy", f"{share:.2%} ({result.correct:,} of {result.images:,})"))
    rows.append(("bytes compared", f"{result.bytes_compared:,} with the NumPy reference"))
    rows.append(("bytes different", f"{result.bytes_different:,}"))
    median, p95 = result.latency_ms(50), result.latency_ms(95)
    if median is not None and p95 is not None:
        source = "estimated by the emulator at 64 MHz" if emulated else "measured by the device"
        rows.append(("latency", f"{median:.2f} ms median, {p95:.2f} ms 95th percentile ({source})"))
    if result.layers_compared:
        rows.append(
            ("operators", f"{result.layers_compared:,} outputs compared, {result.layers_different:,} different")
        )
    if result.repeats:
        rows.append(("repetitions", f"{result.repeats:,}, {result.repeats_different:,} different"))
    rows.append(("link errors", f"{result.link_errors:,} recovered"))
    if result.reconnects:
        text = f"{ui.counted(result.reconnects, 'time')}, {result.longest_reconnect:.1f} s at most"
        rows.append(("reconnected", text))
    lines = ui.table(rows)
    confusion = result.confusion()
    if confusion is not None and len(confusion) <= 20:
        known = result.classes or []
        names = known + [str(i) for i in range(len(known), len(confusion))]
        lines += ["", "  confusion matrix (row: label, column: prediction)", *matrix(confusion, names)]
    return lines


def layer_table(result: Evaluation) -> list[str]:
    """CPU cycles of each operator, of one image."""
    profile = result.profile or []
    total = max(sum(profile), 1)
    rows = [
        (str(i), f"{cycles:,}", f"{cycles / total:.1%}", name)
        for i, (cycles, name) in enumerate(zip(profile, result.layers, strict=False))
    ]
    return ["", *ui.table([("", "cycles", "share", "operator"), *rows], right=range(3))]


def matrix(confusion: list[list[int]], classes: list[str]) -> list[str]:
    """Aligned rows with the class names; zeros as dots, so that mistakes stand out."""
    names = [c if len(c) <= 12 else c[:11] + "." for c in classes]
    head = ["", *names]
    rows = [[name, *(str(n) if n else "." for n in row)] for name, row in zip(names, confusion, strict=True)]
    return ui.table([head, *rows], right=range(1, len(head)))
