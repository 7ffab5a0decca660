"""The filter of joint motion."""

import numpy as np
import pytest

from drrobot_ros.estimation.motion import JointMotion


@pytest.mark.parametrize("dt", [1 / 30, 0.2, 0.45])
def test_noise_of_a_joint_at_rest_does_not_grow(dt):
    """Also between rare images, where the prediction's spread is bounded."""
    motion = JointMotion(1, 40.0)
    rng = np.random.default_rng(0)
    x, errors = 0.0, []
    for _ in range(200):
        step, _ = motion.predict(dt)
        seen = 0.002 * rng.normal()
        innovation = np.array([seen - (x + step[0])])
        motion.correct(innovation, np.array([1 / 0.002**2]))
        x = seen
        errors.append(abs(step[0]))
    assert max(errors) < 0.03


def test_follows_a_steady_speed():
    motion = JointMotion(1, 40.0)
    x = 0.0
    for k in range(60):
        step, _ = motion.predict(1 / 30)
        motion.correct(np.array([k / 30 - (x + step[0])]), np.array([1e6]))
        x = k / 30
    assert motion.velocity[0] == pytest.approx(1.0, abs=0.1)
