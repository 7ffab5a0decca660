"""Where the cameras are and what the encoders are off by, from many keyframes."""

from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.driver import calibrate
from drrobot_ros.estimation.calibration.evidence import Evidence, ImageEvidence
from drrobot_ros.estimation.calibration.keyframes import (
    KeyframeConfig,
    KeyframeDecision,
    KeyframeSelector,
)
from drrobot_ros.estimation.calibration.result import (
    CalibrationCamera,
    CalibrationCancelledError,
    CalibrationResult,
    CameraResult,
    KeyframeResult,
    Progress,
    Verdict,
)

__all__ = [
    "CalibrationCamera",
    "CalibrationCancelledError",
    "CalibrationConfig",
    "CalibrationResult",
    "CameraResult",
    "Evidence",
    "ImageEvidence",
    "KeyframeConfig",
    "KeyframeDecision",
    "KeyframeResult",
    "KeyframeSelector",
    "Progress",
    "Verdict",
    "calibrate",
]
