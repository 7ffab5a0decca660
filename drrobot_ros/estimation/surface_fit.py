"""Registration of the robot's surface to a depth image in C++, thousands of hypotheses a second.

One call of :meth:`SurfaceFit.fit` takes many hypotheses (joints and camera pose), lets each
slide onto the nearest surfaces seen and scores it (``native/src/surface_fit.hpp``).
"""

import ctypes
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.depth_scene import DepthScene
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel
from drrobot_ros.native.library import library

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

DISC_COVERAGE = 0.85

_FLOAT = ctypes.POINTER(ctypes.c_float)
_DOUBLE = ctypes.POINTER(ctypes.c_double)
_INT = ctypes.POINTER(ctypes.c_int32)


@dataclasses.dataclass(frozen=True)
class FitStage:
    """A few steps at one scale.

    Attributes:
        iterations: Gauss-Newton steps.
        scale: of Geman and McClure's robust function, m: surfaces farther away hardly attract.
        spring: weight of the distance along the surface against that across it.
        min_cosine: of the normals of two surfaces that may belong together.
    """

    iterations: int
    scale: float
    spring: float
    min_cosine: float


@dataclasses.dataclass(frozen=True)
class FitScore:
    """How a hypothesis is scored, in m^2 of the robot's surface as the camera sees it.

    Attributes:
        tolerance: distance at which a point half fits, m.
        min_cosine: of the normals of two surfaces that fit.
        free_space: penalty of a point the camera looks through.
        hidden: penalty of a point behind what is seen.
    """

    tolerance: float = 0.015
    min_cosine: float = 0.5
    free_space: float = 1.0
    hidden: float = 0.3


@dataclasses.dataclass(frozen=True)
class FitPrior:
    """What is known beside the image; weights in m^4 per squared rad or m, see the header.

    Attributes:
        joint_weight: of the distance of every velocity coordinate from its start [nv].
        T_camera: expected camera pose [4,4].
        camera_weight: of the camera's shift and turn from it.
    """

    joint_weight: Vector
    T_camera: Matrix
    camera_weight: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class FitResult:
    """Hypotheses after the fit.

    Attributes:
        q: joint positions [n,nq].
        T_camera: camera poses [n,4,4].
        score: explained area less what is missing [n] m^2.
        explained: area that is seen where it should be [n] m^2.
        visible: area that should be seen [n] m^2.
    """

    q: Matrix
    T_camera: NDArray[np.float64]
    score: Vector
    explained: Vector
    visible: Vector

    def take(self, index: Any) -> "FitResult":
        """Return the chosen hypotheses, in that order."""
        return FitResult(*(getattr(self, f.name)[index] for f in dataclasses.fields(self)))

    def joined(self, other: "FitResult") -> "FitResult":
        """Return these hypotheses and others."""
        return FitResult(
            *(
                np.concatenate([getattr(self, f.name), getattr(other, f.name)])
                for f in dataclasses.fields(self)
            )
        )


class _Surface(ctypes.Structure):
    _fields_ = (
        ("n", ctypes.c_int32),
        ("mean", _FLOAT),
        ("normal", _FLOAT),
        ("area", _FLOAT),
        ("link", _INT),
    )


class _Scene(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("fx", ctypes.c_float),
        ("fy", ctypes.c_float),
        ("cx", ctypes.c_float),
        ("cy", ctypes.c_float),
        ("depth", _FLOAT),
        ("size", ctypes.c_int32 * 3),
        ("origin", ctypes.c_float * 3),
        ("cell", ctypes.c_float),
        ("nearest", _INT),
        ("sample", _FLOAT),
    )


class _Stage(ctypes.Structure):
    _fields_ = (
        ("iterations", ctypes.c_int32),
        ("scale", ctypes.c_float),
        ("spring", ctypes.c_float),
        ("min_cosine", ctypes.c_float),
    )


class _Problem(ctypes.Structure):
    _fields_ = (
        ("v_to_q", _INT),
        ("lower", _DOUBLE),
        ("upper", _DOUBLE),
        ("joint_weight", _DOUBLE),
        ("T_prior", ctypes.c_double * 16),
        ("camera_weight", ctypes.c_double * 2),
        ("camera_free", ctypes.c_int32),
        ("damping", ctypes.c_float),
        ("max_step", ctypes.c_float),
    )


class _Score(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_float) for name in ("tolerance", "min_cosine", "free_space", "hidden")
    )


