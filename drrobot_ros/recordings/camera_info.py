"""Camera calibration files: of ROS's camera_calibration, of OpenCV, or a printed CameraInfo."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.lens import PLUMB_BOB, Lens, lens_from_ros

#: What distortion is called in files of ROS, and in those that OpenCV's examples write.
DISTORTIONS = ("distortion_coefficients", "dist_coeffs", "dist_coeff", "distcoeffs")


def read_camera_info(path: str | Path, *, rectified: bool = False) -> Lens:
    """Return the lens of a calibration file.

    Read are what camera_calibration writes (image_width, camera_matrix: data, ...) and what
    `ros2 topic echo --once` prints (width, k, d, p), what OpenCV's FileStorage writes, and plain
    numbers (width, height, fx, fy, cx, cy or ppx, ppy; also as JSON).

    Args:
        path: of the yaml file.
        rectified: whether it is wanted for rectified images, to which P belongs.

    Raises:
        InputError: it cannot be read; the message names what is missing.
    """
    values = _contents(path)
    try:
        return lens_from_mapping(values, rectified=rectified)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no camera calibration: it needs image_width, image_height and "
            f"camera_matrix: data, or width, height and k, or width, height, fx, fy, cx and cy; "
            f"{error} is missing"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def read_camera_frame(path: str | Path) -> str:
    """Return the name of the camera's optical frame that a printed CameraInfo holds, or ""."""
    values = _contents(path)
    if not isinstance(values, Mapping):
        return ""
    header = values.get("header")
    inside = header.get("frame_id") if isinstance(header, Mapping) else None
    return str(inside or values.get("frame_id") or "")


def _contents(path: str | Path) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads OpenCV's matrices as plain mappings."""

    def plain(loader: Any, _: str, node: Any) -> Any:
        return loader.construct_mapping(node, deep=True)

    yaml.add_multi_constructor("!!opencv", plain, Loader)
    yaml.add_multi_constructor("tag:yaml.org,2002:opencv", plain, Loader)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        if text.startswith("%YAML:"):  # OpenCV's own first line, which is no YAML
            text = text.partition("\n")[2]
        documents = [d for d in yaml.load_all(text, Loader) if d is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    return documents[0] if documents else None


def lens_from_mapping(values: Any, *, rectified: bool = False) -> Lens:
    """Return the lens of the contents of a calibration file; errors are Python's own."""
    if isinstance(values, Mapping) and "k" in {str(key).lower() for key in values}:
        return lens_from_message({str(key).lower(): v for key, v in values.items()}, rectified)
    values = {str(key).lower(): value for key, value in values.items()}
    if "fx" in values:
        return _lens_of_numbers(values)
    size = int(values["image_width"]), int(values["image_height"])
    K = np.array(_numbers(values["camera_matrix"]), np.float64).reshape(3, 3)
    called = next((name for name in DISTORTIONS if name in values), "")
    distortion = np.ravel(_numbers(values.get(called, []))).tolist()
    model = values.get("distortion_model", PLUMB_BOB)
    P = np.array(values.get("projection_matrix", {}).get("data", []), np.float64)
    return _lens(K, P, size, distortion, model, rectified)


def _numbers(value: Any) -> Any:
    """Return the numbers of a matrix, written as a list or with its size."""
    return value["data"] if isinstance(value, Mapping) else value


def _lens_of_numbers(values: Mapping[str, Any]) -> Lens:
    """Return the lens of fx, fy, cx, cy; as drivers without ROS print them."""
    x = values["ppx"] if "ppx" in values else values["cx"]
    y = values["ppy"] if "ppy" in values else values["cy"]
    K = [[values["fx"], 0, x], [0, values["fy"], y], [0, 0, 1]]
    size = int(values["width"]), int(values["height"])
    distortion = [float(d) for d in values.get("coeffs", values.get("distortion", []))]
    return lens_from_ros(np.array(K, np.float64), *size, distortion)


def lens_from_message(values: Mapping[str, Any], rectified: bool = False) -> Lens:
    """Return the lens of the fields of a CameraInfo; binning and region of interest applied."""
    K = np.array(values["k"], np.float64).reshape(3, 3)
    size = int(values["width"]), int(values["height"])
    P = np.array(values.get("p", []), np.float64)
    roi = values.get("roi") or {}
    x, y = int(roi.get("x_offset", 0)), int(roi.get("y_offset", 0))
    if int(roi.get("width", 0)) and int(roi.get("height", 0)):
        size = int(roi["width"]), int(roi["height"])
    bins = max(1, int(values.get("binning_x", 0))), max(1, int(values.get("binning_y", 0)))
    model = str(values.get("distortion_model", PLUMB_BOB))
    distortion = [float(d) for d in values.get("d", [])]
    lens = _lens(K, P, size, distortion, model, rectified, (x, y))
    if bins == (1, 1):
        return lens
    camera = lens.camera.resized(size[0] // bins[0], size[1] // bins[1])
    return Lens(camera, lens.distortion, lens.model)


def _lens(
    K: Any,
    P: Any,
    size: tuple[int, int],
    distortion: Any,
    model: str,
    rectified: bool,
    shift: tuple[int, int] = (0, 0),
) -> Lens:
    """Choose K with distortion, or P without."""
    if rectified:
        distortion = ()
        if P.size == 12 and P.reshape(3, 4)[0, 0] != 0:
            K = P.reshape(3, 4)[:, :3]
    K = np.array(K, np.float64)
    K[:2, 2] -= shift
    return lens_from_ros(K, *size, distortion, model)
