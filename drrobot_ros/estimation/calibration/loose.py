"""A robot whose links sit loosely in their frames: meshes are never quite the robot.

Where a link is drawn is off by some millimetres, in every image otherwise: the mesh is not the
link, gears give, masks cut corners. All pixels of a link are off together, so no number of them
makes up for it. Each link's splats hang on three sliding joints of their own, whose positions in
every image the solver finds beside the joints' and eliminates: a link then tells where the robot is
only as well as it is drawn itself, and the covariance knows.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.robot.tree import JointType

AXES = 3


@dataclasses.dataclass(frozen=True)
class LooseRobot:
    """What the solver needs to know of a robot with loose links.

    The first positions and velocities are the robot's own; those of the slides follow, m.

    Attributes:
        tree: the robot's, with three sliding joints after every link that has splats.
        gaussians: its splats, on the last of their link's slides.
        nq: number of positions.
        nv: number of velocities.
        slides: how many of these are the links' own.
        links: indices of the links that slide, in the order of their slides.
        lower: limits [nq].
        upper: limits [nq].
    """

    tree: Any
    gaussians: Any
    nq: int
    nv: int
    slides: int
    links: NDArray[np.integer]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @classmethod
    def of(cls, model: Any, gaussians: Any, sigma_m: float) -> "LooseRobot":
        """Return a robot with links that are loose by so much; by 0: the robot as it is."""
        tree = model.tree
        lower, upper = np.asarray(model.lower, np.float64), np.asarray(model.upper, np.float64)
        if sigma_m <= 0:
            return cls(tree, gaussians, model.nq, model.nv, 0, np.zeros(0, int), lower, upper)
        index = np.asarray(gaussians.link_index)
        links = np.unique(index)
        count, slides = len(tree.link_names), AXES * len(links)
        last = np.arange(count)
        parents = []
        for k, link in enumerate(links):
            first = count + AXES * k
            parents += [link, *range(first, first + AXES - 1)]
            last[link] = first + AXES - 1
        names = tuple(f"{tree.link_names[link]}/loose {a}" for link in links for a in "xyz")
        zeros, ones = np.zeros(slides), np.ones(slides)
        eyes = np.tile(np.eye(4), (slides, 1, 1))
        added = {
            "parent": parents,
            "joint_type": np.full(slides, int(JointType.PRISMATIC)),
            "T_parent_joint": eyes,
            "axis": np.tile(np.eye(3), (len(links), 1)),
            "T_joint_link": eyes,
            "q_index": model.nq + np.arange(slides),
            "v_index": model.nv + np.arange(slides),
            "mimic_multiplier": ones,
            "mimic_offset": zeros,
            "mass": zeros,
            "com": np.zeros((slides, 3)),
            "inertia": np.zeros((slides, 3, 3)),
            "armature": zeros,
            "damping": zeros,
            "frictionloss": zeros,
        }
        arrays = {
            name: np.concatenate([np.asarray(getattr(tree, name)), value])
            for name, value in added.items()
        }
        loose = dataclasses.replace(
            tree,
            link_names=(*tree.link_names, *names),
            joint_names=(*tree.joint_names, *names),
            **arrays,
        )
        free = np.full(slides, np.inf)
        return cls(
            loose,
            dataclasses.replace(
                gaussians,
                link_index=gaussians.link_index.new_tensor(last)[gaussians.link_index],
                link_names=loose.link_names,
            ),
            model.nq + slides,
            model.nv + slides,
            slides,
            links,
            np.concatenate([lower, -free]),
            np.concatenate([upper, free]),
        )