class SurfaceFit:
    """Points of a robot's surface, ready to be fitted to depth images.

    Joints that turn a quaternion are held where they are.

    Args:
        model: the robot.
        gaussians: its splats; their centres are the points.
        count: how many points.
    """

    def __init__(self, model: Any, gaussians: Any, count: int = 600) -> None:
        few = gaussians.subset(count)
        self._model = ImageModel(model.tree, few, model.nq, model.nv)
        self._limits = (
            np.ascontiguousarray(model.lower, np.float64),
            np.ascontiguousarray(model.upper, np.float64),
        )
        self.coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        link = np.asarray(few.link_index)
        order = np.argsort(link, kind="stable")
        scales = np.sort(np.asarray(few.scales)[order], axis=1)
        # A disc's standard deviations are a share of the radius of the cell it stands for.
        area = scales[:, 1] * scales[:, 2] * np.float32(np.pi / DISC_COVERAGE**2)
        self.means = np.ascontiguousarray(np.asarray(few.means)[order], np.float32)
        self.normals = np.ascontiguousarray(np.asarray(few.normals)[order], np.float32)
        self.area = np.ascontiguousarray(area, np.float32)
        self.link = np.ascontiguousarray(link[order], np.int32)
        self._lib = _functions()

    def fit(
        self,
        scene: DepthScene,
        q: Matrix,
        T_camera: NDArray[np.float64],
        stages: Sequence[FitStage] = (),
        score: FitScore | None = None,
        *,
        joints: NDArray[np.bool_] | None = None,
        camera: bool = False,
        prior: FitPrior | None = None,
        damping: float = 0.02,
        max_step: float = 0.2,
    ) -> FitResult:
        """Fit hypotheses to a depth image, and score them.

        Args:
            scene: the depth image.
            q: joint positions [n,nq].
            T_camera: T_base_camera [4,4], or one per hypothesis [n,4,4].
            stages: steps, coarse to fine; none: the hypotheses are scored as they are.
            score: how they are scored.
            joints: which velocity coordinates move [nv]; None: all.
            camera: whether the camera moves.
            prior: what is known beside the image.
            damping: relative to the normal matrix's diagonal.
            max_step: largest change of a coordinate in one step, rad or m.

        Raises:
            InputError: arrays of a wrong shape.
        """
        q = np.array(q, np.float64, order="C")
        nq, nv = self._model.nq, self._model.nv
        if q.ndim != 2 or q.shape[1] != nq:
            raise InputError(f"hypotheses must be [n, {nq}], got {list(q.shape)}")
        n = len(q)
        if np.shape(T_camera) not in ((4, 4), (n, 4, 4)):
            raise InputError(f"T_camera must be [4,4] or [{n},4,4], got {list(np.shape(T_camera))}")
        T = np.array(np.broadcast_to(T_camera, (n, 4, 4)), np.float64, order="C")
        if prior is None:
            prior = FitPrior(np.zeros(nv), np.eye(4))
        v_to_q = np.ascontiguousarray(self.coordinates.v_to_q, np.int32)
        if joints is not None:
            v_to_q = np.where(joints, v_to_q, -1).astype(np.int32)
        weight = np.ascontiguousarray(prior.joint_weight, np.float64)
        problem = _Problem(
            _pointer(v_to_q),
            _pointer(self._limits[0]),
            _pointer(self._limits[1]),
            _pointer(weight),
            (ctypes.c_double * 16)(*np.asarray(prior.T_camera, np.float64).ravel()),
            (ctypes.c_double * 2)(*prior.camera_weight),
            int(camera),
            damping,
            max_step,
        )
        surface = _Surface(
            len(self.link),
            _pointer(self.means),
            _pointer(self.normals),
            _pointer(self.area),
            _pointer(self.link),
        )
        seen = _Scene(
            scene.depth.shape[1],
            scene.depth.shape[0],
            scene.K[0, 0],
            scene.K[1, 1],
            scene.K[0, 2],
            scene.K[1, 2],
            _pointer(scene.depth),
            (ctypes.c_int32 * 3)(*scene.nearest.shape[::-1]),
            (ctypes.c_float * 3)(*scene.origin),
            scene.cell,
            _pointer(scene.nearest),
            _pointer(scene.samples),
        )
        steps = (_Stage * max(1, len(stages)))(*[_Stage(*dataclasses.astuple(s)) for s in stages])
        rule = _Score(*dataclasses.astuple(score or FitScore()))
        out = np.zeros((n, 3))
        self._lib.drr_fit_surface(
            self._model._tree,
            ctypes.byref(surface),
            ctypes.byref(seen),
            ctypes.byref(problem),
            len(stages),
            steps,
            ctypes.byref(rule),
            n,
            _pointer(q),
            _pointer(T),
            _pointer(out),
        )
        return FitResult(q, T, out[:, 0], out[:, 1], out[:, 2])


def _pointer(array: NDArray[Any]) -> Any:
    kind = {"float32": _FLOAT, "float64": _DOUBLE, "int32": _INT}[array.dtype.name]
    return array.ctypes.data_as(kind)


@functools.cache
def _functions() -> ctypes.CDLL:
    lib = library()
    pointer = ctypes.c_void_p
    lib.drr_fit_surface.restype = None
    lib.drr_fit_surface.argtypes = [
        *[pointer] * 4,
        ctypes.c_int32,
        *[pointer] * 2,
        ctypes.c_int32,
        *[_DOUBLE] * 3,
    ]
    return lib
