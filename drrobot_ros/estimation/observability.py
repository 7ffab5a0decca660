"""What the images of a moment do not tell, in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import Coordinates, camera_center
from drrobot_ros.estimation.problem import Solution

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

UNSEEN_RAD = 0.35  # a joint alone known no better: it moves nothing that is seen
WEAK_RAD = 0.09  # about five degrees
SHARE = 0.3  # of a weak direction, from which on an unknown is named
AXES = ("to its right", "downward", "along its optical axis")
TURNS = ("nodding", "panning", "rolling")


def unobserved(
    solution: Solution, inflation: float, joints: Sequence[str], cameras: Sequence[str]
) -> tuple[str, ...]:
    """Return sentences about the directions that the images hardly show; none if all are seen.

    Args:
        solution: what the solver found; its images' information counts, not its priors.
        inflation: variance of the errors over that of the information's inverse.
        joints: name of each velocity coordinate [nv].
        cameras: name of each camera of the problem.
    """
    H = solution.informations[0] / inflation
    names, scale = _unknowns(solution, joints, cameras)
    if not names:
        return ()
    H = H * np.outer(scale, scale)
    alone = 1.0 / np.sqrt(np.maximum(np.diag(H), 1e-12))
    said = [f"{names[i]} moves nothing that is seen" for i in np.flatnonzero(alone > UNSEEN_RAD)]
    seen = np.flatnonzero(alone <= UNSEEN_RAD)
    values, vectors = np.linalg.eigh(H[np.ix_(seen, seen)])
    for value, vector in zip(values, vectors.T, strict=True):
        sigma = 1.0 / np.sqrt(max(float(value), 1e-12))
        if sigma < WEAK_RAD:
            continue
        who = [names[seen[i]] for i in np.argsort(-np.abs(vector)) if abs(vector[i]) > SHARE]
        if len(who) == 1:
            said.append(f"{who[0]} is barely seen")
        else:
            said.append(f"{', '.join(who[:-1])} and {who[-1]} are hardly told apart")
    return tuple(said)


def _unknowns(
    solution: Solution, joints: Sequence[str], cameras: Sequence[str]
) -> tuple[list[str], Vector]:
    """Return the name of each column, and what a unit of it is in rad as seen from the camera."""
    layout = solution.layout
    names, scale = [""] * layout.count, np.ones(layout.count)
    for joint, column in zip(joints, layout.offset, strict=True):
        if column >= 0:
            names[column] = f"joint {joint!r}"
    for name, first, T in zip(cameras, layout.camera, solution.state.T_cameras, strict=True):
        if first < 0:
            continue
        # A shift by its distance counts like a turn by one radian.
        distance = max(float(np.linalg.norm(camera_center(T))), 0.1)
        for k in range(3):
            names[first + k] = f"camera {name!r} moving {AXES[k]}"
            names[first + 3 + k] = f"camera {name!r} {TURNS[k]} about the robot"
            scale[first + k] = distance
    return names, scale


def velocity_names(model: Any, coordinates: Coordinates) -> list[str]:
    """Return a name for each velocity coordinate: that of its joint."""
    names = [""] * coordinates.nv
    for name in model.joint_names:
        k = model.joint_q_index(name)
        for j in np.flatnonzero(coordinates.v_to_q == k):
            names[j] = name
    for k, first in coordinates.quaternions:
        owner = next((n for n in model.joint_names if model.joint_q_index(n) == k), "")
        names[first : first + 3] = [owner] * 3
    return names
