"""Is there a better place nearby? Single unknowns moved away from an estimate, and scored.

The silhouette a tracker compares with is made around its own estimate and tends to confirm it. The
mutual information of rendered parts and seen colours does not know the estimate: where a joint
turned by ten degrees or more explains the image better, the estimate is not to be believed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import Coordinates, camera_center, move_camera
from drrobot_ros.estimation.search import RegionScore

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

TURNS_RAD = (0.17, -0.17, 0.44, -0.44)
CAMERA_TURNS_RAD = (0.08, -0.08, 0.2, -0.2)


def margin(
    score: RegionScore,
    coordinates: Coordinates,
    limits: tuple[Vector, Vector],
    q: Vector,
    T: Matrix,
    joints: NDArray[np.bool_],
    camera: bool,
    turns: Sequence[float] = TURNS_RAD,
) -> float:
    """Return by how much an estimate beats its best neighbour, relative to its score; below 0 not.

    Neighbours that a joint limit keeps near are left out.

    Args:
        score: of the image.
        coordinates: how velocities move q.
        limits: joint limits, lower and upper [nq].
        q: joint positions of the estimate [nq].
        T: camera pose of the estimate [4,4].
        joints: which velocities are looked for [nv].
        camera: whether the camera pose is looked for.
        turns: how far a joint is moved.
    """
    qs, poses = [q], [T]
    for j in np.flatnonzero(joints):
        for turn in turns:
            step = np.zeros(coordinates.nv)
            step[j] = turn
            moved = np.clip(coordinates.integrate(q, step), *limits)
            if np.abs(coordinates.difference(q, moved)[j]) > 0.9 * abs(turn):
                qs.append(moved)
                poses.append(T)
    if camera:
        center = camera_center(T)
        distance = float(np.linalg.norm(center))
        for axis in range(6):
            for turn in CAMERA_TURNS_RAD:
                twist = np.zeros(6)
                twist[axis] = turn * (distance if axis < 3 else 1.0)
                qs.append(q)
                poses.append(move_camera(T, twist, center))
    if len(qs) == 1:
        return 1.0
    scores = score(np.stack(qs), np.stack(poses))
    if scores[0] <= 0:
        return -1.0
    return float((scores[0] - scores[1:].max()) / scores[0])
