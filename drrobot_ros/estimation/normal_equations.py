"""The tracker's inner loop in C++: render the robot, compare, accumulate the normal equations.

One call of :meth:`ImageModel.evaluate` does forward kinematics, projection, rasterization,
forward-mode Jacobians and the Gauss-Newton sums of one image (``native/src/gauss_newton.cpp``).
"""

import ctypes
import dataclasses
import functools
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.native.library import library

FloatImage = NDArray[np.float32]
Matrix = NDArray[np.float64]

CHANNELS = ("red", "green", "blue", "alpha", "depth")
_FLOAT = ctypes.POINTER(ctypes.c_float)
_DOUBLE = ctypes.POINTER(ctypes.c_double)
_INT = ctypes.POINTER(ctypes.c_int32)


class _View(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("fx", ctypes.c_float),
        ("fy", ctypes.c_float),
        ("cx", ctypes.c_float),
        ("cy", ctypes.c_float),
        ("near_plane", ctypes.c_float),
        ("eps2d", ctypes.c_float),
        ("inset_px", ctypes.c_float),
        ("cull", ctypes.c_float),
        ("camera_link", ctypes.c_int32),
        ("T_camera", ctypes.c_double * 16),
        ("twist_center", ctypes.c_double * 3),
        ("target", _FLOAT),
        ("color_weight", _FLOAT),
        ("background", _FLOAT),
        ("mask", _FLOAT),
        ("mask_weight", _FLOAT),
        ("weight", _FLOAT),
        ("depth", _FLOAT),
        ("color_sigma", ctypes.c_float),
        ("mask_sigma", ctypes.c_float),
        ("depth_sigma", ctypes.c_float),
        ("robust", ctypes.c_float),
        ("gain", ctypes.c_float * 3),
        ("bias", ctypes.c_float * 3),
        ("blur_radius", ctypes.c_int32),
        ("blur_passes", ctypes.c_int32),
    )


class _Parameters(ctypes.Structure):
    _fields_ = (
        ("n", ctypes.c_int32),
        ("velocity_column", _INT),
        ("camera_column", ctypes.c_int32),
        ("cutoff", ctypes.c_float),
    )


class Statistics(ctypes.Structure):
    """What one evaluation says of the residuals; see ``drr_statistics`` in gauss_newton.hpp."""

    _fields_ = (
        ("cost", ctypes.c_double),
        ("color_cost", ctypes.c_double),
        ("mask_cost", ctypes.c_double),
        ("depth_cost", ctypes.c_double),
        ("color_count", ctypes.c_double),
        ("mask_count", ctypes.c_double),
        ("depth_count", ctypes.c_double),
        ("inside", ctypes.c_double),
        ("inside_error", ctypes.c_double),
        ("intersection", ctypes.c_double),
        ("union", ctypes.c_double),
        ("depth_inliers", ctypes.c_double),
        ("fit", (ctypes.c_double * 5) * 3),
        ("n_visible", ctypes.c_int32),
    )


class _Images(ctypes.Structure):
    _fields_ = (("rgb", _FLOAT), ("alpha", _FLOAT), ("depth", _FLOAT), ("jacobian", _FLOAT))


@dataclasses.dataclass(frozen=True)
class ImageTarget:
    """One observed image at one pyramid level, and how the residuals weigh.

    Attributes:
        K: intrinsics of this level, [3,3] px.
        width: px.
        height: px.
        color: observed colour [H,W,3] 0..1, or None: no colour residual.
        color_weight: trust in the colours [H,W] 0..1; None: 1.
        background: what is behind the robot [H,W,3]; None: the observed colour itself.
        mask: probability that a pixel shows the robot [H,W], or None: no silhouette residual.
        mask_weight: trust in the mask [H,W] 0..1; None: 1.
        weight: 0 where a pixel is to be ignored [H,W]; None: 1.
        depth: observed depth along the optical axis [H,W] m, 0 or NaN unknown; None: no residual.
        color_sigma: noise of a colour channel, 0..1.
        mask_sigma: noise of the silhouette's alpha, 0..1.
        depth_sigma: noise of the depth, m.
        robust: Huber threshold in sigmas.
        gain: seen colour = gain * splat colour + bias, per channel.
        bias: see gain.
        blur_radius: radius of the box blur of colour and mask residuals, px; 0: none.
        blur_passes: how often the box blur is applied.
        camera_link: index of the link that carries the camera, -1: fixed to the base.
        eps2d: dilation of every splat on the image, px^2.
        inset_px: splats move inward along their normals by this much on the image, because
            dilation and overlap push the rendered contour outward; 0 renders them where they are.
        cull: splats whose normal leaves the camera by more than this cosine are not drawn; 1 draws
            all.
    """

    K: Matrix
    width: int
    height: int
    color: FloatImage | None = None
    color_weight: FloatImage | None = None
    background: FloatImage | None = None
    mask: FloatImage | None = None
    mask_weight: FloatImage | None = None
    weight: FloatImage | None = None
    depth: FloatImage | None = None
    color_sigma: float = 0.1
    mask_sigma: float = 0.2
    depth_sigma: float = 0.01
    robust: float = 1.5
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    blur_radius: int = 0
    blur_passes: int = 2
    camera_link: int = -1
    eps2d: float = 0.3
    inset_px: float = 0.0
    cull: float = 1.0


