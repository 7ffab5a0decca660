"""Where is the robot? Joint positions and camera pose from one image, without a start.

With depth, thousands of random hypotheses are fitted to the depth image as point sets, the best are
bred (:mod:`drrobot_ros.estimation.localize_depth`), and the few that remain are refined with the
rendered Gaussians (:mod:`drrobot_ros.estimation.localize_refine`). Without depth, hypotheses are
scored by the colours seen where the robot's parts would be
(:mod:`drrobot_ros.estimation.localize_color`).
"""

import dataclasses
from typing import Any

import numpy as np

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.localization import Candidate, Guess, Localization, LocalizeConfig
from drrobot_ros.estimation.localize_color import ColorSearch
from drrobot_ros.estimation.localize_depth import DepthSearch
from drrobot_ros.estimation.localize_refine import SplatRefiner
from drrobot_ros.estimation.observation import Observation

__all__ = ["Candidate", "Guess", "Localization", "LocalizeConfig", "Localizer", "localize"]

AMBIGUOUS_RAD = 0.3  # joints of equally good candidates that differ more are named
EQUAL_SCORE = 0.03  # share of the best score that an equally good one may lack


class Localizer:
    """Finds a robot in single images.

    Args:
        model: the robot.
        gaussians: its splats.
        config: settings.
    """

    def __init__(self, model: Any, gaussians: Any, config: LocalizeConfig | None = None) -> None:
        self.model = model
        self.config = config or LocalizeConfig()
        self._refiner = SplatRefiner(model, gaussians)
        self._color = ColorSearch(model, gaussians, self.config)
        self._depth = DepthSearch(model, gaussians, self.config, self._color)

    def find(
        self,
        observation: Observation,
        guess: Guess | None = None,
        rng: np.random.Generator | None = None,
    ) -> Localization:
        """Find the robot in one image.

        Args:
            observation: the image; with depth far more can be found than without.
            guess: what is known; None: nothing.
            rng: source of the random hypotheses; None: seeded with 0.

        Raises:
            InputError: a guess of the wrong size, or no camera pose and no depth.
        """
        guess = self._checked(guess or Guess(), observation)
        rng = rng or np.random.default_rng(0)
        search = self._color if observation.depth_m is None else self._depth
        hypotheses = search.find(observation, guess, rng)
        if not hypotheses:
            return Localization([], 0.0, False, "nothing within reach of the robot is seen")
        candidates = []
        for h in hypotheses:
            refined = self._refiner.refine(observation, guess, h, self.config)
            candidate = search.judge(observation, guess, refined)
            if h.enough is not None and candidate.score < h.enough:
                refined = self._refiner.refine(observation, guess, h.held, self.config)
                candidate = search.judge(observation, guess, refined)
            candidates.append(candidate)
        candidates = search.ranked(observation, candidates)
        best = candidates[0]
        same = [search.same_surface(c, best) for c in candidates[1:]]
        equal = [c for c, s in zip(candidates[1:], same, strict=True) if s]
        others = [c for c, s in zip(candidates[1:], same, strict=True) if not s]
        margin = 1.0
        if others:
            margin = (best.score - others[0].score) / max(abs(best.score), 1e-12)
        reason = ""
        if best.share < self.config.min_share:
            reason = f"only {max(best.share, 0):.0%} of what is seen agrees with the robot found"
        elif margin < self.config.min_margin:
            reason = f"another pose explains the image as well (lead {margin:.1%})"
        return Localization(candidates, margin, not reason, reason, self._ambiguous(best, equal))

    def _ambiguous(self, best: Candidate, equal: list[Candidate]) -> tuple[str, ...]:
        """Return the joints on which candidates that look the same disagree."""
        names: set[str] = set()
        if best.free_turn_rad > AMBIGUOUS_RAD:
            names.add(self.model.joint_names[0])
        for c in equal:
            if c.score < (1 - EQUAL_SCORE) * best.score:
                continue
            gap = np.abs((c.q - best.q + np.pi) % (2 * np.pi) - np.pi)
            names |= {
                n
                for n in self.model.joint_names
                if gap[self.model.joint_q_index(n)] > AMBIGUOUS_RAD
            }
        return tuple(n for n in self.model.joint_names if n in names)

    def _checked(self, guess: Guess, observation: Observation) -> Guess:
        nq, nv = self.model.nq, self.model.nv
        if guess.q is not None and (np.shape(guess.q) != (nq,) or not np.isfinite(guess.q).all()):
            raise InputError(f"q must be {nq} finite numbers, got {guess.q}")
        sigma = np.broadcast_to(np.asarray(guess.q_sigma, np.float64), (nv,))
        if not (sigma >= 0).all():
            raise InputError(f"q_sigma must not be negative, got {guess.q_sigma}")
        T = guess.T_base_camera
        if T is None and observation.depth_m is None:
            raise InputError("without depth T_base_camera must be roughly known")
        if T is not None:
            T = np.asarray(T, np.float64)
            if T.shape != (4, 4) or not np.isfinite(T).all():
                raise InputError(f"T_base_camera must be a finite 4x4 matrix, got {T}")
        q = None if guess.q is None else np.clip(guess.q, self.model.lower, self.model.upper)
        return dataclasses.replace(guess, q=q, q_sigma=sigma, T_base_camera=T)


def localize(
    model: Any,
    gaussians: Any,
    observation: Observation,
    guess: Guess | None = None,
    config: LocalizeConfig | None = None,
    rng: np.random.Generator | None = None,
) -> Localization:
    """Find a robot in one image; see :meth:`Localizer.find`, which is faster for several images."""
    return Localizer(model, gaussians, config).find(observation, guess, rng)
