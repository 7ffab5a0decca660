"""All files that a calibration leaves behind."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.estimation.calibration.files import pictures
from drrobot_ros.estimation.calibration.files.document import (
    document_of,
    label_of,
    offsets_of,
    table_of,
)
from drrobot_ros.estimation.calibration.files.transforms import (
    CameraFrames,
    FrameNames,
    launch_file,
)
from drrobot_ros.estimation.calibration.files.views import draw, views_of
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.media import write_image

DOCUMENT, LAUNCH = "calibration.yaml", "camera_tf.launch.xml"
OFFSETS_FILE = "joint_offsets.yaml"
SHEET, RESIDUALS, OFFSETS = "keyframes.png", "residuals.png", "joint_offsets.png"
HEAD = (
    "# Calibration of a robot and its camera. Lengths in m, angles in rad, quaternions xyzw.\n"
    "# transforms: child coordinates to parent coordinates. joint_offsets: true = reading + "
    "offset.\n"
)
OFFSETS_HEAD = "# rad or m, to be added to the joints' readings, as robot_calibration has them.\n"


@dataclasses.dataclass(frozen=True)
class CalibrationFiles:
    """What was written.

    Attributes:
        files: in the order of importance.
        lines: the result as a table for people.
        remarks: what could not be written, and why.
    """

    files: tuple[Path, ...]
    lines: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def write_calibration(
    result: Any,
    model: Any,
    gaussians: Any,
    observations: Sequence[Observation | Sequence[Observation]],
    folder: str | Path,
    *,
    frames: Mapping[str, FrameNames] | None = None,
    source: str | Path = "",
    package_paths: Sequence[str | Path] = (),
    names: Sequence[str] = (),
) -> CalibrationFiles:
    """Write calibration.yaml, joint_offsets.yaml, a launch file, a corrected description, pictures.

    A failed calibration leaves calibration.yaml and the pictures only: nothing to be launched.

    Args:
        result: of `calibrate`.
        model: the robot.
        gaussians: its splats, for the pictures.
        observations: as given to `calibrate`.
        folder: made if it is not there.
        frames: names of the cameras' frames by camera; by default ``<camera>_optical_frame``.
        source: the robot's description (path or text), to be written with the joint offsets; "":
            no corrected description.
        package_paths: as for `RobotModel.load`.
        names: of the keyframes; by default their numbers.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    cameras = _frames(result, model, frames or {})
    views = views_of(model, result, observations, names)
    document = document_of(result, model, cameras, views)
    files = [_write_document(document, folder / DOCUMENT, HEAD)]
    remarks: list[str] = []
    if result.verdict.value != "failed":
        launch = folder / LAUNCH
        launch.write_text(launch_file(list(cameras.values())))
        files.append(launch)
        if result.joint_names:
            offsets = offsets_of(result, model)
            files.append(_write_document(offsets, folder / OFFSETS_FILE, OFFSETS_HEAD))
        if source and result.joint_names:
            files += _write_description(result, model, source, folder, package_paths, remarks)
    images = [draw(model, gaussians, view) for view in views]
    for view, image in zip(views, images, strict=True):
        path = folder / "overlays" / f"{file_stem(view.name)}.png"
        write_image(path, image)
    if views:
        captions = [
            f"{v.name}   error {100 * v.result.residual:.1f} %"
            + (", left out" if v.result.rejected else "")
            for v in views
        ]
        used = [not v.result.rejected for v in views]
        title = f"{model.name}: {result.verdict.value}"
        write_image(folder / SHEET, pictures.contact_sheet(images, captions, used, title))
        residuals = np.array([v.result.residual for v in views])
        before = np.array([v.result.residual_before for v in views])
        pictures.residual_plot(folder / RESIDUALS, before, residuals, used, [v.name for v in views])
        files += [folder / SHEET, folder / RESIDUALS, folder / "overlays"]
    if result.joint_names:
        rows = [model.joint_v_index(n) for n in result.joint_names]
        offsets, std = result.offsets[rows], result.offset_std[rows]
        pictures.offset_plot(folder / OFFSETS, result.joint_names, offsets, std)
        files.append(folder / OFFSETS)
    return CalibrationFiles(
        tuple(files), tuple(table_of(result, model, cameras, views)), tuple(remarks)
    )


def file_stem(name: str) -> str:
    """Return a keyframe's name as that of a file."""
    stem = Path(name).stem if Path(name).suffix.lower() in (".png", ".jpg", ".jpeg") else name
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem).strip("_")


def _frames(result: Any, model: Any, names: Mapping[str, FrameNames]) -> dict[str, CameraFrames]:
    found = {}
    for name, camera in result.cameras.items():
        own = names.get(name) or FrameNames(f"{label_of(name)}_optical_frame")
        found[name] = CameraFrames(camera.link or model.base_link, own, np.asarray(camera.T))
    return found


def _write_document(values: Mapping[str, Any], path: Path, head: str) -> Path:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Numbers on one line, words on lines of their own."""

    def of_list(dumper: yaml.SafeDumper, items: list[Any]) -> Any:
        flow = all(isinstance(item, float) for item in items)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)

    def of_float(dumper: yaml.SafeDumper, value: float) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:float", yaml_float(value))

    Dumper.add_representer(list, of_list)
    Dumper.add_representer(float, of_float)
    path.write_text(head + yaml.dump(dict(values), Dumper=Dumper, sort_keys=False, width=1000))
    return path


def yaml_float(value: float) -> str:
    """Return a number in nine digits as YAML 1.1 reads it: with a point, also before an e."""
    if not np.isfinite(value):
        return ".nan" if np.isnan(value) else ".inf" if value > 0 else "-.inf"
    mantissa, e, exponent = f"{value:.9g}".partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + e + exponent


def _write_description(
    result: Any,
    model: Any,
    source: str | Path,
    folder: Path,
    package_paths: Sequence[str | Path],
    remarks: list[str],
) -> list[Path]:
    from drrobot_ros.errors import InputError
    from drrobot_ros.robot.joint_offsets import write_joint_offsets

    try:
        return [write_joint_offsets(model, result.offsets, source, folder, package_paths)]
    except InputError as error:
        remarks.append(f"no corrected description was written: {error}")
        return []
