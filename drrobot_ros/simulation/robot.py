"""A simulated robot in front of a simulated camera, drawn by MuJoCo, without ROS."""

import dataclasses
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.simulation.bodies import add_robot
from drrobot_ros.simulation.config import SceneConfig
from drrobot_ros.simulation.renderer import Depth, Mask, Renderer, Rgb
from drrobot_ros.simulation.room import TABLE_HEIGHT_M, add_occluders, add_person, add_surroundings

_SECOND_AT_M = (0.0, 0.95, 0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """What a simulated camera saw, and the truth.

    Attributes:
        rgb: [H, W, 3] uint8.
        depth_m: [H, W] float32 along the optical axis, 0 where there is nothing; None if not asked.
        mask: [H, W] bool, true where the robot is seen (not the second one); None if not asked.
        q: [nq] true joint positions.
        T_base_camera: [4, 4] true camera pose.
    """

    rgb: Rgb
    depth_m: Depth | None
    mask: Mask | None
    q: NDArray[np.float64]
    T_base_camera: NDArray[np.float64]


class SimulatedRobot:
    """A robot in a scene, seen by a pinhole camera.

    MuJoCo's own kinematics place the links, so what is seen does not depend on ours. Nothing
    falls or collides: the robot is where `render` is told. Make, use and close it in one thread.

    Args:
        model: the robot.
        camera: intrinsics and image size.
        T_base_camera: [4, 4] camera pose, optical axes (x right, y down, z forward).
        scene: surroundings, light and noise.

    Raises:
        BackendError: there is no off-screen OpenGL; the message says what to install.
        InputError: T_base_camera is not a transform.
        ModelError: the robot has no visuals.
    """

    def __init__(
        self,
        model: RobotModel,
        camera: PinholeCamera,
        T_base_camera: NDArray[np.floating],
        scene: SceneConfig | None = None,
    ) -> None:
        self.model = model
        self.camera = camera
        self.scene = scene or SceneConfig()
        self.T_base_camera = _transform(T_base_camera)
        if not model.visuals:
            raise ModelError(f"robot {model.name!r} has no visuals to draw")
        self._rng = np.random.default_rng(self.scene.seed)
        self._kinematics = mujoco.MjData(model.mj_model)
        self._links = sorted({visual.link for visual in model.visuals})
        self._robot_bodies = [model.mj_body_id(link) for link in self._links]
        self._place(model.neutral())
        spec = mujoco.MjSpec()
        spec.compiler.degree = True
        bottom_m = self._bottom()
        self._floor_m = bottom_m - (TABLE_HEIGHT_M if self.scene.support == "table" else 0.0)
        add_surroundings(spec, self.scene, bottom_m)
        names = ["robot", "second"] if self.scene.second_robot else ["robot"]
        for name in names:
            add_robot(spec, model, name, self.scene)
        occluders = add_occluders(spec, self.scene)
        person = add_person(spec, self.scene)
        try:
            self._scene_model = spec.compile()
        except (ValueError, mujoco.FatalError) as error:
            raise ModelError(f"MuJoCo cannot draw {model.name!r}: {error}") from error
        m = self._scene_model
        self._data = mujoco.MjData(m)
        self._mocap = {n: self._mocap_ids(n) for n in names}
        self._occluders = [int(m.body_mocapid[m.body(n).id]) for n in occluders]
        self._person = -1 if person is None else int(m.body_mocapid[m.body(person).id])
        self._lights = (
            m.vis.headlight.ambient.copy(),
            m.vis.headlight.diffuse.copy(),
            m.light_diffuse.copy(),
        )
        own = {m.body(f"robot/{model.link_names[link]}").id for link in self._links}
        self._is_robot = np.append(np.isin(m.geom_bodyid, list(own)), False)  # last: no geom
        self._scatter_occluders()
        if person is not None:
            self.set_person(np.array([-1.2, 0.0]), 0.0)
        mujoco.mj_kinematics(m, self._data)
        mujoco.mj_camlight(m, self._data)
        self._renderer = Renderer(m, camera, samples=self.scene.samples)

    def __enter__(self) -> "SimulatedRobot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the graphics; nothing can be drawn afterwards."""
        self._renderer.close()

    def render(
        self,
        q: torch.Tensor | NDArray[np.floating],
        *,
        T_base_camera: NDArray[np.floating] | None = None,
        second_q: torch.Tensor | NDArray[np.floating] | None = None,
        truth: bool = True,
    ) -> Frame:
        """Return what the camera sees.

        Args:
            q: joint positions [nq].
            T_base_camera: moves the camera for this and later images.
            second_q: joint positions of the second robot; at rest if None.
            truth: also draw depth and mask, which takes about as long again as the colours.

        Raises:
            InputError: q has another size or is not finite.
            BackendError: called from another thread, or after `close`.
        """
        if T_base_camera is not None:
            self.T_base_camera = _transform(T_base_camera)
        position = self._check(q)
        if "second" in self._mocap:
            at_rest = self.model.neutral() if second_q is None else second_q
            self._place(self._check(at_rest))
            self._move("second", np.array(_SECOND_AT_M))
        self._place(position)
        self._move("robot", np.zeros(3))
        mujoco.mj_kinematics(self._scene_model, self._data)
        T_world_camera = self.model.T_world_base @ self.T_base_camera
        self._renderer.update(self._data, T_world_camera, self.scene.shadows)
        rgb = self._noisy(self._renderer.colors())
        depth, mask = None, None
        if truth:
            geoms, depth = self._renderer.segmentation_and_depth()
            mask = self._is_robot[geoms]
            depth = self._noisy_depth(depth)
        return Frame(rgb, depth, mask, position, self.T_base_camera.copy())

    def set_occluder(self, index: int, T_base_box: NDArray[np.floating]) -> None:
        """Place one of the floating boxes; by default they stay where the seed put them.

        Raises:
            InputError: there is no such box.
        """
        if not 0 <= index < len(self._occluders):
            raise InputError(f"no occluder {index}; the scene has {len(self._occluders)}")
        T = self.model.T_world_base @ _transform(T_base_box)
        self._data.mocap_pos[self._occluders[index]] = T[:3, 3]
        mujoco.mju_mat2Quat(self._data.mocap_quat[self._occluders[index]], T[:3, :3].ravel())

    def set_person(self, xy_m: NDArray[np.floating], heading_rad: float) -> None:
        """Stand the person on the floor, at a place [2] of the base frame, facing a heading.

        Raises:
            InputError: nobody is in the scene (`SceneConfig.person`).
        """
        if self._person < 0:
            raise InputError("nobody is in the scene; make it with SceneConfig(person=True)")
        T = np.eye(4)
        T[:2, 3] = np.asarray(xy_m, np.float64)
        c, s = np.cos(heading_rad), np.sin(heading_rad)
        T[:2, :2] = [[c, -s], [s, c]]
        T = self.model.T_world_base @ T
        self._data.mocap_pos[self._person] = [T[0, 3], T[1, 3], self._floor_m]
        mujoco.mju_mat2Quat(self._data.mocap_quat[self._person], T[:3, :3].ravel())

    def set_light(self, factor: float | NDArray[np.floating]) -> None:
        """Dim or brighten all lights by a factor, or by one per colour [3], against the scene's."""
        m, level = self._scene_model, np.broadcast_to(np.asarray(factor, np.float64), 3)
        if not np.isfinite(level).all() or (level < 0).any():
            raise InputError(f"a light's factor must be finite and not negative, got {factor}")
        ambient, diffuse, lamps = self._lights
        m.vis.headlight.ambient[:] = ambient * level
        m.vis.headlight.diffuse[:] = diffuse * level
        m.light_diffuse[:] = lamps * level

    def _check(self, q: Any) -> NDArray[np.float64]:
        array = np.array(
            q.detach().cpu().numpy() if isinstance(q, torch.Tensor) else q, dtype=np.float64
        )
        if array.shape != (self.model.nq,) or not np.isfinite(array).all():
            raise InputError(f"q must be {self.model.nq} finite numbers, got {q!r}")
        return array

    def _place(self, q: Any) -> None:
        self._kinematics.qpos[:] = self.model.mj_qpos(q)
        mujoco.mj_kinematics(self.model.mj_model, self._kinematics)

    def _move(self, name: str, offset: NDArray[np.float64]) -> None:
        ids = self._mocap[name]
        self._data.mocap_pos[ids] = self._kinematics.xpos[self._robot_bodies] + offset
        self._data.mocap_quat[ids] = self._kinematics.xquat[self._robot_bodies]

    def _mocap_ids(self, name: str) -> list[int]:
        m, names = self._scene_model, self.model.link_names
        return [int(m.body_mocapid[m.body(f"{name}/{names[link]}").id]) for link in self._links]

    def _bottom(self) -> float:
        """Return the height of what the robot stands on, in MuJoCo's world, m.

        An arm is mounted at height 0, whatever hangs from it; what walks stands on its feet.
        """
        if self.scene.support == "table":
            return 0.0
        lowest = np.inf
        for visual in self.model.visuals:
            body = self._robot_bodies[self._links.index(visual.link)]
            R = self._kinematics.xmat[body].reshape(3, 3)
            z = visual.vertices @ R[2] + self._kinematics.xpos[body, 2]
            lowest = min(lowest, float(z.min()))
        return lowest

    def _scatter_occluders(self) -> None:
        rng = np.random.default_rng(self.scene.seed + 2)
        eye = self.T_base_camera[:3, 3]
        middle = np.mean([self._kinematics.xpos[b] for b in self._robot_bodies], axis=0)
        middle = np.linalg.inv(self.model.T_world_base) @ np.append(middle, 1.0)
        for i in range(len(self._occluders)):
            T = np.eye(4)
            T[:3, :3], _ = np.linalg.qr(rng.normal(size=(3, 3)))
            T[:3, 0] *= np.linalg.det(T[:3, :3])
            share = rng.uniform(0.55, 0.8)
            T[:3, 3] = eye + share * (middle[:3] - eye) + rng.normal(0, 0.12, 3)
            self.set_occluder(i, T)

    def _noisy(self, rgb: Rgb) -> Rgb:
        if self.scene.noise == 0:
            return rgb
        noise = self._rng.standard_normal(rgb.shape, dtype=np.float32) * (255 * self.scene.noise)
        return np.clip(rgb + noise + 0.5, 0, 255).astype(np.uint8)

    def _noisy_depth(self, depth: Depth) -> Depth:
        if self.scene.depth_noise == 0:
            return depth
        noise = self._rng.standard_normal(depth.shape, dtype=np.float32)
        return (depth + noise * (self.scene.depth_noise * depth**2)).astype(np.float32)


def _transform(T: NDArray[np.floating]) -> NDArray[np.float64]:
    array = np.array(T, dtype=np.float64)
    R = array[:3, :3] if array.shape == (4, 4) else np.zeros((3, 3))
    rigid = np.abs(R @ R.T - np.eye(3)).max() < 1e-4 and np.linalg.det(R) > 0
    if not np.isfinite(array).all() or not rigid or np.any(array[3] != [0, 0, 0, 1]):
        raise InputError(f"a pose must be a rigid transform [4, 4], got {array.tolist()}")
    return array
