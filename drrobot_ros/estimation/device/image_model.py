"""The class that takes the place of `ImageModel` where the inner loop runs in torch."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.device.evaluation import COUNTS, Task, jacobian_images
from drrobot_ros.estimation.device.jacobian import Channels
from drrobot_ros.estimation.device.motion import LinkMotion, forward_kinematics, link_motion
from drrobot_ros.estimation.device.packet import pack, unpack
from drrobot_ros.estimation.device.planes import PlaneStore
from drrobot_ros.estimation.device.projection import NEAR, LinkSplats, place
from drrobot_ros.estimation.device.recording import Evaluator
from drrobot_ros.estimation.device.residuals import FIT, STATISTICS, Size, normal_sums
from drrobot_ros.estimation.normal_equations import (
    Evaluation,
    ImageModel,
    ImageTarget,
    Matrix,
    ParameterColumns,
    RenderedImages,
    Statistics,
)
from drrobot_ros.geometry import so3
from drrobot_ros.rendering import rasterize

_ALL = Channels(color=True, depth=True)


class DeviceImageModel(ImageModel):
    """An `ImageModel` that renders and compares in torch, on CUDA or for checking on the CPU.

    Results are those of the C++ loop with ``cutoff=0`` to float32's rounding. Images without
    derivatives are made by `rasterize` (gsplat on CUDA). Scores of many hypotheses stay in C++.

    Args:
        tree: as of `ImageModel`, like `gaussians`, `nq`, `nv` and `colors`.
        gaussians: the robot's splats.
        nq: number of joint positions.
        nv: number of joint velocities.
        colors: three channels per splat [n,3] in place of the colours.
        device: where to work.
        record: whether to record CUDA graphs; None: on CUDA.
    """

    def __init__(
        self,
        tree: Any,
        gaussians: Any,
        nq: int,
        nv: int,
        colors: NDArray[np.floating] | None = None,
        *,
        device: torch.device,
        record: bool | None = None,
    ) -> None:
        super().__init__(tree, gaussians, nq, nv, colors)
        self.device = device

        def sent(values: Any) -> Tensor:
            values = values.detach() if isinstance(values, Tensor) else torch.as_tensor(values)
            return values.to(device, torch.float32, copy=True)

        quat, scale = sent(gaussians.quats), sent(gaussians.scales)
        link = torch.as_tensor(np.asarray(gaussians.link_index), dtype=torch.int64)
        self._sent = LinkSplats(
            link.to(device),
            sent(gaussians.means),
            so3.quat_to_matrix(quat) * scale[:, None],
            sent(gaussians.normals),
            sent(gaussians.opacities),
            sent(gaussians.colors if colors is None else colors),
            quat,
            scale,
        )
        self._centers = np.zeros((self.n_links, 3))
        means = np.asarray(gaussians.means.detach().cpu(), np.float64)
        np.add.at(self._centers, link.numpy(), means)
        self._centers /= np.maximum(np.bincount(link, minlength=self.n_links), 1)[:, None]
        self._planes = PlaneStore(device)
        self._evaluate = Evaluator(self._sent, record)

    def set_colors(self, colors: NDArray[np.floating]) -> None:
        """Give the splats other colours [n,3], as `ImageModel.set_colors`."""
        super().set_colors(colors)
        self._sent.color.copy_(torch.from_numpy(np.ascontiguousarray(colors, np.float32)))

    @torch.no_grad()
    def evaluate(
        self,
        q: NDArray[np.float64],
        T_camera: Matrix,
        target: ImageTarget,
        columns: ParameterColumns | None = None,
        *,
        twist_center: NDArray[np.float64] | None = None,
        cutoff: float = 0.0,
    ) -> Evaluation:
        """Render the robot and compare it with one image, as `ImageModel.evaluate`.

        A cutoff leaves out single pixels of a splat, not blocks of them; it saves little here.
        """
        self._check(T_camera, target)
        motion = self._motion(q, T_camera, target, columns, twist_center)
        flat, task = pack(motion, target, cutoff), self._task(target)
        planes = self._planes.of(target)
        if columns is None or columns.count == 0:
            numbers = unpack(torch.from_numpy(flat).to(self.device), self.n_links).numbers
            image = self._rendered(motion, target, flat)
            channels = Channels(planes.color is not None, planes.depth is not None)
            wanted = [image[:, :3]] if channels.color else []
            wanted += [image[:, 3:4]] + ([image[:, 4:]] if channels.depth else [])
            out = normal_sums(torch.cat(wanted, 1), None, channels, planes, numbers, task.size)
            return Evaluation(None, None, _statistics(out.cpu().numpy(), 0))
        out = self._evaluate(planes, flat, task)
        statistics = _statistics(out[COUNTS:], int(out[COUNTS - 1]))
        p = columns.count
        sums = out[COUNTS + len(STATISTICS) + FIT :]
        return Evaluation(sums[p:].reshape(p, p).copy(), sums[:p].copy(), statistics)

    @torch.no_grad()
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
        motion = self._motion(q, T_camera, target, columns, twist_center)
        flat, jacobian = pack(motion, target, cutoff), None
        size = (target.height, target.width)
        if columns is None:
            image = self._rendered(motion, target, flat)
        else:
            sent = torch.from_numpy(flat).to(self.device)
            image, J, _ = jacobian_images(self._sent, sent, self._task(target), _ALL, None)
            jacobian = J.view(*size, _ALL.count, -1).cpu().numpy()
        channels = image.view(*size, _ALL.count).cpu().numpy()
        rgb, alpha, depth = channels[..., :3], channels[..., 3], channels[..., 4]
        rgb, alpha, depth = (np.ascontiguousarray(part) for part in (rgb, alpha, depth))
        return RenderedImages(rgb, alpha, depth, jacobian)

    def _check(self, T_camera: Matrix, target: ImageTarget) -> None:
        if not self._planes.holds(target):
            self._view(T_camera, target, None)

    def _task(self, target: ImageTarget) -> Task:
        blur = (target.blur_radius, target.blur_passes)
        return Task(Size(target.width, target.height, *blur), self.n_links)

    def _motion(
        self,
        q: NDArray[np.float64],
        T_camera: Matrix,
        target: ImageTarget,
        columns: ParameterColumns | None,
        twist_center: NDArray[np.float64] | None,
    ) -> LinkMotion:
        q = np.ascontiguousarray(q, np.float64)
        if q.shape != (self.nq,):
            raise InputError(f"q must have {self.nq} values, got shape {list(q.shape)}")
        T, jacobians = forward_kinematics(self._tree, self.n_links, self.nv, q)
        T_camera = np.asarray(T_camera, np.float64)
        return link_motion(
            T, jacobians, self._centers, T_camera, target.camera_link, columns, twist_center
        )

    def _rendered(
        self, motion: LinkMotion, target: ImageTarget, flat: NDArray[np.float32]
    ) -> Tensor:
        """Return red, green, blue, alpha and depth [H*W,5] by `rasterize`, in the camera frame."""
        splats = self._sent
        packet = unpack(torch.from_numpy(flat).to(self.device), self.n_links)
        center, facing = place(splats, packet)
        turn = so3.matrix_to_quat(torch.from_numpy(motion.rotation)).float().to(self.device)
        image, alpha, _ = rasterize(
            center,
            so3.quat_multiply(turn[splats.link], splats.quat),
            splats.scale,
            torch.where(facing, splats.opacity, 0.0),
            splats.color,
            torch.eye(4, device=self.device)[None],
            torch.from_numpy(np.array(target.K, np.float32)).to(self.device)[None],
            target.width,
            target.height,
            near_plane=NEAR,
            eps2d=target.eps2d,
            render_mode="RGB+D",
            rasterize_mode="antialiased",
        )
        return torch.cat([image[0, ..., :3], alpha[0], image[0, ..., 3:]], -1).view(-1, 5)


def _statistics(values: NDArray[np.float64], visible: int) -> Statistics:
    out = Statistics()
    for name, value in zip(STATISTICS, values, strict=False):
        setattr(out, name, float(value))
    fit = values[len(STATISTICS) : len(STATISTICS) + FIT].reshape(3, 5)
    for channel in range(3):
        for k in range(5):
            out.fit[channel][k] = float(fit[channel, k])
    out.n_visible = visible
    return out
