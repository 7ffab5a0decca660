"""What a calibration leaves behind: numbers, transforms to publish, a description, pictures."""

from drrobot_ros.estimation.calibration.files.transforms import CameraFrames, FrameNames
from drrobot_ros.estimation.calibration.files.write import CalibrationFiles, write_calibration

__all__ = ["CalibrationFiles", "CameraFrames", "FrameNames", "write_calibration"]
