"""Whether an object that is lifted straight up meets its neighbours."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from drrobot_ros.grasping import surface
from drrobot_ros.grasping.scene import GraspObject, GraspScene

Floats = NDArray[np.float64]

_STEP_M = 0.005
_DEEPER_M = 0.003  # what touches before may seem to overlap: only what gets deeper counts
_POINTS = 600


def met_when_lifted(scene: GraspScene, target: GraspObject, lift_m: float) -> str:
    """Return the name of a neighbour that an object meets on its way up, or an empty string.

    Points on the object's surface are moved along the support's normal, and looked for inside of
    the neighbours' convex pieces.

    Args:
        scene: what is there.
        target: one of its objects; it is lifted and does not turn.
        lift_m: how far.
    """
    rng = np.random.default_rng(0)
    points = surface.sample(target.base_vertices, np.asarray(target.faces), _POINTS, rng)[0]
    heights = np.arange(0.0, lift_m + 1e-9, _STEP_M)
    for thing in scene.objects:
        if thing is target:
            continue
        for piece in thing.pieces:
            T = thing.T_base_object
            corners = np.asarray(piece, np.float64) @ T[:3, :3].T + T[:3, 3]
            try:
                planes = ConvexHull(corners).equations
            except (QhullError, ValueError):  # flat: nothing can be inside of it
                continue
            outside = points @ planes[:, :3].T + planes[:, 3]  # [P, F]
            rise = planes[:, :3] @ scene.normal
            start = np.maximum(-outside.max(1), 0.0)
            for height in heights:
                depth = -(outside + height * rise).max(1)
                if (depth > start + _DEEPER_M).any():
                    return thing.name
    return ""
