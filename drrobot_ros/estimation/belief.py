"""How far the tracker believes itself, and when it should search again."""

import dataclasses

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.observation import TrackingState
from drrobot_ros.estimation.problem import StopReason

# How many images an estimate's lead over its neighbours is remembered.
MARGIN_MEMORY = 3


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What an image says of its own estimate.

    Attributes:
        agreement: of silhouette and image, 0..1.
        visible: pixels the robot covers.
        reason: why the solver stopped.
        margin: lead over the best neighbouring pose, relative; None: not looked for this time.
    """

    agreement: float
    visible: float
    reason: StopReason
    margin: float | None = None


class Belief:
    """Turns what images say of their estimates, one by one, into a tracking state.

    Attributes:
        search_due: the next image should be searched rather than tracked.
        gave_up: doubt has lasted: where the estimate is now is no better than any other place.
    """

    def __init__(self) -> None:
        self.search_due = True
        self.gave_up = False
        self._settled = False
        self._doubted = 0
        self._lost = 0
        self._margin: float | None = None

    @property
    def margin(self) -> float | None:
        """Smoothed lead over the neighbouring poses; None before the first."""
        return self._margin

    def judge(self, config: TrackerConfig, evidence: Evidence) -> TrackingState:
        """Return the state after an image.

        Args:
            config: the thresholds.
            evidence: what the image says.
        """
        e = evidence
        if e.margin is not None:
            old = e.margin if self._margin is None else self._margin
            self._margin = old + (e.margin - old) / MARGIN_MEMORY
        beaten = self._margin is not None and self._margin < config.uncertain_margin
        hidden = e.reason is StopReason.NOTHING_VISIBLE or e.visible < 1.0
        doubt = hidden or beaten or e.agreement < config.uncertain_agreement
        self._lost = self._lost + 1 if hidden or e.agreement < config.lost_agreement else 0
        self._doubted = self._doubted + 1 if doubt else 0
        self._settled = self._settled or not doubt
        self.gave_up = self._doubted >= config.lost_after
        # The arm may have moved on while the first image was searched: then look again at once.
        self.search_due = self.gave_up or not self._settled
        if self.gave_up:
            self._doubted = 0
            self._margin = None
        if hidden or self._lost >= config.lost_after:
            return TrackingState.LOST
        return TrackingState.UNCERTAIN if doubt else TrackingState.TRACKING
