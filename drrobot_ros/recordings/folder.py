"""Recordings that are a folder of files.

A folder holds images, one file of joint readings, and the camera's calibration:

    images/0.png 1.png ...     or image_0.png ... ; also rgb, color, frame
    depth/0.png 1.png ...      or depth_0.npy ...; 16 bit in mm, or floating point in m; optional
    masks/0.png 1.png ...      or mask_0.png ...; white where the robot is; optional
    joints.csv                 header: joint names, and optionally image and time_s; rad or m
    camera_info.yaml           of camera_calibration, or a printed CameraInfo

Instead of the CSV there may be joint_states_0.npy ... (as roboreg reads them).
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.recordings.camera_info import read_camera_frame, read_camera_info
from drrobot_ros.recordings.image_files import (
    COLOR,
    DEPTH,
    MASK,
    find_images,
    natural_order,
    read_depth,
    read_mask,
    read_rgb,
)
from drrobot_ros.recordings.readings import find_readings, read_array, read_readings
from drrobot_ros.recordings.recording import Frame, Planes, Recording

CALIBRATIONS = ("camera_info", "intrinsics", "calibration", "camera")


@dataclasses.dataclass(frozen=True)
class _Row:
    key: str
    stamp_s: float
    positions: dict[str, float]


def read_folder(
    folder: str | Path,
    *,
    camera_info: str | Path = "",
    joints_file: str | Path = "",
    joint_names: tuple[str, ...] = (),
    rectified: bool = False,
    lens: Lens | None = None,
) -> Recording:
    """Return the recording in a folder.

    Args:
        folder: laid out as above.
        camera_info: calibration file; "": looked for in the folder.
        joints_file: of joint readings; "": looked for.
        joint_names: of the model, for readings without names.
        rectified: whether the images are.
        lens: known intrinsics, instead of a calibration file.

    Raises:
        InputError: a file that is missing or cannot be read, counts that differ.
    """
    folder = Path(folder).expanduser()
    files = find_images(folder)
    rows = _rows(folder, joints_file, joint_names, files[COLOR])
    frame = ""
    if lens is None:
        info = Path(camera_info) if camera_info else _find_calibration(folder)
        lens, frame = read_camera_info(info, rectified=rectified), read_camera_frame(info)
    notes = [f"{len(rows)} images"]
    for kind in (DEPTH, MASK):
        have = sum(row.key in files[kind] for row in rows)
        if have:
            notes.append(f"{have} with {kind}")

    def read() -> Iterator[Frame]:
        for row in rows:
            paths = {kind: files[kind].get(row.key) for kind in files}

            def planes(paths: Mapping[str, Path | None] = paths) -> Planes:
                image, depth, mask = paths[COLOR], paths[DEPTH], paths[MASK]
                assert image is not None
                return Planes(
                    read_rgb(image),
                    None if depth is None else read_depth(depth),
                    None if mask is None else read_mask(mask),
                )

            name = files[COLOR][row.key].name
            yield Frame(name, row.stamp_s, row.positions, planes, lens)

    found = tuple(rows[0].positions)
    remarks = (", ".join(notes),)
    return Recording(str(folder), lens, found, len(rows), read, camera_frame=frame, notes=remarks)


def _find_calibration(folder: Path) -> Path:
    for name in CALIBRATIONS:
        for suffix in (".yaml", ".yml"):
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
    names = ", ".join(f"{name}.yaml" for name in CALIBRATIONS)
    raise InputError(
        f"no camera calibration in {folder}: looked for {names}; say where it is: --camera-info"
    )


def _rows(
    folder: Path, given: str | Path, joint_names: tuple[str, ...], images: dict[str, Path]
) -> list[_Row]:
    keys = natural_order(images)
    path = Path(given) if given else find_readings(folder)
    if path is None:
        arrays = {str(int(p.stem.split("_")[-1])): p for p in folder.glob("joint_states_*.npy")}
        if not arrays:
            raise InputError(
                f"no joint readings in {folder}: looked for joints.csv (joint*.csv, q*.csv) and "
                "joint_states_*.npy; say where they are: --joints-file"
            )
        _same(keys, arrays, "joint_states_*.npy")
        return [_Row(k, float(i), read_array(arrays[k], joint_names)) for i, k in enumerate(keys)]
    readings = read_readings(path, joint_names)
    if any(image for image, _, _ in readings):
        by_name = {p.name: k for k, p in images.items()} | {p.stem: k for k, p in images.items()}
        by_name |= {k: k for k in images}
        chosen = []
        for image, _, _ in readings:
            if image not in by_name:
                raise InputError(f"{path} names image {image!r}, which is not in {folder}")
            chosen.append(by_name[image])
    else:
        if len(readings) != len(keys):
            raise InputError(
                f"{path} has {len(readings)} rows, there are {len(keys)} images in {folder}; one "
                "row per image, or a column 'image' that names it"
            )
        chosen = keys
    rows = []
    for i, (key, (_, stamp, positions)) in enumerate(zip(chosen, readings, strict=True)):
        rows.append(_Row(key, float(i) if stamp is None else stamp, positions))
    if not rows:
        raise InputError(f"{path} has no rows")
    return rows


def _same(keys: list[str], others: dict[str, Path], what: str) -> None:
    lacking = [k for k in keys if k not in others]
    if lacking:
        raise InputError(f"no {what} for image {', '.join(lacking)}")
