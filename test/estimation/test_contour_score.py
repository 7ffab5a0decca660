"""Edges along the rendered outline, against NumPy and against wrong poses."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.contour_score import LIMIT, ContourScore
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget

TARGET = ImageTarget(
    K=np.array([[180.0, 0, 80.0], [0, 180.0, 60.0], [0, 0, 1.0]]), width=160, height=120
)
Q = np.array([0.5, -0.2, 1.3, 0.7, 1.0, 0.2])


def camera_pose():
    T = np.eye(4)
    T[:3, :3] = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])
    T[:3, 3] = [1.5, 0.05, 0.5]
    return T


@pytest.fixture(scope="module")
def score(arm, arm_gaussians):
    """A light grey arm before a slightly darker, uneven wall."""
    model = ImageModel(arm.tree, arm_gaussians, arm.nq, arm.nv)
    alpha = model.images(Q, camera_pose(), TARGET).alpha[..., None]
    wall = 150 + 10 * np.random.default_rng(0).random((120, 160, 1))
    pixels = (alpha * 190 + (1 - alpha) * wall + np.zeros(3)).astype(np.uint8)
    return ContourScore.of(model, TARGET, pixels)


def numpy_score(score, q, T):
    alpha = score.model.images(q, T, TARGET).alpha
    kernel = np.array([1.0, 2, 1]) / 4
    for _ in range(2):
        alpha = cv2.sepFilter2D(alpha, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    gx, gy = cv2.Sobel(alpha, cv2.CV_32F, 1, 0), cv2.Sobel(alpha, cv2.CV_32F, 0, 1)
    inner = np.s_[4:-4, 4:-4]
    m = np.hypot(gx, gy)[inner]
    across = np.abs(score.gradient[..., 0] * gx + score.gradient[..., 1] * gy)[inner]
    on = m >= 1e-3
    return np.minimum(across, LIMIT * m)[on].sum() / m[on].sum()


def test_score_is_numpys(score):
    rng = np.random.default_rng(1)
    q = Q + 0.05 * rng.normal(size=(3, 6))
    expected = [numpy_score(score, x, camera_pose()) for x in q]
    # The outline is cut by the lower edge of the image, where the two differ by a few pixels.
    np.testing.assert_allclose(score(q, camera_pose()), expected, rtol=0.05)


def test_truth_beats_what_is_off(score):
    rng = np.random.default_rng(2)
    q = Q + np.radians(6) * rng.choice([-1, 1], (40, 6))
    assert score(Q[None], camera_pose())[0] > score(q, camera_pose()).max()


def test_cameras_may_differ(score):
    T = np.stack([camera_pose(), camera_pose()])
    T[1, 1, 3] += 0.1
    both = score(np.stack([Q, Q]), T)
    assert both[0] == score(Q[None], T[0])[0] and both[1] == score(Q[None], T[1])[0]
    assert both[0] > both[1]


def test_wrong_shapes_are_named(score):
    with pytest.raises(InputError, match=r"\[n, 6\]"):
        score(Q, camera_pose())
    with pytest.raises(InputError, match="image"):
        ContourScore.of(score.model, TARGET, np.zeros((10, 10, 3), np.uint8))


ENDING = """
import sys, threading, time
sys.path.insert(0, sys.argv[2])
import numpy as np, torch, weakref
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot
from test_contour_score import Q, TARGET, camera_pose
from drrobot_ros.estimation.contour_score import ContourScore
from drrobot_ros.estimation.normal_equations import ImageModel
arm = RobotModel.load(sys.argv[1])
for thread in range(2):
    model = ImageModel(arm.tree, GaussianRobot.from_model(arm, count=2000), arm.nq, arm.nv)
    score = ContourScore.of(model, TARGET, np.zeros((120, 160, 3), np.uint8))
    work = lambda: [score(np.tile(Q, (20000, 1)), camera_pose()) for _ in range(99)]
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
# The end of a process takes a while after its finalizers.
weakref.finalize(arm, time.sleep, 0.0)
weakref.finalize(torch.nn.Module, time.sleep, 1.0)
"""


def test_a_process_ends_while_threads_score(models_root):
    """What the threads read is not freed under their hands."""
    arm = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    words = [sys.executable, "-c", ENDING, str(arm), str(Path(__file__).parent)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