@dataclasses.dataclass(frozen=True)
class ParameterColumns:
    """Which velocities are estimated: a column per joint velocity, -1 where it is held fixed."""

    velocity_column: NDArray[np.int32]
    camera_column: int = -1

    @property
    def count(self) -> int:
        """Number of columns."""
        joints = int((self.velocity_column >= 0).sum())
        return joints + (6 if self.camera_column >= 0 else 0)

    @classmethod
    def make(cls, nv: int, free: NDArray[np.bool_], camera: bool) -> "ParameterColumns":
        """Return columns for the free ones of nv velocities, then six for the camera twist."""
        columns = np.full(nv, -1, np.int32)
        columns[free] = np.arange(int(free.sum()), dtype=np.int32)
        return cls(columns, int(free.sum()) if camera else -1)


@dataclasses.dataclass
class Evaluation:
    """Normal equations ``H dx = -g`` [p,p], [p] and the statistics of the residuals."""

    H: Matrix | None
    g: NDArray[np.float64] | None
    statistics: Statistics


@dataclasses.dataclass
class RenderedImages:
    """Premultiplied colour [H,W,3], alpha [H,W], depth x alpha [H,W], Jacobians [H,W,5,p]."""

    rgb: FloatImage
    alpha: FloatImage
    depth: FloatImage
    jacobian: FloatImage | None


