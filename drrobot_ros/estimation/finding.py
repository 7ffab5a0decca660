"""Search of the joints around a start: on the first image, and when in doubt."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.moment import Matrix, Seen, Stage, Start, Vector
from drrobot_ros.estimation.robot_images import RobotImages
from drrobot_ros.estimation.search import RegionScore, search_joints
from drrobot_ros.estimation.tracked_camera import TrackedCamera

REFINED = 6  # of many starts

Solve = Callable[[list[Seen], Start, list[Stage]], Vector]


@dataclasses.dataclass(frozen=True)
class JointScore:
    """Adds up what several cameras say of joint positions, each from its own pose."""

    parts: list[tuple[RegionScore, Matrix]]

    def __call__(self, q: Vector, T_camera: Matrix) -> Vector:
        """Return the scores [n] of joint positions [n,nq]; the cameras' own poses are used."""
        return np.sum([score(q, T) for score, T in self.parts], axis=0)


@dataclasses.dataclass(frozen=True)
class JointFinder:
    """Finds joint positions near a start by rendered hypotheses, then region by region.

    Attributes:
        config: how far and how long to search.
        coordinates: how velocities move q.
        limits: joint limits, lower and upper [nq].
        images: the robot.
        cameras: by name.
        rng: source of the hypotheses.
    """

    config: TrackerConfig
    coordinates: Coordinates
    limits: tuple[Vector, Vector]
    images: RobotImages
    cameras: Mapping[str, TrackedCamera]
    rng: np.random.Generator

    def find(self, seen: list[Seen], start: Start, sigma: float, solve: Solve) -> Vector:
        """Return joint positions [nq].

        Args:
            seen: the images.
            start: where to look.
            sigma: how wrong each joint may be, rad or m.
            solve: refines a start in the given stages.
        """
        config = self.config
        width = min(seen[0].levels)
        for s in seen:
            self.cameras[s.name].silhouette.start(s.levels[width])
        if not config.estimate_joints or config.search_hypotheses == 0 or sigma == 0:
            return start.q
        known_mask = config.use_mask and all(s.levels[width].mask is not None for s in seen)
        score = JointScore([(self.score(s), start.T[s.name]) for s in seen])
        q, T = start.q, start.T[seen[0].name]
        best, best_score = q, float(score(q[None], T)[0])
        spread = np.full(self.coordinates.nv, sigma)
        share = config.search_hypotheses // 2
        for scale in (1.0, 0.4, 0.2):
            found, _ = search_joints(
                score, self.coordinates, q, spread * scale, T, self.limits, share, self.rng
            )
            stages = [Stage(width, 2, 5), Stage(width, 1, 5)] * 2
            refined = [
                solve(seen, Start(x, start.T), stages)
                for x in ([q, found] if known_mask else [found])
            ]
            for candidate in (found, *refined):
                candidate_score = float(score(candidate[None], T)[0])
                if candidate_score > best_score:
                    best, best_score = candidate, candidate_score
            q, share = best, share // 2
        return best

    def best_of(self, seen: list[Seen], options: list[Start], solve: Solve) -> Start:
        """Return the start that explains images best once each was refined, the likeliest few.

        Args:
            seen: the images.
            options: the starts.
            solve: refines a start in the given stages.
        """
        width = min(seen[0].levels)
        stages = [Stage(width, 2, 5), Stage(width, 1, 5)] * 2
        likely = sorted(options, key=lambda o: -self.score_of(seen, o))[:REFINED]
        refined = [dataclasses.replace(o, q=solve(seen, o, stages)) for o in likely]
        return max([*likely, *refined], key=lambda o: self.score_of(seen, o))

    def score_of(self, seen: list[Seen], start: Start) -> float:
        """Return how well joint positions and camera poses explain images."""
        return float(sum(self.score(s)(start.q[None], start.T[s.name])[0] for s in seen))

    def score(self, seen: Seen) -> RegionScore:
        """Return what ranks hypotheses in an image."""
        camera, level = self.cameras[seen.name], seen.levels[min(seen.levels)]
        return RegionScore(
            self.images.search,
            camera.bare(self.config, level.camera, level.weight),
            camera.silhouette.clusters_of(level),
        )
