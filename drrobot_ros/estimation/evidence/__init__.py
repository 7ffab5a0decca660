"""How likely each pixel shows the robot: one log-odds image from whatever says something of it."""

from drrobot_ros.estimation.evidence.agreement import agreement, told_agreement
from drrobot_ros.estimation.evidence.codes import appearance_codes
from drrobot_ros.estimation.evidence.colors import ColorSource
from drrobot_ros.estimation.evidence.given import Segmenter, SegmenterSource
from drrobot_ros.estimation.evidence.odds import (
    EvidenceSource,
    PhotoSet,
    add_odds,
    silhouette_target,
)
from drrobot_ros.estimation.evidence.plate import PhotoPlate, PlateSource

__all__ = [
    "ColorSource",
    "EvidenceSource",
    "PhotoPlate",
    "PhotoSet",
    "PlateSource",
    "Segmenter",
    "SegmenterSource",
    "add_odds",
    "agreement",
    "appearance_codes",
    "silhouette_target",
    "told_agreement",
]
