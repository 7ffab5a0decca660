"""Which joint's offset images cannot tell from a turn of the camera."""

from typing import Any

import numpy as np


def camera_like_joint(model: Any, camera_link: str | None = None) -> str | None:
    """Return the joint whose offset does to the images what a turn of the camera does; None: none.

    Of cameras that stand still it is the joint that moves all other links: turning it and all
    cameras about its axis changes nothing but the base. Of a camera on a link it is the last joint
    before that link. Hold its offset where the camera's pose is looked for too.

    Args:
        model: the robot.
        camera_link: the link that carries the camera; None: it stands still.
    """
    tree = model.tree
    moved_by, moving = tree.ancestors(), tree.q_index >= 0
    if camera_link is None:
        rows = np.flatnonzero(moving & moved_by[moving].all(axis=0))[:1]
    else:
        rows = np.flatnonzero(moving & moved_by[model.link_index(camera_link)])[-1:]
    names = [tree.joint_names[row] for row in rows]
    return names[0] if names and names[0] in model.joint_names else None
