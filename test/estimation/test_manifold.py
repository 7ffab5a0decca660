"""Steps on joint positions and camera poses against MuJoCo's and the exact exponentials."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from drrobot_ros.estimation import manifold
from drrobot_ros.estimation.manifold import Coordinates

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def every_joint(robot):
    return robot("every_joint.xml")


def test_integration_is_the_models(every_joint):
    model = every_joint
    coordinates = Coordinates.of(model.tree, model.nq, model.nv)
    assert len(coordinates.quaternions) == 2  # a ball and a floating joint
    for start in model.random_configuration(5, 0):
        q = start.numpy()
        v = RNG.normal(0, 0.5, model.nv)
        want = model.integrate(start, torch.from_numpy(v)).numpy()
        assert np.allclose(coordinates.integrate(q, v), want, atol=1e-12)
        assert np.allclose(coordinates.difference(q, want), v, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 2.5])
def test_exponential_is_the_matrix_exponential(scale):
    twist = RNG.normal(size=6) * scale
    M = np.zeros((4, 4))
    M[:3, :3] = manifold.hat(twist[3:])
    M[:3, 3] = twist[:3]
    assert np.allclose(manifold.exp_se3(twist), expm(M), atol=1e-12)


def test_quaternions_follow_scipy():
    for _ in range(20):
        w = RNG.normal(size=3)
        q = manifold.quat_exp(w)
        R = Rotation.from_rotvec(w).as_matrix()
        assert np.allclose(manifold.quat_from_matrix(R) * np.sign(q[0]), q)
        assert np.allclose(Rotation.from_rotvec(manifold.quat_log(q)).as_matrix(), R)


def some_pose():
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(RNG.normal(size=3)).as_matrix()
    T[:3, 3] = RNG.normal(size=3)
    return T


def test_the_camera_turns_about_the_robot():
    T = some_pose()
    center = manifold.camera_center(T)
    turned = manifold.move_camera(T, np.array([0, 0, 0, 0.1, -0.2, 0.3]), center)
    # The robot's origin stays where it is in the image.
    assert np.allclose(manifold.camera_center(turned), center)
    assert np.allclose(turned[:3, :3].T @ turned[:3, :3], np.eye(3))


def test_pose_error_and_its_derivative():
    mean = some_pose()
    T = mean @ manifold.exp_se3(np.array([0.02, -0.01, 0.03, 0.01, 0.02, -0.01]))
    center = manifold.camera_center(T)
    error, jacobian = manifold.twist_between(mean, T, center)
    assert np.allclose(error[3:], [0.01, 0.02, -0.01])
    eps = 1e-6
    for k in range(6):
        step = np.zeros(6)
        step[k] = eps
        moved, _ = manifold.twist_between(mean, manifold.move_camera(T, step, center), center)
        assert np.allclose((moved - error) / eps, jacobian[:, k], atol=0.03), k
        # Its shift is what turns a covariance about the robot into one about the lens.
        assert np.allclose((moved - error)[:3] / eps, jacobian[:3, k], atol=1e-4), k
