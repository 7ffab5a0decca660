"""How far the tracker believes itself, and when it should search again."""

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.observation import TrackingState
from drrobot_ros.estimation.problem import StopReason


class Belief:
    """Turns the agreement of image and rendering, image by image, into a tracking state.

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

    def judge(
        self, config: TrackerConfig, agreement: float, visible: float, reason: StopReason
    ) -> TrackingState:
        """Return the state after an image.

        Args:
            config: the thresholds.
            agreement: of silhouette and image, 0..1.
            visible: pixels the robot covers.
            reason: why the solver stopped.
        """
        hidden = reason is StopReason.NOTHING_VISIBLE or visible < 1.0
        doubt = hidden or agreement < config.uncertain_agreement
        self._lost = self._lost + 1 if hidden or agreement < config.lost_agreement else 0
        self._doubted = self._doubted + 1 if doubt else 0
        self._settled = self._settled or not doubt
        self.gave_up = self._doubted >= config.lost_after
        # The arm may have moved on while the first image was searched: then look again at once.
        self.search_due = self.gave_up or not self._settled
        if self.gave_up:
            self._doubted = 0
        if hidden or self._lost >= config.lost_after:
            return TrackingState.LOST
        return TrackingState.UNCERTAIN if doubt else TrackingState.TRACKING
