"""One place that computes: C++ on the CPU, torch everywhere else, fixed or learned numbers."""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.robot.dynamics import native, native_gradients, reference
from drrobot_ros.robot.dynamics.packing import Packing
from drrobot_ros.robot.dynamics.reference import Prepared
from drrobot_ros.robot.dynamics.structure import Structure
from drrobot_ros.robot.dynamics.values import ModelValues
from drrobot_ros.robot.tree import KinematicTree

_Key = tuple[torch.dtype, torch.device]
_NATIVE_TYPES = (torch.float32, torch.float64)


class Engine:
    """Kinematics and dynamics of one tree.

    Attributes:
        tree: what it was made from.
        nq: size of q.
        nv: size of v.
        source: returns the learned values; None while nothing is learned.
    """

    def __init__(self, tree: KinematicTree, nq: int, nv: int) -> None:
        self.tree = tree
        self.nq = nq
        self.nv = nv
        self.source: Callable[[], ModelValues] | None = None
        self._structures: dict[_Key, Structure] = {}
        self._packings: dict[_Key, Packing] = {}
        self._constants: dict[_Key, tuple[Tensor, Prepared]] = {}
        self._plan: native.Plan | None = None
        self._no_native = False
        self._calls: dict[tuple, native.Fallback] = {}

    def __getstate__(self) -> dict:
        """Leave out what is kept for speed, so that copies do not share the kernels' memory."""
        return {"tree": self.tree, "nq": self.nq, "nv": self.nv, "source": self.source}

    def __setstate__(self, state: dict) -> None:
        """Start anew with the same tree."""
        self.__init__(state["tree"], state["nq"], state["nv"])
        self.source = state["source"]

    # What is computed with -----------------------------------------------------------------------

    def check(self, q: Tensor) -> Tensor:
        """Return q as a floating-point tensor [..., nq].

        Raises:
            InputError: q has another size.
        """
        return self._checked(q, self.nq, "q")

    def check_v(self, v: Tensor, q: Tensor, name: str) -> Tensor:
        """Return a velocity, acceleration or force [..., nv] like q; errors as in `check`."""
        v = self._checked(v, self.nv, name)
        return v if v.dtype == q.dtype and v.device == q.device else v.to(q)

    def _checked(self, x: Tensor, size: int, name: str) -> Tensor:
        if not isinstance(x, Tensor):
            x = torch.as_tensor(np.asarray(x, dtype=np.float64))
        if x.ndim == 0 or x.shape[-1] != size:
            raise InputError(f"{name} must be [..., {size}], got {list(x.shape)}")
        return x if x.is_floating_point() else x.to(torch.get_default_dtype())

    def structure(self, q: Tensor) -> Structure:
        """Return the constant indices and masks for the dtype and device of q."""
        key = (q.dtype, q.device)
        if key not in self._structures:
            with outside_transforms():
                self._structures[key] = Structure(self.tree, *key)
        return self._structures[key]

    def numbers(self, q: Tensor) -> Tensor:
        """Return the packed numbers for the dtype and device of q; learned ones have gradients."""
        key = (q.dtype, q.device)
        if self.source is None:
            return self._constant(key)[0]
        return self._packing(key)(self.source().to(*key))

    def prepared(self, q: Tensor) -> Prepared:
        """Return the same, taken apart for `reference`."""
        key = (q.dtype, q.device)
        if self.source is None:
            return self._constant(key)[1]
        return Prepared(self.structure(q), self.numbers(q))

    def _packing(self, key: _Key) -> Packing:
        if key not in self._packings:
            with outside_transforms():
                self._packings[key] = Packing(self.tree, *key)
        return self._packings[key]

    def _constant(self, key: _Key) -> tuple[Tensor, Prepared]:
        found = self._constants.get(key)
        if found is None:
            with torch.no_grad(), outside_transforms():
                wide = (torch.float64, key[1])
                exact = self._packing(wide)(ModelValues.of(self.tree, *wide))
                numbers = exact.to(key[0]).contiguous()
                s = self.structure(torch.empty(0, dtype=key[0], device=key[1]))
                found = (numbers, Prepared(s, numbers))
            self._constants[key] = found
        return found

    # Which implementation ------------------------------------------------------------------------

    def uses_native(self, q: Tensor) -> bool:
        """Tell whether the C++ kernels compute for this q."""
        if q.dtype not in _NATIVE_TYPES or q.device.type != "cpu" or self._no_native:
            return False
        if torch.compiler.is_compiling() or _is_transformed(q):
            return False
        if self._plan is None:
            try:
                self._plan = native.Plan(self.tree, self.nq, self.nv)
            except BackendError as error:
                warnings.warn(
                    f"kinematics and dynamics run in torch, slowly: {error}", stacklevel=3
                )
                self._no_native = True
                return False
        return True

    def _call(self, kind: str, q: Tensor, links: tuple[int, ...] | None, slip: float):
        key = (kind, q.dtype, links, slip)
        found = self._calls.get(key)
        if found is None:
            assert self._plan is not None
            index = None if links is None else torch.tensor(links, dtype=torch.int32)
            found = native.Fallback(self._plan, index, slip, self._twin(kind, q, links, slip))
            self._calls[key] = found
        return found

    def _twin(self, kind: str, q: Tensor, links: tuple[int, ...] | None, slip: float):
        s = self.structure(q)
        rows = list(links) if links is not None else list(range(len(self.tree)))

        def poses(numbers: Tensor, q: Tensor) -> Tensor:
            T = reference.link_poses(s, Prepared(s, numbers), q)
            return T if links is None else T[..., rows, :, :]

        def jacobian(numbers: Tensor, q: Tensor) -> Tensor:
            return reference.jacobian(s, Prepared(s, numbers), q, rows, None)

        def mass(numbers: Tensor, q: Tensor) -> Tensor:
            return reference.mass_matrix(s, Prepared(s, numbers), q)

        def inverse(
            numbers: Tensor, q: Tensor, v: Tensor | None, a: Tensor | None, gravity: Tensor
        ) -> Tensor:
            zero = q.new_zeros(self.nv)
            v, a = zero if v is None else v, zero if a is None else a
            x = Prepared(s, numbers)
            return reference.inverse_dynamics(s, x, q, v, a, gravity, slip)

        def forward(numbers: Tensor, q: Tensor, v: Tensor, tau: Tensor, gravity: Tensor) -> Tensor:
            return reference.forward_dynamics(s, Prepared(s, numbers), q, v, tau, gravity, slip)

        twins = {"poses": poses, "jacobian": jacobian, "mass": mass}
        return {**twins, "inverse": inverse, "forward": forward}[kind]

    # What is computed ----------------------------------------------------------------------------

    def forward(self, q: Tensor, links: tuple[int, ...] | None = None) -> Tensor:
        """Return T_base_link [..., L, 4, 4], or of the given rows only."""
        q = self.check(q)
        if not self.uses_native(q):
            T = reference.link_poses(self.structure(q), self.prepared(q), q)
            return T if links is None else T[..., list(links), :, :]
        numbers = self.numbers(q)
        more = self._call("poses", q, links, 0.0)
        out = native_gradients.POSES(more, numbers, _flat(q))
        return _batched(out, q)

    def jacobian(self, q: Tensor, rows: list[int], point: Tensor | None = None) -> Tensor:
        """Return Jacobians [..., n, 6, nv]: linear rows first, base frame, at link `point`."""
        q = self.check(q)
        if point is not None:
            point = torch.as_tensor(point, dtype=q.dtype, device=q.device)
        if point is not None or not self.uses_native(q):
            return reference.jacobian(self.structure(q), self.prepared(q), q, rows, point)
        numbers = self.numbers(q)
        more = self._call("jacobian", q, tuple(rows), 0.0)
        out = native_gradients.JACOBIAN(more, numbers, _flat(q))
        return _batched(out, q)

    def mass_matrix(self, q: Tensor) -> Tensor:
        """Return the joint-space inertia [..., nv, nv]."""
        q = self.check(q)
        if not self.uses_native(q):
            return reference.mass_matrix(self.structure(q), self.prepared(q), q)
        numbers = self.numbers(q)
        more = self._call("mass", q, None, 0.0)
        out = native_gradients.MASS_MATRIX(more, numbers, _flat(q))
        return _batched(out, q)

    def inverse_dynamics(
        self, q: Tensor, v: Tensor | None, a: Tensor | None, gravity: Tensor, slip: float
    ) -> Tensor:
        """Return joint forces [..., nv]; v or a None is zero; slip 0 leaves resistance out."""
        q = self.check(q)
        v = None if v is None else self.check_v(v, q, "v")
        a = None if a is None else self.check_v(a, q, "a")
        q, v, a = _together(q, v, a)
        if not self.uses_native(q):
            s, x = self.structure(q), self.prepared(q)
            zero = q.new_zeros(self.nv)
            v, a = zero if v is None else v, zero if a is None else a
            return reference.inverse_dynamics(s, x, q, v, a, gravity, slip)
        numbers = self.numbers(q)
        more = self._call("inverse", q, None, slip)
        args = (_flat(q), None if v is None else _flat(v), None if a is None else _flat(a))
        out = native_gradients.INVERSE_DYNAMICS(more, numbers, *args, gravity)
        return _batched(out, q)

    def forward_dynamics(
        self, q: Tensor, v: Tensor, tau: Tensor, gravity: Tensor, slip: float
    ) -> Tensor:
        """Return accelerations [..., nv]."""
        q = self.check(q)
        v, tau = self.check_v(v, q, "v"), self.check_v(tau, q, "tau")
        q, v, tau = _together(q, v, tau)
        if not self.uses_native(q):
            s, x = self.structure(q), self.prepared(q)
            return reference.forward_dynamics(s, x, q, v, tau, gravity, slip)
        numbers = self.numbers(q)
        more = self._call("forward", q, None, slip)
        args = (_flat(q), _flat(v), _flat(tau))
        out = native_gradients.FORWARD_DYNAMICS(more, numbers, *args, gravity)
        return _batched(out, q)

    def inverse_dynamics_derivatives(
        self, q: Tensor, v: Tensor, a: Tensor, gravity: Tensor, slip: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return d tau / d q (along the velocities), d v, d a, each [..., nv, nv]; C++ only."""
        q = self.check(q).detach()
        v, a = self.check_v(v, q, "v").detach(), self.check_v(a, q, "a").detach()
        q, v, a = _together(q, v, a)
        numbers = self.numbers(q).detach()
        more = self._call("inverse", q, None, slip)
        args = (_flat(q), _flat(v), _flat(a), gravity)
        dq, dv, da = native.inverse_dynamics_derivatives(more, numbers, *args)
        shape = (*q.shape[:-1], self.nv, self.nv)
        return dq.reshape(shape), dv.reshape(shape), da.reshape(shape)


def _flat(x: Tensor) -> Tensor:
    return (x if x.ndim == 2 else x.reshape(-1, x.shape[-1])).contiguous()


def _batched(out: Tensor, q: Tensor) -> Tensor:
    """Return a flat batch's results [n, ...] in the batch shape of q."""
    return out if q.ndim == 2 else out.reshape(*q.shape[:-1], *out.shape[1:])


def _together(*tensors: Any) -> tuple[Any, ...]:
    """Broadcast the batches of tensors [..., k]; None stays None."""
    shapes = {x.shape[:-1] for x in tensors if x is not None}
    if len(shapes) == 1:
        return tensors
    batch = torch.broadcast_shapes(*shapes)
    return tuple(None if x is None else x.expand(*batch, x.shape[-1]) for x in tensors)


def outside_transforms() -> contextlib.AbstractContextManager:
    """Keep what is made inside torch.func, and kept, from being wrapped for it."""
    return torch._C._DisableFuncTorch()  # pyright: ignore


def _is_transformed(q: Tensor) -> bool:
    """Tell whether q is inside torch.func or forward-mode differentiation."""
    if torch._C._functorch.maybe_current_level() is not None:  # pyright: ignore
        return True
    return torch.autograd.forward_ad._current_level >= 0
