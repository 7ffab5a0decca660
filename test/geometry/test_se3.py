"""Rigid transforms: group axioms and gradients."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from drrobot_ros.geometry import se3, so3


def twists(angle: float, n: int = 6) -> torch.Tensor:
    w = torch.randn(n, 3, dtype=torch.float64)
    w = angle * w / w.norm(dim=-1, keepdim=True)
    return torch.cat([torch.randn(n, 3, dtype=torch.float64), w], dim=-1)


ANGLES = [0.0, 1e-8, 1e-3, 0.5, 0.8, 2.0, math.pi - 1e-3]


@pytest.mark.parametrize("angle", ANGLES)
def test_exp_is_the_matrix_exponential(angle):
    xi = twists(angle)
    generator = torch.zeros(len(xi), 4, 4, dtype=torch.float64)
    generator[:, :3, :3] = so3.hat(xi[:, 3:])
    generator[:, :3, 3] = xi[:, :3]
    torch.testing.assert_close(se3.exp(xi), torch.matrix_exp(generator), atol=1e-12, rtol=0)


@pytest.mark.parametrize("angle", ANGLES)
def test_log_undoes_exp(angle):
    xi = twists(angle)
    torch.testing.assert_close(se3.log(se3.exp(xi)), xi, atol=1e-10, rtol=0)


def test_inverse():
    T = se3.exp(twists(1.3))
    identity = torch.eye(4, dtype=torch.float64).expand(6, 4, 4)
    torch.testing.assert_close(T @ se3.inverse(T), identity)
    torch.testing.assert_close(se3.inverse(T) @ T, identity)


def test_compose_places_rotation_and_translation():
    R, p = so3.exp(torch.tensor([0.1, 0.2, 0.3])), torch.tensor([1.0, 2.0, 3.0])
    T = se3.compose(R, p)
    point = torch.tensor([0.5, -0.5, 2.0])
    moved = (T @ torch.cat([point, torch.ones(1)]))[:3]
    torch.testing.assert_close(moved, R @ point + p)
    assert T[3].tolist() == [0, 0, 0, 1]


def test_adjoint_moves_twists_between_frames():
    T, xi = se3.exp(twists(0.9)), twists(0.4)
    moved = (se3.adjoint(T) @ xi[..., None]).squeeze(-1)
    torch.testing.assert_close(se3.exp(moved), T @ se3.exp(xi) @ se3.inverse(T))


@pytest.mark.parametrize("angle", [0.0, 1e-3, 0.71, 2.0, math.pi - 0.05])
def test_gradients(angle):
    xi = twists(angle, 2).requires_grad_()
    for function in (se3.exp, lambda x: se3.log(se3.exp(x)), lambda x: se3.adjoint(se3.exp(x))):
        assert gradcheck(function, xi)
        assert gradgradcheck(function, xi)
