"""How far the tracker believes itself, and when it should search again."""

import dataclasses

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.observation import TrackingState
from drrobot_ros.estimation.problem import StopReason

# How many images an estimate's lead over its neighbours is remembered.
MARGIN_MEMORY = 3
# With half of its surface elsewhere no robot is where it is said to be.
LOST_DEPTH = 0.5


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What an image says of its own estimate.

    Attributes:
        agreement: of silhouette and image, 0..1.
        visible: pixels the robot covers.
        reason: why the solver stopped.
        margin: lead over the best neighbouring pose, relative; None: not looked for this time.
        outline: share of the robot's outline that lies on edges; None: not known.
        depth: share of its pixels at whose depth something is seen; None: not known.
    """

    agreement: float
    visible: float
    reason: StopReason
    margin: float | None = None
    outline: float | None = None
    depth: float | None = None


class Belief:
    """Turns what images say of their estimates, one by one, into a tracking state.

    Attributes:
        search_due: the next image should be searched rather than tracked.
        gave_up: doubt has lasted: where the estimate is now is no better than any other place.
        doubted: how many images in a row.

    Args:
        confirm: images in a row that have to agree before the first estimate is believed.
        least_margin: lead over neighbouring poses that it needs until then; None: as configured.
    """

    def __init__(self, confirm: int = 1, least_margin: float | None = None) -> None:
        self.search_due = True
        self.gave_up = False
        self.doubted = 0
        self._confirm = self._left = confirm
        self._least_margin = least_margin
        self._lost = 0
        self._margin: float | None = None

    @property
    def settled(self) -> bool:
        """Whether the robot was seen clearly since the start."""
        return self._left == 0

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
        least = config.uncertain_margin
        if self._least_margin is not None and not self.settled:
            least = max(least, self._least_margin)
        beaten = self._margin is not None and self._margin < least
        hidden = e.reason is StopReason.NOTHING_VISIBLE or e.visible < 1.0
        outline = 1.0 if e.outline is None else e.outline
        depth = 1.0 if e.depth is None else e.depth
        doubt = hidden or beaten or e.agreement < config.uncertain_agreement
        doubt = doubt or outline < config.uncertain_outline or depth < config.uncertain_depth
        lost = hidden or e.agreement < config.lost_agreement
        lost = lost or outline < config.lost_outline or depth < LOST_DEPTH
        self._lost = self._lost + 1 if lost else 0
        self.doubted = self.doubted + 1 if doubt else 0
        # A start that was searched for has to agree with several images in a row.
        if self._left > 0:
            self._left = self._confirm if doubt else self._left - 1
        self.gave_up = self.doubted >= config.lost_after
        # The arm may have moved on while the first image was searched: then look again at once.
        self.search_due = self.gave_up or (doubt and not self.settled)
        if self.gave_up:
            self.doubted = 0
            self._margin = None
        if hidden or self._lost >= config.lost_after:
            return TrackingState.LOST
        return TrackingState.TRACKING if self.settled and not doubt else TrackingState.UNCERTAIN
