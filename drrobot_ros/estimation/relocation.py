"""A lost robot: when it is searched beside tracking, and whether to go on from what was found."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from drrobot_ros.estimation.belief import Belief
from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.finding import JointFinder, Solve
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.moment import Seen, Start, Vector
from drrobot_ros.estimation.observation import TrackingState
from drrobot_ros.estimation.recovery import (
    CAMERA_BOX,
    Query,
    Recovery,
    flips,
    in_thread,
    nearest_turn,
    revolute_joints,
    trial,
)
from drrobot_ros.estimation.tracked_camera import TrackedCamera

# A start that so many images do not agree with needs more than the search around it.
HELP_AFTER = 3


class Relocation:
    """Has a lost robot searched, and takes over what explains the images better.

    Args:
        model: the robot.
        gaussians: its splats.
        coordinates: how velocities move q.
        limits: joint limits, lower and upper [nq].
        cameras: by name.
        run_search: runs the search; None: a thread.
    """

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        coordinates: Coordinates,
        limits: tuple[Vector, Vector],
        cameras: Mapping[str, TrackedCamera],
        run_search: Callable[[Callable[[], None]], None] | None,
    ) -> None:
        self._model, self._coordinates, self._limits = model, coordinates, limits
        self._cameras = cameras
        self._recovery = Recovery(model, gaussians, run_search or in_thread)
        self._hint: Vector | None = None

    @property
    def searching(self) -> bool:
        """Whether a search runs."""
        return self._recovery.searching

    @property
    def progress(self) -> str:
        """What is searched, in words; empty: nothing."""
        return self._recovery.progress

    def reset(self) -> None:
        """Forget searches and what they found."""
        self._recovery.reset()
        self._hint = None

    def look_for(
        self,
        config: TrackerConfig,
        belief: Belief,
        state: TrackingState,
        seen: list[Seen],
        believed_q: Vector,
    ) -> None:
        """Have a lost robot searched in an image, of the first camera that stands still.

        Args:
            config: whether and how far to search.
            belief: how long the estimate was in doubt.
            state: of the estimate.
            seen: the images.
            believed_q: joint positions [nq] last believed.
        """
        if state is TrackingState.TRACKING:
            if self._recovery.attempt:
                self.reset()
            return
        wanted = belief.gave_up or state is TrackingState.LOST
        wanted |= not belief.settled and belief.doubted >= HELP_AFTER
        if config.recovery == "off" or not config.estimate_joints or not wanted:
            return
        still = [s for s in seen if self._cameras[s.name].link < 0]
        still.sort(key=lambda s: s.observation.depth_m is None)
        if not still:
            return
        camera = self._cameras[still[0].name]
        box = (0.0, 0.0)
        if camera.is_free(config):
            box = (CAMERA_BOX * config.camera_sigma_m, CAMERA_BOX * config.camera_sigma_rad)
        T = camera.believed_T
        assert T is not None
        readings = seen[0].observation.joint_positions
        image = still[0].observation
        query = Query(still[0].name, image, believed_q, T, readings, self._hint, box)
        self._recovery.start(query, config.recovery, config.recovery_sigma_rad)

    def found(
        self,
        config: TrackerConfig,
        state: TrackingState,
        seen: list[Seen],
        start: Start,
        believed_q: Vector,
        finder: JointFinder,
        solve: Solve,
        look_around: Callable[[list[Seen], Start], Vector],
    ) -> tuple[Start, Belief] | None:
        """Return where a search found the robot, if that explains the images better than a start.

        It is on trial then: so many images have to agree before it is believed.

        Args:
            config: how long it is on trial, and whether cameras are free.
            state: of the last estimate.
            seen: the images.
            start: where the solution would start otherwise.
            believed_q: joint positions [nq] last believed.
            finder: scores starts.
            solve: refines one of several starts.
            look_around: finds the joints around a start.
        """
        found = self._recovery.take()
        if found is None or state is TrackingState.TRACKING or not len(found.q):
            return None
        name = found.query.name
        for s in seen:
            self._cameras[s.name].silhouette.start(s.levels[min(s.levels)])
        readings = seen[0].observation.joint_positions
        qs = [np.clip(q, *self._limits) for q in found.carried(readings, self._coordinates)]
        options = [Start(q, {**start.T, name: T}) for q, T in zip(qs, found.T, strict=True)]
        hinges = revolute_joints(self._model)
        options += [Start(q, options[0].T) for q in flips(qs[0], hinges, self._limits)]
        best = finder.best_of(seen, options, solve)
        # The arm has moved on since: look around before comparing.
        q = nearest_turn(look_around(seen, best), believed_q, hinges, self._limits)
        best = dataclasses.replace(best, q=q)
        if finder.score_of(seen, best) < finder.score_of(seen, start):
            return None
        self._hint = best.q
        if self._cameras[name].is_free(config):
            self._cameras[name].move(best.T[name])
        belief = trial(found.query, config.recovery_confirm)
        belief.search_due = False
        return best, belief
