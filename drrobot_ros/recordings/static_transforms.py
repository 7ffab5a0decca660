"""Fixed frames of a robot: what /tf_static says of where the camera is."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Transforms = Mapping[tuple[str, str], Matrix]


def matrix_of(translation: tuple[float, ...], xyzw: tuple[float, ...]) -> Matrix | None:
    """Return T [4,4] of a translation and a quaternion in ROS order; None if it is no rotation."""
    from scipy.spatial.transform import Rotation

    numbers = np.array([*translation, *xyzw], np.float64)
    if not np.isfinite(numbers).all() or np.linalg.norm(numbers[3:]) < 1e-6:
        return None
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(numbers[3:]).as_matrix()
    T[:3, 3] = numbers[:3]
    return T


def find_transform(transforms: Transforms, target: str, source: str) -> Matrix | None:
    """Return T_target_source by the fixed transforms alone; None where they do not connect.

    Args:
        transforms: (parent, child) -> T_parent_child.
        target: frame that coordinates are wanted in.
        source: frame they are given in.
    """
    if target == source:
        return np.eye(4)
    seen, ends = {target}, [(target, np.eye(4))]
    while ends:
        frame, T = ends.pop()
        for (parent, child), step in transforms.items():
            for here, there, move in ((parent, child, step), (child, parent, None)):
                if here != frame or there in seen:
                    continue
                T_there = T @ (np.linalg.inv(step) if move is None else move)
                if there == source:
                    return T_there
                seen.add(there)
                ends.append((there, T_there))
    return None


def body_frame(transforms: Transforms, optical: str, others: Iterable[str] = ()) -> str:
    """Return the frame of the camera's body that its driver hangs the optical frame from.

    That is the nearest frame above called ``*_link``, else the topmost; "" where there is none.

    Args:
        transforms: as above.
        optical: the camera's optical frame.
        others: frames that are no camera's, such as the robot's links; the way up ends there.
    """
    parents = {child: parent for parent, child in transforms}
    stop, above, frame = set(others), [], optical
    while frame in parents and parents[frame] not in stop:
        frame = parents[frame]
        stop.add(frame)
        above.append(frame)
    named = [f for f in above if f.endswith("_link")]
    return named[0] if named else (above[-1] if above else "")