class ImageModel:
    """A robot's kinematic tree and its Gaussians, held by the C++ side.

    Args:
        tree: the robot's :class:`~drrobot_ros.robot.KinematicTree`.
        gaussians: a :class:`~drrobot_ros.splats.GaussianRobot` of the same links.
        nq: number of joint positions.
        nv: number of joint velocities.
        colors: three channels per splat [n,3] in place of the colours, e.g. part labels.
    """

    def __init__(
        self,
        tree: Any,
        gaussians: Any,
        nq: int,
        nv: int,
        colors: NDArray[np.floating] | None = None,
    ) -> None:
        self._lib = _functions()
        self.nq, self.nv = nq, nv
        self.n_links = len(tree.link_names)
        arrays = [
            tree.parent,
            tree.joint_type,
            tree.T_parent_joint,
            tree.axis,
            tree.T_joint_link,
            tree.q_index,
            tree.v_index,
            tree.mimic_multiplier,
            tree.mimic_offset,
        ]
        self._tree = self._lib.drr_tree_create(
            self.n_links, self.nq, self.nv, *[_pointer(a) for a in arrays]
        )
        parts = [
            _f32(gaussians.means),
            _f32(gaussians.quats),
            _f32(gaussians.scales),
            _f32(gaussians.opacities),
            _f32(gaussians.colors if colors is None else colors),
            _f32(gaussians.normals),
            np.ascontiguousarray(np.asarray(gaussians.link_index), np.int32),
        ]
        self.count = len(parts[0])
        self._splats = self._lib.drr_splats_create(
            self.count, self.n_links, *[_pointer(a) for a in parts]
        )
        # Not at the end of the process: a thread may be reading them then.
        weakref.finalize(self, self._lib.drr_tree_destroy, self._tree).atexit = False
        weakref.finalize(self, self._lib.drr_splats_destroy, self._splats).atexit = False

    def set_colors(self, colors: NDArray[np.floating]) -> None:
        """Give the splats other colours [n,3], e.g. those that a light makes of them in a pose.

        Raises:
            InputError: a wrong size.
        """
        colors = _f32(colors)
        if colors.shape != (self.count, 3):
            raise InputError(f"colors must be {[self.count, 3]}, got {list(colors.shape)}")
        self._lib.drr_splats_set_colors(self._splats, _pointer(colors))

    def evaluate(
        self,
        q: NDArray[np.float64],
        T_camera: Matrix,
        target: ImageTarget,
        columns: ParameterColumns | None = None,
        *,
        twist_center: NDArray[np.float64] | None = None,
        cutoff: float = 0.003,
    ) -> Evaluation:
        """Render the robot and compare it with one image.

        Args:
            q: joint positions [nq].
            T_camera: T_base_camera [4,4], or T_link_camera where ``target.camera_link >= 0``.
            target: the observed image.
            columns: which velocities get a column; None: statistics only.
            twist_center: point the camera twist turns about, camera frame [3] m.
            cutoff: splats that weigh less in a pixel have no derivative there; 0: exact.

        Returns:
            The sums over pixels, with residuals in units of their noise. The camera's update is
            ``T_camera <- T_camera * C * exp(dx) * C^-1`` with C the translation to the centre.
        """
        view, keep = self._view(T_camera, target, twist_center)
        n = columns.count if columns else 0
        H = np.zeros((n, n)) if n else None
        g = np.zeros(n) if n else None
        statistics = Statistics()
        self._call(q, view, columns, cutoff, H, g, statistics, None)
        del keep
        return Evaluation(H, g, statistics)

    def images(
        self,
        q: NDArray[np.float64],
        T_camera: Matrix,
        target: ImageTarget,
        columns: ParameterColumns | None = None,
        *,
        twist_center: NDArray[np.float64] | None = None,
        cutoff: float = 0.0,
    ) -> RenderedImages:
        """Render the robot; with columns also the Jacobian images of every channel."""
        view, keep = self._view(T_camera, target, twist_center)
        h, w = target.height, target.width
        out = RenderedImages(
            np.zeros((h, w, 3), np.float32),
            np.zeros((h, w), np.float32),
            np.zeros((h, w), np.float32),
            np.zeros((h, w, 5, columns.count), np.float32) if columns else None,
        )
        images = _Images(
            _pointer(out.rgb), _pointer(out.alpha), _pointer(out.depth), _pointer(out.jacobian)
        )
        self._call(q, view, columns, cutoff, None, None, Statistics(), images)
        del keep
        return out

    def region_scores(
        self,
        q: NDArray[np.float64],
        T_camera: NDArray[np.float64],
        target: ImageTarget,
        cluster: NDArray[np.uint8],
        palette: FloatImage,
        band_px: int,
    ) -> NDArray[np.float64]:
        """Score hypotheses by the mutual information of rendered labels and seen colours.

        A label is a colour of the robot's palette, or the band around the robot; the score is the
        mutual information with the colour cluster of the pixel, times the number of pixels. It
        needs neither mask nor light: unlike a mask made
        from the current estimate, it does not confirm a wrong one.

        Args:
            q: joint positions [n, nq].
            T_camera: camera pose [4,4], or one per hypothesis [n,4,4].
            target: intrinsics, size and pixel weights; its images are not used.
            cluster: colour cluster of every pixel [H,W].
            palette: colours of the robot [m,3] 0..1.
            band_px: width of the band, px.

        Returns:
            Scores [n]; higher is better.
        """
        q = np.ascontiguousarray(q, np.float64)
        if q.ndim != 2 or q.shape[1] != self.nq:
            raise InputError(f"hypotheses must be [n, {self.nq}], got {list(q.shape)}")
        T = np.ascontiguousarray(T_camera, np.float64)
        each = T.ndim == 3
        if each and len(T) != len(q):
            raise InputError(f"{len(q)} joint hypotheses but {len(T)} camera hypotheses")
        cluster = np.ascontiguousarray(cluster, np.uint8)
        if cluster.shape != (target.height, target.width):
            raise InputError(f"cluster must be {[target.height, target.width]}")
        palette = np.ascontiguousarray(palette, np.float32)
        view, keep = self._view(T.reshape(-1, 4, 4)[0], target, None)
        out = np.zeros(len(q))
        self._lib.drr_region_scores(
            self._tree,
            self._splats,
            len(q),
            _pointer(q),
            _pointer(T) if each else None,
            ctypes.byref(view),
            cluster.ctypes.data,
            int(cluster.max(initial=0)) + 1,
            _pointer(palette),
            len(palette),
            band_px,
            _pointer(out),
        )
        del keep
        return out

    def _call(
        self,
        q: NDArray[np.float64],
        view: _View,
        columns: ParameterColumns | None,
        cutoff: float,
        H: Matrix | None,
        g: NDArray[np.float64] | None,
        statistics: Statistics,
        images: _Images | None,
    ) -> None:
        q = np.ascontiguousarray(q, np.float64)
        if q.shape != (self.nq,):
            raise InputError(f"q must have {self.nq} values, got shape {list(q.shape)}")
        n = columns.count if columns else 0
        limit = self._lib.drr_max_parameters()
        if n > limit:
            raise InputError(f"{n} parameters at once; at most {limit} are possible")
        parameters = _Parameters(
            n,
            _pointer(columns.velocity_column) if columns else None,
            columns.camera_column if columns else -1,
            cutoff,
        )
        self._lib.drr_evaluate(
            self._tree,
            self._splats,
            _pointer(q),
            ctypes.byref(view),
            ctypes.byref(parameters),
            _pointer(H),
            _pointer(g),
            ctypes.byref(statistics),
            ctypes.byref(images) if images else None,
        )

    def _view(
        self, T_camera: Matrix, target: ImageTarget, center: NDArray[np.float64] | None
    ) -> tuple[_View, list[Any]]:
        h, w = target.height, target.width
        shapes = {
            "color": (h, w, 3),
            "color_weight": (h, w),
            "background": (h, w, 3),
            "mask": (h, w),
            "mask_weight": (h, w),
            "weight": (h, w),
            "depth": (h, w),
        }
        planes: dict[str, FloatImage | None] = {}
        for name, shape in shapes.items():
            value = getattr(target, name)
            if value is not None:
                value = np.ascontiguousarray(value, np.float32)
                if value.shape != shape:
                    raise InputError(f"{name} must be {list(shape)}, got {list(value.shape)}")
            planes[name] = value
        K = target.K
        view = _View(
            width=w,
            height=h,
            fx=K[0, 0],
            fy=K[1, 1],
            cx=K[0, 2],
            cy=K[1, 2],
            near_plane=0.01,
            eps2d=target.eps2d,
            inset_px=target.inset_px,
            cull=target.cull,
            camera_link=target.camera_link,
            T_camera=(ctypes.c_double * 16)(*np.asarray(T_camera, np.float64).ravel()),
            twist_center=(ctypes.c_double * 3)(*(np.zeros(3) if center is None else center)),
            target=_pointer(planes["color"]),
            color_weight=_pointer(planes["color_weight"]),
            background=_pointer(planes["background"]),
            mask=_pointer(planes["mask"]),
            mask_weight=_pointer(planes["mask_weight"]),
            weight=_pointer(planes["weight"]),
            depth=_pointer(planes["depth"]),
            color_sigma=target.color_sigma,
            mask_sigma=target.mask_sigma,
            depth_sigma=target.depth_sigma,
            robust=target.robust,
            gain=(ctypes.c_float * 3)(*target.gain),
            bias=(ctypes.c_float * 3)(*target.bias),
            blur_radius=target.blur_radius,
            blur_passes=target.blur_passes,
        )
        return view, list(planes.values())


