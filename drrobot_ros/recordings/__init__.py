"""Recordings of a robot seen by a camera: folders of files, rosbag2 and MCAP; no ROS is needed."""

from drrobot_ros.recordings.camera_info import read_camera_info
from drrobot_ros.recordings.joint_track import JointTrack
from drrobot_ros.recordings.open import open_recording
from drrobot_ros.recordings.recording import Frame, Recording

__all__ = ["Frame", "JointTrack", "Recording", "open_recording", "read_camera_info"]
