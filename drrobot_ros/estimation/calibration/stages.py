"""The stages of a calibration, from coarse to fine."""

import dataclasses

from drrobot_ros.estimation.calibration.config import CalibrationConfig

COARSE_WIDTH, MIDDLE_WIDTH = 80, 320


@dataclasses.dataclass(frozen=True)
class Stage:
    """One level of the solution.

    Attributes:
        name: for people.
        width: of the images, px.
        blur_px: radius of the blur of residuals.
        rounds: most times that the evidence is gathered again around the estimate.
        offsets: whether joint offsets are free; else only cameras (and what is known) move.
        lags: whether lags are free.
        terms: which evidence is used: "regions" (colours around the contour), "plate" (what changes
            while the robot moves), "parts" (labels of the robot's parts), "depth". A given mask
            stands for regions and plate.
        depth_factor: on the noise of depth: above one where it is only to lead the way.
        reject: whether keyframes that do not fit are left out.
    """

    name: str
    width: int
    blur_px: int
    rounds: int
    offsets: bool
    lags: bool
    terms: frozenset[str]
    depth_factor: float = 1.0
    reject: bool = False

    @property
    def is_coarse(self) -> bool:
        """Whether few splats do."""
        return self.width <= COARSE_WIDTH


def stages_of(config: CalibrationConfig, fine_width: int, depth: bool) -> list[Stage]:
    """Return the stages after the cold start.

    Args:
        config: settings.
        fine_width: width of the finest level, px.
        depth: whether there is any depth image to compare.
    """
    fine = frozenset({"regions", "plate", "parts"} | ({"depth"} if depth else set()))
    coarse, middle = min(COARSE_WIDTH, fine_width), min(MIDDLE_WIDTH, fine_width)
    n = config.rounds
    out = []
    if config.estimate_camera:
        out += [
            Stage("cameras, coarse", coarse, 2, n, False, False, fine),
            Stage("cameras", min(160, fine_width), 1, n, False, False, fine),
        ]
    out += [
        Stage("all, coarse", coarse, 1, n, True, False, fine),
        Stage("all, middle", middle, 0, n, True, True, fine, reject=True),
    ]
    if fine_width > middle:
        out.append(Stage("all, fine", fine_width, 0, n, True, True, fine, reject=True))
    return out