def _f32(values: Any) -> FloatImage:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.ascontiguousarray(values, np.float32)


def _pointer(array: NDArray[Any] | None) -> Any:
    if array is None:
        return None
    kind = {"float32": _FLOAT, "float64": _DOUBLE, "int32": _INT}[array.dtype.name]
    return array.ctypes.data_as(kind)


@functools.cache
def _functions() -> ctypes.CDLL:
    # Once, and each list of types whole: another thread may be calling.
    lib = library()
    lib.drr_tree_create.restype = ctypes.c_void_p
    lib.drr_tree_create.argtypes = [
        *[ctypes.c_int32] * 3,
        *[_INT, _INT, _DOUBLE, _DOUBLE, _DOUBLE, _INT, _INT, _DOUBLE, _DOUBLE],
    ]
    lib.drr_tree_destroy.argtypes = [ctypes.c_void_p]
    lib.drr_splats_create.restype = ctypes.c_void_p
    lib.drr_splats_create.argtypes = [ctypes.c_int32, ctypes.c_int32, *[_FLOAT] * 6, _INT]
    lib.drr_splats_destroy.argtypes = [ctypes.c_void_p]
    lib.drr_splats_set_colors.restype = None
    lib.drr_splats_set_colors.argtypes = [ctypes.c_void_p, _FLOAT]
    pointer = ctypes.c_void_p
    lib.drr_evaluate.restype = ctypes.c_int32
    lib.drr_evaluate.argtypes = [
        *[pointer] * 2,
        _DOUBLE,
        *[pointer] * 2,
        *[_DOUBLE] * 2,
        *[pointer] * 2,
    ]
    lib.drr_region_scores.restype = None
    lib.drr_region_scores.argtypes = [
        *[pointer] * 2,
        ctypes.c_int32,
        *[_DOUBLE] * 2,
        *[pointer] * 2,
        ctypes.c_int32,
        _FLOAT,
        *[ctypes.c_int32] * 2,
        _DOUBLE,
    ]
    return lib
