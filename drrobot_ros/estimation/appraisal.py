"""What the images of a moment say for or against the estimate made of them."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.moment import Seen, Vector
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.estimation.outline import depth_fit, outline_on_edges
from drrobot_ros.estimation.problem import Solution
from drrobot_ros.estimation.robot_images import RobotImages
from drrobot_ros.estimation.tracked_camera import TrackedCamera


@dataclasses.dataclass(frozen=True)
class Appraisal:
    """How well a solution explains its images.

    Attributes:
        images: the robot as estimated, one per camera.
        agreements: of silhouette and image, one per camera.
        agreement: their mean by what each camera sees of the robot.
        visible: pixels of the robot, of all cameras.
        residual: mean error inside the robot.
        outline: least share of the outline on edges; None: not known.
        depth: least share of the robot at whose depth something is seen; None: not known.
    """

    images: list[RenderedImages]
    agreements: list[float]
    agreement: float
    visible: float
    residual: float
    outline: float | None
    depth: float | None

    @classmethod
    def of(
        cls,
        config: TrackerConfig,
        robot: RobotImages,
        cameras: Mapping[str, TrackedCamera],
        seen: Sequence[Seen],
        targets: Sequence[ImageTarget],
        solution: Solution,
        q: Vector,
    ) -> "Appraisal":
        """Compare the robot at joint positions q [nq] with the images once more."""
        images, agreements, outlines, depths = [], [], [], []
        for s, target, T in zip(seen, targets, solution.state.T_cameras, strict=True):
            camera, level = cameras[s.name], s.levels[max(s.levels)]
            bare = camera.bare(config, level.camera, level.weight)
            images.append(robot.fine.images(q, T, bare))
            agreements.append(camera.silhouette.agreement(target, images[-1]))
            outlines.append(outline_on_edges(level, images[-1]))
            depths.append(depth_fit(level, images[-1]) if config.use_depth else None)
        insides = np.array([max(s.inside, 1e-6) for s in solution.statistics])
        return cls(
            images,
            agreements,
            float(np.average(agreements, weights=insides)),
            float(sum(s.inside for s in solution.statistics)),
            sum(s.inside_error for s in solution.statistics) / float(insides.sum()),
            _worst(outlines),
            _worst(depths),
        )


def _worst(shares: list[float | None]) -> float | None:
    """Return the least of the shares that are known: what one camera contradicts is in doubt."""
    return min((s for s in shares if s is not None), default=None)
