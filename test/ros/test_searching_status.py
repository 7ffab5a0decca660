"""A search for a lost robot is in the status, in words."""

import types

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from fake_library import Estimate, State
from std_msgs.msg import Header

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.ros.camera_board import CameraBoard
from drrobot_ros.ros.pipeline import Outcome
from drrobot_ros.ros.status import StatusBoard

WORDS = "searching everywhere, attempt 3, for 1.2 s"


@pytest.mark.parametrize("state", list(State))
def test_the_reason_tells_how_the_search_goes(state):
    board = StatusBoard(CameraBoard([""]))
    names = types.SimpleNamespace(index={}, positions=list, velocities=list)
    frame = types.SimpleNamespace(image=types.SimpleNamespace(header=Header()))
    picture = types.SimpleNamespace(frame=frame, name="")
    for searching in ("", WORDS):
        estimate = Estimate(np.zeros(0), state, np.zeros(0))
        estimate.searching = searching
        board.estimated_frame(Outcome((picture,), estimate, 0.0, {}), names, 0.0)
        message = board.message(1, 0)
        assert message.state == getattr(EstimatorStatus, state.name)
        assert message.reason.startswith(WORDS) is bool(searching)
