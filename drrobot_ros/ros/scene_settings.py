"""Settings of the nodes of scenes and grasps; imports no ROS."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.ros.control_settings import ArmNodeSettings
from drrobot_ros.ros.declarations import check_pose, check_tuples
from drrobot_ros.ros.settings import RobotSettings

GRIPPERS = ("joints", "command")


@dataclasses.dataclass(frozen=True)
class SceneReconstructorSettings(RobotSettings):
    """Settings of the node ``scene_reconstructor``, without those of camera and reconstruction."""

    camera_pose: tuple[float, ...] = setting(
        (),
        "pose of the camera's optical frame in the base frame, x y z qx qy qz qw or x y z roll "
        "pitch yaw [m, rad]; empty: as the pose estimator says, or tf",
    )
    folder: str = setting(
        "scenes", "where each scene is written into a folder of its own; empty: it is not written"
    )
    pictures_width: int = setting(
        480, "width of the pictures in the feedback; 0: none", unit="px", minimum=0, maximum=4096
    )
    seen_patience_s: float = setting(
        2.0,
        "the camera's pose counts as lost when the estimator has not seen the arm for so long",
        unit="s",
        minimum=0.05,
        maximum=60.0,
    )
    threads: int = setting(
        0, "threads of the rasterizer; 0: one per core", minimum=0, maximum=64, read_only=True
    )

    def __post_init__(self) -> None:
        validate(self)
        check_tuples(self)
        check_pose("camera_pose", self.camera_pose, may_be_empty=True)


@dataclasses.dataclass(frozen=True)
class GraspPlannerSettings(ArmNodeSettings):
    """Settings of the node ``grasp_planner``, without those of grasps, gripper and safety."""

    estimate: str = setting(
        "auto",
        "whether the pose estimator has to see the arm while it moves; auto: once it was heard",
        choices=("auto", "yes", "no"),
        read_only=True,
    )
    gripper_interface: str = setting(
        "joints",
        "joints: the arm's controller moves the gripper's joints too; command: an action "
        "GripperCommand",
        choices=GRIPPERS,
        read_only=True,
    )
    gripper_action: str = setting(
        "gripper_controller/gripper_cmd", "name of the action GripperCommand", read_only=True
    )
    gripper_position: str = setting(
        "gap",
        "what the position of a GripperCommand is: the gap between the pads, half of it (one "
        "finger's travel), or the joint's own position",
        choices=("gap", "half", "joint"),
        read_only=True,
    )
    gripper_timeout_s: float = setting(
        5.0, "after which a gripper that says nothing has failed", unit="s", minimum=0.1,
        maximum=60.0,
    )  # fmt: skip
    max_scene_age_s: float = setting(
        60.0,
        "a scene older than this is not acted on; 0: any",
        unit="s",
        minimum=0.0,
        maximum=1e6,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gripper_action:
            raise InputError("gripper_action must not be empty")
