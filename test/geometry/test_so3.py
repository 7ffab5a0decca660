"""Rotations: group axioms, agreement with SciPy, gradients where they are hard."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck, gradgradcheck

from drrobot_ros.geometry import so3

ANGLES = [0.0, 1e-9, 1e-4, 0.1, 0.7, 0.72, 1.5, 3.0, math.pi - 1e-3]


def vectors(angle: float, n: int = 8) -> torch.Tensor:
    axis = torch.randn(n, 3, dtype=torch.float64)
    return angle * axis / axis.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("angle", ANGLES)
def test_exp_is_the_rotation_scipy_makes(angle):
    w = vectors(angle)
    expected = Rotation.from_rotvec(w.numpy()).as_matrix()
    np.testing.assert_allclose(so3.exp(w).numpy(), expected, atol=1e-14)
    q = Rotation.from_rotvec(w.numpy()).as_quat(scalar_first=True)
    np.testing.assert_allclose(so3.quat_exp(w).numpy(), q, atol=1e-14)


@pytest.mark.parametrize("angle", ANGLES)
def test_log_undoes_exp(angle):
    w = vectors(angle)
    # Near pi the matrix determines the angle only to the square root of the rounding error.
    atol = 1e-11 if angle > 3.1 else 1e-13
    torch.testing.assert_close(so3.log(so3.exp(w)), w, atol=atol, rtol=0)
    torch.testing.assert_close(so3.quat_log(so3.quat_exp(w)), w, atol=1e-13, rtol=0)


def test_both_quaternions_of_a_rotation_have_one_log():
    q = so3.quat_exp(vectors(2.0))
    torch.testing.assert_close(so3.quat_log(-q), so3.quat_log(q))


def test_log_of_half_turns_is_pi_long():
    oblique = torch.tensor([0.6, -0.8, 0.0], dtype=torch.float64)
    for axis in [*torch.eye(3, dtype=torch.float64), oblique]:
        R = 2 * torch.outer(axis, axis) - torch.eye(3, dtype=torch.float64)
        w = so3.log(R)
        torch.testing.assert_close(w.norm(), torch.tensor(math.pi, dtype=torch.float64))
        torch.testing.assert_close(so3.exp(w), R, atol=1e-12, rtol=0)


def test_quaternions_multiply_as_their_matrices():
    a, b = torch.randn(2, 16, 4, dtype=torch.float64)
    product = so3.quat_to_matrix(so3.quat_multiply(a, b))
    torch.testing.assert_close(product, so3.quat_to_matrix(a) @ so3.quat_to_matrix(b))


def test_conjugate_is_the_inverse():
    q = so3.quat_exp(vectors(1.0))
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(8, 4)
    torch.testing.assert_close(so3.quat_multiply(q, so3.quat_conjugate(q)), identity)


def test_matrix_to_quat_takes_every_branch():
    q = torch.nn.functional.normalize(torch.randn(500, 4, dtype=torch.float64), dim=-1)
    q = torch.cat([q, torch.eye(4, dtype=torch.float64)])
    found = so3.matrix_to_quat(so3.quat_to_matrix(q))
    assert set(so3.quat_to_matrix(q).diagonal(dim1=-2, dim2=-1).argmax(-1).tolist()) == {0, 1, 2}
    expected = torch.where(q[:, :1] < 0, -q, q)
    torch.testing.assert_close(found[:-4], expected[:-4])
    torch.testing.assert_close(found[-4:], expected[-4:])
    assert (found[:, 0] >= 0).all()


def test_quaternions_need_not_be_unit():
    q = torch.tensor([0.3, -0.4, 0.5, 0.1], dtype=torch.float64)
    torch.testing.assert_close(so3.quat_to_matrix(7 * q), so3.quat_to_matrix(q))


@pytest.mark.parametrize("angle", [0.0, 1e-3, 0.5, 0.71, 2.0, math.pi - 0.05])
def test_gradients(angle):
    w = vectors(angle, 3).requires_grad_()
    for function in (so3.exp, so3.quat_exp, lambda x: so3.log(so3.exp(x))):
        assert gradcheck(function, w)
        assert gradgradcheck(function, w)


def test_second_derivative_at_zero_is_finite_in_float32():
    w = torch.zeros(3, requires_grad=True)
    for function in (so3.exp, so3.quat_exp, lambda x: so3.log(so3.exp(x))):
        hessian = torch.autograd.functional.hessian(lambda x, f=function: f(x).sum(), w)
        assert torch.isfinite(torch.as_tensor(hessian)).all()


def test_float32_is_accurate_everywhere():
    for angle in (1e-4, 0.01, 0.3, 0.7, 0.72, 1.0, 2.5):
        w = vectors(angle)
        error = so3.exp(w.float()).double() - so3.exp(w)
        assert error.abs().max() < 5e-7
        assert (so3.log(so3.exp(w.float())).double() - w).abs().max() < 2e-6


def test_batches_broadcast():
    assert so3.exp(torch.zeros(2, 1, 5, 3)).shape == (2, 1, 5, 3, 3)
    assert so3.matrix_to_quat(torch.eye(3).expand(4, 2, 3, 3)).shape == (4, 2, 4)
    assert so3.log(torch.eye(3)).shape == (3,)
