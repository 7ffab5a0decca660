"""What is refused before anything is computed."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.scene.types import Floats, SceneInput

#: A box covers at least so many pixels, and so much of it is inside the image.
MIN_BOX_PX = 4
_MIN_INSIDE = 0.25
_SAME_BOX_IOU = 0.85


def checked(given: SceneInput, max_depth_m: float) -> tuple[NDArray[np.float32], Floats, list[str]]:
    """Return depth [H, W] m with 0 where unknown, boxes [N, 4] cut to the image, and names.

    Raises:
        InputError: sizes that do not fit together, depth that is empty or not in metres, boxes
            that are empty, outside the image or twice the same, names that are not as many.
    """
    camera = given.camera
    shape = (camera.height, camera.width)
    color = np.asarray(given.color)
    if color.dtype != np.uint8 or color.shape != (*shape, 3):
        raise InputError(
            f"color must be uint8 [{shape[0]}, {shape[1]}, 3] as the camera says, "
            f"got {color.dtype} {list(color.shape)}"
        )
    depth = checked_depth(np.asarray(given.depth_m), shape, max_depth_m)
    boxes = _checked_boxes(np.asarray(given.boxes, np.float64), camera.width, camera.height)
    names = list(given.names) or [f"object_{i}" for i in range(len(boxes))]
    if len(names) != len(boxes):
        raise InputError(f"there are {len(boxes)} boxes and {len(names)} names")
    if given.masks is not None and np.shape(given.masks) != (len(boxes), *shape):
        raise InputError(
            f"masks must be [{len(boxes)}, {shape[0]}, {shape[1]}], got "
            f"{list(np.shape(given.masks))}"
        )
    if given.T_base_camera is not None:
        T = np.asarray(given.T_base_camera, np.float64)
        turn = T[:3, :3] if T.shape == (4, 4) else np.zeros((3, 3))
        if not np.isfinite(T).all() or np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3:
            raise InputError(f"T_base_camera must be a rigid transform [4, 4], got {T.tolist()}")
    elif given.robot is not None:
        raise InputError("a robot can be drawn only with T_base_camera")
    return depth, boxes, unique_names(names)


def checked_depth(
    depth: NDArray, shape: tuple[int, int], max_depth_m: float
) -> NDArray[np.float32]:
    """Return depth [H, W] in m, 0 where it is unknown or too far.

    Raises:
        InputError: it is not in metres, all unknown, or of another size.
    """
    if depth.shape != shape:
        raise InputError(f"depth_m must be {list(shape)}, got {list(depth.shape)}")
    if not np.issubdtype(depth.dtype, np.floating):
        raise InputError(
            f"depth_m must be floating point metres, got {depth.dtype}: divide by its scale"
        )
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        raise InputError("the depth image is empty: every pixel is 0 or not finite")
    middle = float(np.median(depth[known]))
    if middle > 30:
        raise InputError(f"the median depth is {middle:.4g}: millimetres? depth_m is in metres")
    if middle < 0.02:
        raise InputError(f"the median depth is {middle:.4g} m: nearer than any camera can see")
    if not (known & (depth <= max_depth_m)).any():
        raise InputError(f"nothing is nearer than max_depth_m = {max_depth_m:g} m")
    return np.where(known & (depth <= max_depth_m), depth, 0).astype(np.float32)


def _checked_boxes(boxes: Floats, width: int, height: int) -> Floats:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or len(boxes) == 0:
        raise InputError(f"boxes must be [N, 4] with N >= 1, got {list(boxes.shape)}")
    if not np.isfinite(boxes).all():
        raise InputError(f"boxes must be finite, got {boxes.tolist()}")
    cut = np.clip(boxes, 0, [width, height, width, height])
    for i, (box, inside) in enumerate(zip(boxes, cut, strict=True)):
        text = f"box {i} ({', '.join(f'{v:g}' for v in box)})"
        size, left = box[2:] - box[:2], inside[2:] - inside[:2]
        if (size <= 0).any():
            raise InputError(f"{text} is empty; it must be x1 < x2, y1 < y2")
        if left.prod() < _MIN_INSIDE * size.prod():
            raise InputError(f"{text} is outside the image of {width}x{height} px")
        if (left < MIN_BOX_PX).any():
            raise InputError(f"{text} is smaller than {MIN_BOX_PX} px")
        for j in range(i):
            if _iou(inside, cut[j]) > _SAME_BOX_IOU:
                raise InputError(f"boxes {j} and {i} are on the same object")
    return cut


def _iou(a: Floats, b: Floats) -> float:
    common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common))


def unique_names(names: list[str]) -> list[str]:
    """Return the names with a number behind those that come again."""
    out: list[str] = []
    for name in names:
        number, unique = 2, name or "object"
        while unique in out:
            unique, number = f"{name or 'object'}_{number}", number + 1
        out.append(unique)
    return out
