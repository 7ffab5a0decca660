"""The stages of a calibration, from coarse to fine."""

import dataclasses

from drrobot_ros.estimation.calibration.config import CalibrationConfig

COARSE_WIDTH, START_WIDTH, MIDDLE_WIDTH = 80, 160, 320


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
            while the robot moves), "parts" (labels of the robot's parts), "depth". A given
            mask stands for regions and plate.
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


SILHOUETTE = frozenset({"regions", "plate"})


def start_stages(terms: frozenset[str], rounds: int, fine_width: int) -> list[Stage]:
    """Return the stages that lead one hypothesis of a camera's pose to its optimum.

    The plate and depth do not depend on the estimate and lead from afar; added to them, colours
    would confirm what is wrong. Colours alone come in only where there is nothing better.

    Args:
        terms: one kind of evidence.
        rounds: most times that the evidence is gathered again at each level.
        fine_width: width of the finest level of the calibration, px.
    """
    coarse, wide = min(COARSE_WIDTH, fine_width), min(START_WIDTH, fine_width)
    return [
        Stage("start, blurred", coarse, 2, rounds, False, False, terms),
        Stage("start, coarse", coarse, 1, rounds, False, False, terms),
        Stage("start", wide, 0, rounds, False, False, terms),
    ]


def stages_of(config: CalibrationConfig, fine_width: int, depth: bool) -> list[Stage]:
    """Return the stages after the start.

    Args:
        config: settings.
        fine_width: width of the finest level, px.
        depth: whether there is any depth image to compare.
    """
    seen: frozenset[str] = frozenset({"depth"}) if depth else frozenset()
    middle = min(MIDDLE_WIDTH, fine_width)
    n = config.rounds
    out = []
    if config.estimate_camera:
        # Parts draw the camera off on real photos; they are for the joints.
        out.append(Stage("cameras", middle, 0, n, False, False, SILHOUETTE | seen))
    if not config.estimate_offsets:
        lags = config.estimate_lag
        terms = SILHOUETTE | seen
        out.append(Stage("cameras, fine", fine_width, 0, n, False, lags, terms, reject=True))
        return out
    fine = SILHOUETTE | {"parts"} | seen
    out += [
        Stage("all, coarse", min(COARSE_WIDTH, fine_width), 1, n, True, False, fine),
        Stage("all, middle", middle, 0, n, True, True, fine, reject=True),
    ]
    if fine_width > middle:
        out.append(Stage("all, fine", fine_width, 0, n, True, True, fine, reject=True))
    return out
