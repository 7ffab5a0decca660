"""Identification of a robot's parameters from recordings of its motion and torques."""

from drrobot_ros.identification.base_parameters import BaseParameters, base_parameters
from drrobot_ros.identification.config import IdentificationConfig
from drrobot_ros.identification.excitation import ExcitationConfig, excitation_trajectory
from drrobot_ros.identification.files import read_recording, write_csv
from drrobot_ros.identification.identify import IdentificationResult, JointError, identify
from drrobot_ros.identification.recording import Recording

__all__ = [
    "BaseParameters",
    "ExcitationConfig",
    "IdentificationConfig",
    "IdentificationResult",
    "JointError",
    "Recording",
    "base_parameters",
    "excitation_trajectory",
    "identify",
    "read_recording",
    "write_csv",
]
