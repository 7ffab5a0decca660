"""The C++ kernels of kinematics and dynamics as functions of tensors on the CPU, values only.

Their gradients are in `native_gradients`. The C interface is native/src/dynamics.cpp.
"""

import ctypes
import functools
import weakref
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.robot.tree import KinematicTree

POSES, POSES_BACK, JACOBIAN, JACOBIAN_BACK = 0, 1, 2, 3
INVERSE, INVERSE_BACK, MASS, MASS_BACK = 4, 5, 6, 7
FORWARD, FORWARD_BACK, INVERSE_DERIVATIVES, SOLVE_MASS = 8, 9, 10, 11

_POINTERS = (
    *("plan", "numbers", "q", "v", "a", "seed", "gravity"),
    *("out", "q_bar", "v_bar", "a_bar", "numbers_bar", "links"),
)


class _Call(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in _POINTERS),
        ("friction_velocity", ctypes.c_double),
        ("n", ctypes.c_int64),
        ("n_links", ctypes.c_int32),
        ("is_double", ctypes.c_int32),
        ("operation", ctypes.c_int32),
    ]


@functools.cache
def _library() -> ctypes.CDLL:
    from drrobot_ros.native.library import library

    lib = library()
    lib.drr_plan_create.restype = ctypes.c_void_p
    lib.drr_plan_destroy.argtypes = [ctypes.c_void_p]
    lib.drr_dynamics.argtypes = [ctypes.POINTER(_Call)]
    lib.drr_dynamics.restype = None
    return lib


class Plan:
    """A tree as the kernels know it."""

    def __init__(self, tree: KinematicTree, nq: int, nv: int) -> None:
        lib = _library()

        def pointer(array: np.ndarray) -> ctypes.c_void_p:
            return array.ctypes.data_as(ctypes.c_void_p)

        arrays = [tree.parent, tree.joint_type, tree.q_index, tree.v_index]
        sizes = [ctypes.c_int32(n) for n in (len(tree), nq, nv)]
        self.handle: int = lib.drr_plan_create(*sizes, *map(pointer, arrays))
        self.links, self.nq, self.nv = len(tree), nq, nv
        # Not at the end of the process: a thread may be reading it then.
        weakref.finalize(self, lib.drr_plan_destroy, self.handle).atexit = False

    def call(
        self,
        operation: int,
        like: Tensor,
        *,
        friction_velocity: float = 0.0,
        links: Tensor | None = None,
        **tensors: Tensor | None,
    ) -> None:
        """Run one operation on contiguous tensors [n, ...] of the dtype of `like`."""
        call = _Call(
            plan=self.handle,
            friction_velocity=friction_velocity,
            n=like.shape[0],
            n_links=self.links if links is None else links.shape[0],
            is_double=like.dtype == torch.float64,
            operation=operation,
            links=None if links is None else links.data_ptr(),
        )
        for name, tensor in tensors.items():
            if tensor is not None:
                setattr(call, name, tensor.data_ptr())
        _library().drr_dynamics(ctypes.byref(call))


class Fallback:
    """What a function needs beyond its tensors: the plan, and the torch twin of itself."""

    def __init__(
        self,
        plan: Plan,
        links: Tensor | None,
        friction_velocity: float,
        twin: Callable[..., Tensor],
    ) -> None:
        self.plan = plan
        self.links = links
        self.friction_velocity = friction_velocity
        self.twin = twin


def poses(more: Fallback, numbers: Tensor, q: Tensor) -> Tensor:
    """Return T_base_link [n, k, 4, 4], without gradients."""
    count = more.plan.links if more.links is None else len(more.links)
    out = torch.empty((q.shape[0], count, 4, 4), dtype=q.dtype)
    more.plan.call(POSES, q, links=more.links, numbers=numbers, q=q, out=out)
    return out


def jacobian(more: Fallback, numbers: Tensor, q: Tensor) -> Tensor:
    """Return Jacobians [n, k, 6, nv], without gradients."""
    count = more.plan.links if more.links is None else len(more.links)
    out = torch.empty((q.shape[0], count, 6, more.plan.nv), dtype=q.dtype)
    more.plan.call(JACOBIAN, q, links=more.links, numbers=numbers, q=q, out=out)
    return out


def mass_matrix(more: Fallback, numbers: Tensor, q: Tensor) -> Tensor:
    """Return the joint-space inertia [n, nv, nv], without gradients."""
    out = torch.empty((q.shape[0], more.plan.nv, more.plan.nv), dtype=q.dtype)
    more.plan.call(MASS, q, numbers=numbers, q=q, out=out)
    return out


def inverse_dynamics(
    more: Fallback, numbers: Tensor, q: Tensor, v: Tensor | None, a: Tensor | None, gravity: Tensor
) -> Tensor:
    """Return joint forces [n, nv], without gradients; None is zero, and quicker."""
    out = torch.empty((q.shape[0], more.plan.nv), dtype=q.dtype)
    more.plan.call(
        INVERSE,
        q,
        friction_velocity=more.friction_velocity,
        numbers=numbers,
        q=q,
        v=v,
        a=a,
        gravity=gravity,
        out=out,
    )
    return out


def forward_dynamics(
    more: Fallback, numbers: Tensor, q: Tensor, v: Tensor, tau: Tensor, gravity: Tensor
) -> Tensor:
    """Return accelerations [n, nv], without gradients."""
    out = torch.empty_like(v)
    more.plan.call(
        FORWARD,
        q,
        friction_velocity=more.friction_velocity,
        numbers=numbers,
        q=q,
        v=v,
        a=tau,
        gravity=gravity,
        out=out,
    )
    return out


def solve_mass_matrix(more: Fallback, numbers: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """Return ``M(q)^-1 x`` [n, nv], without gradients."""
    out = torch.empty_like(x)
    more.plan.call(SOLVE_MASS, q, numbers=numbers, q=q, seed=x, out=out)
    return out


def inverse_dynamics_derivatives(
    more: Fallback, numbers: Tensor, q: Tensor, v: Tensor, a: Tensor, gravity: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return d tau / d q (along the velocities), d v and d a, each [n, nv, nv]."""
    shape = (q.shape[0], more.plan.nv, more.plan.nv)
    out = [torch.empty(shape, dtype=q.dtype) for _ in range(3)]
    more.plan.call(
        INVERSE_DERIVATIVES,
        q,
        friction_velocity=more.friction_velocity,
        numbers=numbers,
        q=q,
        v=v,
        a=a,
        gravity=gravity,
        q_bar=out[0],
        v_bar=out[1],
        a_bar=out[2],
    )
    return out[0], out[1], out[2]
