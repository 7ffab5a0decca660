"""Poses of the links before a camera, and how they move with the parameters.

A tree of links is a chain of small products, which a GPU is slow at: it stays in C++ on the CPU.
"""

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.normal_equations import ParameterColumns
from drrobot_ros.native.library import library

Matrix = NDArray[np.float64]


class LinkMotion(NamedTuple):
    """Links in the camera frame.

    Attributes:
        rotation: [L,3,3] of T_camera_link.
        translation: [L,3] of T_camera_link, m.
        center: [L,3] what a link's twist turns about, m.
        twists: [L,6,p] twist (v, w) of each link per parameter, camera axes.
    """

    rotation: Matrix
    translation: Matrix
    center: Matrix
    twists: Matrix


def forward_kinematics(tree: Any, n_links: int, nv: int, q: Matrix) -> tuple[Matrix, Matrix]:
    """Return T_base_link [L,4,4] and the Jacobians of the links' origins [L,6,nv], base frame."""
    T, J = np.empty((n_links, 4, 4)), np.empty((n_links, 6, nv))
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (q, T, J)]
    _function()(ctypes.c_void_p(tree), *pointers)
    return T, J


def link_motion(
    T: Matrix,
    jacobians: Matrix,
    centers: Matrix,
    T_camera: Matrix,
    camera_link: int,
    columns: ParameterColumns | None,
    twist_center: NDArray[np.float64] | None,
) -> LinkMotion:
    """Return the links as one camera sees them; `bodies.cpp` is the twin.

    Args:
        T: T_base_link [L,4,4].
        jacobians: of the links' origins [L,6,nv], base frame.
        centers: mean of each link's splats [L,3], link frame.
        T_camera: T_base_camera [4,4], or T_link_camera with a camera link.
        camera_link: the link that carries the camera, -1: none.
        columns: which velocities have a column; None: no twists.
        twist_center: point the camera twist turns about [3], camera frame; None: its origin.
    """
    eye = T_camera if camera_link < 0 else T[camera_link] @ T_camera
    turn, at = eye[:3, :3], eye[:3, 3]
    origin = T[:, :3, 3]
    in_base = np.einsum("lij,lj->li", T[:, :3, :3], centers) + origin
    center = (in_base - at) @ turn
    count = 0 if columns is None else columns.count
    twists = np.zeros((len(T), 6, count))
    if columns is not None:
        free = np.flatnonzero(columns.velocity_column >= 0)
        v, w = _at(jacobians[:, :, free], in_base - origin)
        if camera_link >= 0:
            carrier = np.broadcast_to(jacobians[camera_link][:, free], (len(T), 6, len(free)))
            v_eye, w_eye = _at(carrier, in_base - origin[camera_link])
            v, w = v - v_eye, w - w_eye
        column = columns.velocity_column[free]
        twists[:, :3, column] = np.einsum("ji,ljp->lip", turn, v)
        twists[:, 3:, column] = np.einsum("ji,ljp->lip", turn, w)
        first = columns.camera_column
        if first >= 0:
            # T_base_camera <- T_base_camera exp about the centre k: dp = -(v + w x (p - k)).
            arm = center if twist_center is None else center - twist_center
            twists[:, :3, first : first + 3] -= np.eye(3)
            twists[:, 3:, first + 3 : first + 6] -= np.eye(3)
            for k in range(3):
                twists[:, :3, first + 3 + k] -= np.cross(np.eye(3)[k], arm)
    rotation = np.einsum("ji,ljk->lik", turn, T[:, :3, :3])
    return LinkMotion(rotation, (origin - at) @ turn, center, twists)


def _at(jacobian: Matrix, arm: Matrix) -> tuple[Matrix, Matrix]:
    """Return velocities and angular velocities [L,3,p] at points `arm` [L,3] from the origins."""
    v, w = jacobian[:, :3], jacobian[:, 3:]
    return v + np.cross(w, arm[:, :, None], axis=1), w


@functools.cache
def _function() -> Any:
    function = library().drr_forward_kinematics
    function.restype = None
    function.argtypes = [ctypes.c_void_p] * 4
    return function
