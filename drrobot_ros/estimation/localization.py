"""What is asked of a localization, and what it answers."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.estimation.problem import Solution

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Guess:
    """What is known before looking; the less, the longer the search.

    Attributes:
        q: joint positions [nq]; None: anywhere within the limits.
        q_sigma: standard deviation of q per velocity coordinate [nv] or for all, rad or m.
        T_base_camera: camera pose [4,4]; None: anywhere the robot's base is in view (needs depth).
        camera_half_m: the camera is at most so far from there along each axis of the base; 0 with
            camera_half_rad 0: the pose is exact.
        camera_half_rad: and turned by at most so much about each of its own axes.
    """

    q: Vector | None = None
    q_sigma: Vector | float = 0.2
    T_base_camera: Matrix | None = None
    camera_half_m: float = 0.0
    camera_half_rad: float = 0.0

    @property
    def camera_free(self) -> bool:
        """Whether the camera pose is looked for."""
        return self.T_base_camera is None or self.camera_half_m > 0 or self.camera_half_rad > 0


@dataclasses.dataclass(frozen=True)
class LocalizeConfig:
    """How long to search, and what to believe."""

    hypotheses: int = setting(
        16000, "random hypotheses of a cold start", minimum=16, maximum=10_000_000
    )
    near_hypotheses: int = setting(
        96, "random hypotheses around a known start", minimum=1, maximum=1_000_000
    )
    rounds: int = setting(5, "rounds of breeding the best hypotheses", minimum=0, maximum=100)
    children: int = setting(1500, "hypotheses bred per round", minimum=1, maximum=1_000_000)
    population: int = setting(150, "hypotheses kept per round", minimum=1, maximum=100_000)
    points: int = setting(600, "points of the robot's surface", minimum=50, maximum=20000)
    candidates: int = setting(
        4, "distinct hypotheses refined with the rendered robot", minimum=1, maximum=50
    )
    width: int = setting(
        640, "image width of the finest refinement", unit="px", minimum=80, maximum=1920
    )
    distinct_m: float = setting(
        0.02,
        "candidates none of whose links are farther apart than this look the same",
        unit="m",
        minimum=1e-3,
    )
    min_share: float = setting(
        0.27,
        "agreement with the image below which no robot was found",
        minimum=0.0,
        maximum=1.0,
    )
    min_margin: float = setting(
        0.01, "lead of the best over the next hypothesis, relative, to be believed", minimum=0.0
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One explanation of the image.

    Attributes:
        q: joint positions [nq].
        T_base_camera: camera pose [4,4].
        score: higher is better; comparable within one image only.
        share: of what is seen of the robot, how far it agrees, at most 1.
        solution: of the last refinement: normal matrix and statistics.
        free_turn_rad: how far camera and first joint may turn together about that joint's axis
            without a trace in the image, as before a round base.
    """

    q: Vector
    T_base_camera: Matrix
    score: float
    share: float
    solution: Solution
    free_turn_rad: float = 0.0


@dataclasses.dataclass(frozen=True)
class Localization:
    """What a search found.

    Attributes:
        candidates: distinct explanations, best first; empty where there was nothing to see.
        margin: lead of the best score over the next, relative to it; 1 where there is no other.
        found: whether to believe the best: it explains enough, and better than any other.
        reason: why not, in words; empty where found.
        ambiguous: names of joints that could as well be elsewhere: the robot's surface would look
            the same, as with the two solutions of a round wrist.
    """

    candidates: list[Candidate]
    margin: float
    found: bool
    reason: str = ""
    ambiguous: tuple[str, ...] = ()
