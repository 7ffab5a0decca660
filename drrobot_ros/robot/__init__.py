"""Robot models: loading, kinematics, dynamics and learnable parameters."""

from drrobot_ros.robot.model import RobotModel
from drrobot_ros.robot.tree import JointType, KinematicTree
from drrobot_ros.robot.visuals import Visual

__all__ = ["JointType", "KinematicTree", "RobotModel", "Visual"]
