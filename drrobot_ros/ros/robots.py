"""Load the robot that a node is asked for."""

from collections.abc import Sequence
from typing import Any

from drrobot_ros.ros.settings import PoseEstimatorSettings


def load_robot(settings: PoseEstimatorSettings, description: str | None = None) -> tuple[Any, Any]:
    """Return the RobotModel and the GaussianRobot that the settings name.

    Args:
        settings: of the node.
        description: URDF or MJCF text from the topic robot_description; None: the parameter robot.

    Raises:
        InputError: the model or its meshes cannot be loaded, or the splats are another robot's.
    """
    from drrobot_ros.native.library import set_num_threads
    from drrobot_ros.splats import GaussianRobot

    set_num_threads(settings.threads)
    source = settings.robot if description is None else description
    model = load_model(source, settings.package_paths, settings.base_link)
    if settings.splats:
        gaussians = GaussianRobot.load(settings.splats)
        gaussians.check_matches(model)
    else:
        gaussians = GaussianRobot.from_model(model, count=settings.splat_count)
    return model, gaussians


def load_model(source: str, package_paths: Sequence[str] = (), base_link: str = "") -> Any:
    """Return the RobotModel of a file, a menagerie name, or URDF or MJCF text.

    Mesh paths ``package://`` are looked up in the given folders, then among installed packages.

    Raises:
        InputError: it cannot be loaded.
    """
    from drrobot_ros.robot import RobotModel

    return RobotModel.load(source, package_paths=package_paths, base_link=base_link or None)
