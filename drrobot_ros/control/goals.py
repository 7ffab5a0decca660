"""What may be asked of a robot: sentences, pictures, poses, tracks, videos."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.points.images import check_image, check_images
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.errors import InputError, unknown_name

Image = NDArray[np.uint8]
CORRESPONDENCE = ("bound", "chamfer")


class Goal:
    """Something wanted, and how much it counts against the others."""

    weight: float = 1.0
    #: Whether it speaks of a motion, not of a pose.
    is_motion = False

    def _check_weight(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise InputError(f"a goal's weight must be finite and not negative: {self.weight}")


@dataclasses.dataclass(frozen=True)
class SentenceGoal(Goal):
    """Look like a sentence says.

    Attributes:
        prompt: what the robot is to look like.
        negative: what it is not to look like.
        weight: against other goals.
    """

    prompt: str
    negative: tuple[str, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        self._check_weight()


@dataclasses.dataclass(frozen=True, eq=False)
class PictureGoal(Goal):
    """Look like a picture.

    Attributes:
        rgb: [H,W,3] uint8, of any background; None: silhouette only.
        mask: where the robot is [H,W], bool or 0..1; None: not known.
        view: which viewpoint it was taken from.
        weight: against other goals.

    Raises:
        InputError: neither given, or of wrong type or size.
    """

    rgb: Image | None
    mask: NDArray | None = None
    view: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        self._check_weight()
        if self.rgb is None and self.mask is None:
            raise InputError("a goal picture needs colours, a mask or both")
        if self.rgb is not None:
            check_image(self.rgb, "the goal picture")
        if self.mask is not None:
            if np.ndim(self.mask) != 2:
                raise InputError(f"the goal's mask must be [H, W], got {np.shape(self.mask)}")
            if self.rgb is not None and self.rgb.shape[:2] != self.mask.shape:
                raise InputError(
                    f"the goal picture is {list(self.rgb.shape[:2])}, its mask "
                    f"{list(self.mask.shape)}"
                )


@dataclasses.dataclass(frozen=True, eq=False)
class LinkPoseGoal(Goal):
    """Bring a link to a pose.

    Attributes:
        link: its name.
        T_base_link: [4,4].
        position_sigma_m: tolerated distance.
        rotation_sigma_rad: tolerated angle; inf leaves the orientation free.
        weight: against other goals.
    """

    link: str
    T_base_link: NDArray[np.float64]
    position_sigma_m: float = 0.01
    rotation_sigma_rad: float = 0.05
    weight: float = 1.0

    def __post_init__(self) -> None:
        self._check_weight()


@dataclasses.dataclass(frozen=True, eq=False)
class JointGoal(Goal):
    """Bring the joints to positions [nq]."""

    q: NDArray[np.float64]
    weight: float = 1.0

    def __post_init__(self) -> None:
        self._check_weight()


@dataclasses.dataclass(frozen=True, eq=False)
class TracksGoal(Goal):
    """Move as tracked points move.

    Attributes:
        tracks: seen by the viewpoint.
        view: which viewpoint saw them.
        correspondence: "bound": the tracks begin on this robot at the request's start, and each
            stays with its point of the surface; "chamfer": tracks of anything, followed as a set.
        weight: against other goals.

    Raises:
        InputError: an unknown correspondence.
    """

    tracks: TrackSet
    view: int = 0
    correspondence: str = "bound"
    weight: float = 1.0
    is_motion = True

    def __post_init__(self) -> None:
        self._check_weight()
        if self.correspondence not in CORRESPONDENCE:
            raise unknown_name("correspondence", self.correspondence, CORRESPONDENCE)


@dataclasses.dataclass(frozen=True, eq=False)
class VideoGoal(Goal):
    """Move as the robot does in a video.

    Attributes:
        images: [H,W,3] uint8 each, all of the viewpoint's size.
        rate_hz: images a second.
        view: which viewpoint; its pose need only be roughly that of the video's camera.
        camera_known: the viewpoint's pose is exact.
        weight: against other goals.

    Raises:
        InputError: fewer than two images, images of different sizes, or a rate that is no rate.
    """

    images: Sequence[Image]
    rate_hz: float
    view: int = 0
    camera_known: bool = False
    weight: float = 1.0
    is_motion = True

    def __post_init__(self) -> None:
        self._check_weight()
        check_images(self.images)
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise InputError(f"the video's rate must be positive, got {self.rate_hz}")
