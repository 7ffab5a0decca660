"""From the objectives of an action's goal to what the planner is asked for."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_msgs.msg import ControlObjective
from drrobot_ros.control import goals as wishes
from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.control.text.encoder import check_prompt
from drrobot_ros.control.text.views import sentence_views
from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.media import read_sequence
from drrobot_ros.ros.conversions import matrix_from_pose
from drrobot_ros.ros.images import image_to_mask, image_to_rgb
from drrobot_ros.ros.joints import JointNames

_GREY = (0.5, 0.5, 0.5)
_MAX_IMAGES = 600  # of a video: what is longer is not a demonstration

#: Returns the lens that goals are seen through and the camera's pose [4, 4], or raises InputError.
Eye = Callable[[], tuple[Lens, NDArray[np.float64]]]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the planner is asked for: goals, and the viewpoints they look from."""

    goals: tuple[Any, ...]
    views: tuple[Viewpoint, ...]


def read_objectives(
    objectives: Sequence[ControlObjective],
    model: Any,
    names: JointNames,
    start: NDArray[np.float64],
    eye: Eye,
) -> Wanted:
    """Return what the objectives of a goal ask for; may take a while, for it reads videos.

    Args:
        objectives: of the goal.
        model: the robot.
        names: of its joints in messages.
        start: where it is [nq].
        eye: the camera, asked only where an objective looks.

    Raises:
        InputError: an objective cannot be; the message says which and why.
    """
    if not objectives:
        raise InputError("the goal has no objectives")
    reader = _Reader(model, names, start, eye)
    found = []
    for k, objective in enumerate(objectives):
        try:
            found.append(reader.read(objective))
        except InputError as error:
            raise InputError(f"objective {k}, {objective.kind or 'of no kind'}: {error}") from error
    views = tuple(reader.views)
    if not views and any(isinstance(g, wishes.SentenceGoal) for g in found):
        views = sentence_views(model, start)
    if not views:
        with contextlib.suppress(InputError):  # for the pictures; nothing else looks
            lens, T = eye()
            views = (Viewpoint(lens.camera, T, _GREY),)
    return Wanted(tuple(found), views)


class _Reader:
    """Reads objectives one by one; what looks through the camera shares its viewpoint."""

    def __init__(self, model: Any, names: JointNames, start: Any, eye: Eye) -> None:
        self._model, self._names, self._start, self._eye = model, names, start, eye
        self.views: list[Viewpoint] = []
        self._kinds = {
            "sentence": self._sentence,
            "picture": self._picture,
            "tracks": self._tracks,
            "video": self._video,
            "link_pose": self._link_pose,
            "joints": self._joints,
        }

    def read(self, objective: ControlObjective) -> Any:
        if objective.kind not in self._kinds:
            raise unknown_name("kind", objective.kind, self._kinds)
        if not (math.isfinite(objective.weight) and objective.weight >= 0):
            raise InputError(f"the weight must be finite and not negative: {objective.weight}")
        return self._kinds[objective.kind](objective)

    def _view(self, size: tuple[int, int]) -> tuple[int, Lens]:
        """Return the number of the viewpoint whose images have a size, and their lens."""
        lens, T = self._eye()
        camera, (width, height) = lens.camera, size
        if abs(width * camera.height - height * camera.width) > max(camera.width, camera.height):
            raise InputError(
                f"it is {width}x{height}, of other proportions than the camera's images of "
                f"{camera.width}x{camera.height}"
            )
        lens = lens.resized(width, height)
        for number, view in enumerate(self.views):
            if (view.camera.width, view.camera.height) == size:
                return number, lens
        self.views.append(Viewpoint(lens.camera, T, _GREY))
        return len(self.views) - 1, lens

    def _sentence(self, objective: ControlObjective) -> Any:
        negative = tuple(check_prompt(words) for words in objective.negative)
        return wishes.SentenceGoal(check_prompt(objective.prompt), negative, objective.weight)

    def _picture(self, objective: ControlObjective) -> Any:
        if not objective.image.width:
            raise InputError("there is no image")
        rgb = image_to_rgb(objective.image)
        mask = image_to_mask(objective.mask) > 0.5 if objective.mask.width else None
        view, lens = self._view((rgb.shape[1], rgb.shape[0]))
        if mask is not None and mask.shape == rgb.shape[:2]:  # another is refused by the goal
            mask = lens.rectify_plane(mask)
        return wishes.PictureGoal(lens.rectify(rgb), mask, view, objective.weight)

    def _tracks(self, objective: ControlObjective) -> Any:
        tracks = TrackSet.load(self._file(objective))
        view, lens = self._view(tracks.image_size)
        points = lens.rectify_points(tracks.tracks.reshape(-1, 2)).reshape(tracks.tracks.shape)
        tracks = dataclasses.replace(tracks, tracks=points)
        how = objective.correspondence or "bound"
        return wishes.TracksGoal(tracks, view, how, objective.weight)

    def _video(self, objective: ControlObjective) -> Any:
        rate_hz, images = read_sequence(self._file(objective), 0.0)
        found = []
        for image in images:
            if len(found) >= _MAX_IMAGES:
                raise InputError(f"the video has more than {_MAX_IMAGES} images; cut it")
            found.append(np.asarray(image))
        if not found:
            raise InputError("the video has no images")
        view, lens = self._view((found[0].shape[1], found[0].shape[0]))
        found = [lens.rectify(image) for image in found]
        return wishes.VideoGoal(found, rate_hz, view, weight=objective.weight)

    @staticmethod
    def _file(objective: ControlObjective) -> str:
        if not objective.file:
            raise InputError("there is no file")
        return objective.file

    def _link_pose(self, objective: ControlObjective) -> Any:
        self._model.link_index(objective.link)
        T = matrix_from_pose(objective.pose)
        if not np.isfinite(T).all():
            raise InputError("the pose is not finite")
        sigmas = objective.position_sigma, objective.rotation_sigma
        if not (sigmas[0] > 0 and sigmas[1] > 0):
            raise InputError(f"tolerances must be positive, got {sigmas}")
        return wishes.LinkPoseGoal(objective.link, T, *sigmas, objective.weight)

    def _joints(self, objective: ControlObjective) -> Any:
        q = named_positions(
            list(objective.joint_names), list(objective.positions), self._names, self._start
        )
        return wishes.JointGoal(q, objective.weight)


def named_positions(
    joint_names: Sequence[str],
    positions: Sequence[float],
    names: JointNames,
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return positions [nq]: as named, else where the arm is.

    Raises:
        InputError: unknown joints, other numbers of names and positions, or no numbers.
    """
    if not joint_names or len(joint_names) != len(positions):
        raise InputError(f"{len(joint_names)} joint_names, {len(positions)} positions")
    q = np.array(start, np.float64)
    for name, x in zip(joint_names, positions, strict=True):
        if name not in names.index:
            raise unknown_name("joint", name, names.index)
        if not math.isfinite(x):
            raise InputError(f"the position of joint {name!r} is not finite: {x}")
        q[names.index[name]] = x
    return q
