"""RobotModel: a robot description, ready to compute with."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError, ModelError, unknown_name
from drrobot_ros.robot.configurations import ConfigurationSpace
from drrobot_ros.robot.dynamics.engine import Engine
from drrobot_ros.robot.dynamics.model import DynamicsMixin
from drrobot_ros.robot.extract import extract
from drrobot_ros.robot.extraction import Extraction
from drrobot_ros.robot.learning import LearnableMixin
from drrobot_ros.robot.limits import effort_limits, position_limits
from drrobot_ros.robot.sources import find_file, is_mjcf, read_text
from drrobot_ros.robot.tree import Q_SIZE, KinematicTree
from drrobot_ros.robot.visuals import Visual


class RobotModel(DynamicsMixin, LearnableMixin):
    """A robot: its kinematic tree, limits and visuals, with kinematics in torch.

    Make one with `load`, `from_urdf`, `from_urdf_string`, `from_mjcf` or `from_menagerie`.

    Configurations q [..., nq] hold the independent joints in the order of `joint_names`: rad, m;
    a ball joint 4 numbers (wxyz), a floating one 7 (position, wxyz). Velocities v [..., nv] are
    MuJoCo's. Constants (limits, the tree) are NumPy float64; what is computed is torch, in the
    dtype and on the device of q. All transforms are to the frame of `base_link`.

    Attributes:
        name: of the robot.
        tree: the kinematic tree, one row per link.
        nq: size of q.
        nv: size of v.
        joint_names: one per independent joint.
        link_names: one per row of the tree.
        base_link: the link whose frame is the base frame; row 0.
        lower: [nq] position limits, -inf where there is none.
        upper: [nq] position limits, inf where there is none.
        velocity_limit: [nv] rad/s or m/s, inf where none is known.
        effort_limit: [nv] N m or N, inf where none is known.
        mj_model: the compiled MuJoCo model.
        T_world_base: [4, 4] the base in MuJoCo's world (of a left-out floating base: at rest).
    """

    def __init__(
        self,
        name: str,
        mj_model: Any,
        parts: Extraction,
        velocity_limit: np.ndarray | None = None,
    ) -> None:
        self.name = name
        self.mj_model = mj_model
        self.tree: KinematicTree = parts.tree
        self.nq: int = parts.nq
        self.nv: int = parts.nv
        self.joint_names: tuple[str, ...] = tuple(j.name for j in parts.joints)
        self.link_names: tuple[str, ...] = parts.tree.link_names
        self.base_link: str = parts.tree.link_names[0]
        self.T_world_base: np.ndarray = parts.T_world_base
        self.lower, self.upper = position_limits(mj_model, parts)
        self.effort_limit = effort_limits(mj_model, parts)
        if velocity_limit is None:
            velocity_limit = np.full(self.nv, np.inf)
        self.velocity_limit: np.ndarray = velocity_limit
        self._parts = parts
        self._kinematics = Engine(parts.tree, self.nq, self.nv)
        self._space = ConfigurationSpace(parts.joints, self.lower, self.upper)

    def __repr__(self) -> str:
        return (
            f"RobotModel({self.name!r}, nq={self.nq}, links={len(self.tree)}, "
            f"base_link={self.base_link!r})"
        )

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        package_paths: Sequence[str | Path] = (),
        base_link: str | None = None,
        missing_meshes: str = "error",
    ) -> "RobotModel":
        """Load a robot from whatever `source` is.

        Args:
            source: path of a URDF or MJCF file, or of the folder of a Menagerie robot; a string of
                URDF or MJCF; or the name of a robot of the MuJoCo Menagerie.
            package_paths: as in `from_urdf`.
            base_link: link whose frame is the base frame.
            missing_meshes: as in `from_urdf`.

        Raises:
            ModelError: as the loader of each format; a name that is none of them.
        """
        text = str(source)
        if not text.strip():
            raise ModelError("the robot description is empty")
        if "<" not in text:
            path = find_file(text)
            source, text = path, read_text(path)
        if is_mjcf(text):
            return cls.from_mjcf(source, base_link=base_link)
        options: dict[str, Any] = {
            "package_paths": package_paths,
            "base_link": base_link,
            "missing_meshes": missing_meshes,
        }
        if isinstance(source, Path):
            return cls.from_urdf(source, **options)
        return cls.from_urdf_string(text, **options)

    @classmethod
    def from_urdf(
        cls,
        path: str | Path,
        *,
        package_paths: Sequence[str | Path] = (),
        base_link: str | None = None,
        missing_meshes: str = "error",
    ) -> "RobotModel":
        """Load a URDF file; xacro must have been expanded.

        Args:
            path: of the file.
            package_paths: folders that hold, or are, the packages of ``package://`` names; after
                them ROS_PACKAGE_PATH, AMENT_PREFIX_PATH and the folders above the file are tried.
            base_link: link whose frame is the base frame, by default the root link.
            missing_meshes: ``"error"``, or ``"skip"`` to warn and leave out what cannot be read.

        Raises:
            ModelError: the file is missing or no URDF, its links are no tree, a mesh is missing.
        """
        path = Path(path).expanduser()
        return cls.from_urdf_string(
            read_text(path),
            directory=path.parent,
            where=str(path),
            package_paths=package_paths,
            base_link=base_link,
            missing_meshes=missing_meshes,
        )

    @classmethod
    def from_urdf_string(
        cls,
        text: str,
        *,
        directory: str | Path | None = None,
        where: str = "robot_description",
        package_paths: Sequence[str | Path] = (),
        base_link: str | None = None,
        missing_meshes: str = "error",
    ) -> "RobotModel":
        """Load a string of URDF, such as ROS's ``robot_description``.

        Args:
            text: the URDF.
            directory: where relative mesh names start, if anywhere.
            where: what to call the text in errors.
            package_paths: as in `from_urdf`.
            base_link: as in `from_urdf`.
            missing_meshes: as in `from_urdf`.

        Raises:
            ModelError: as `from_urdf`.
        """
        from drrobot_ros.robot.packages import FileFinder
        from drrobot_ros.robot.urdf import parse_urdf
        from drrobot_ros.robot.urdf_compile import compile_urdf, inertials_of, velocity_limits

        urdf = parse_urdf(text, where)
        finder = FileFinder(None if directory is None else Path(directory), package_paths)
        m = compile_urdf(urdf, finder, missing_meshes)
        parts = extract(m, base_link or urdf.root, inertials_of(urdf), from_urdf=True)
        return cls(urdf.name, m, parts, velocity_limits(urdf, parts.joints))

    @classmethod
    def from_mjcf(cls, source: str | Path, *, base_link: str | None = None) -> "RobotModel":
        """Load an MJCF file, or a string of MJCF.

        Args:
            source: path or XML.
            base_link: body whose frame is the base frame; by default the only body attached to the
                world if it does not move, else the world.

        Raises:
            ModelError: the file is missing, MuJoCo rejects it, or the base is unknown or moves.
        """
        from drrobot_ros.robot.mjcf import compile_mjcf, model_name

        m = compile_mjcf(source)
        return cls(model_name(m), m, extract(m, base_link))

    @classmethod
    def from_menagerie(cls, name: str, *, base_link: str | None = None) -> "RobotModel":
        """Load a robot of the MuJoCo Menagerie, e.g. ``franka_emika_panda``.

        Raises:
            ModelError: it cannot be found; the message names the robots there are.
        """
        from drrobot_ros.robot.menagerie import find_robot

        return cls.from_mjcf(find_robot(name), base_link=base_link)

    @cached_property
    def visuals(self) -> list[Visual]:
        """The coloured meshes, each in the frame of its link."""
        from drrobot_ros.robot.mj_visuals import visuals_of

        return visuals_of(self.mj_model, self._parts.row_of_body)

    def joint_q_index(self, name: str) -> int:
        """Return the first index of a joint in q.

        Raises:
            InputError: the joint is unknown, or it follows another one and has no index.
        """
        return self._parts.joints[self._joint_index(name)].q_index

    def joint_v_index(self, name: str) -> int:
        """Return the first index of a joint in v; errors as in `joint_q_index`."""
        return self._parts.joints[self._joint_index(name)].v_index

    def _joint_index(self, name: str) -> int:
        if name not in self.joint_names:
            if name in self.tree.joint_names and name:
                row = self.tree.joint_names.index(name)
                leader = next(
                    j.name for j in self._parts.joints if j.q_index == self.tree.q_index[row]
                )
                raise InputError(f"joint {name!r} follows joint {leader!r}; set that one")
            raise unknown_name("joint", name, self.joint_names)
        return self.joint_names.index(name)

    def link_index(self, link: str | int) -> int:
        """Return the row of a link, given by name or row.

        Raises:
            InputError: there is no such link.
        """
        if isinstance(link, str):
            if link not in self.link_names:
                raise unknown_name("link", link, self.link_names)
            return self.link_names.index(link)
        if not 0 <= link < len(self.tree):
            raise InputError(f"unknown link {link}; valid: 0 to {len(self.tree) - 1}")
        return int(link)

    def neutral(self) -> Tensor:
        """Return q [nq] float64 of the model at rest, moved into the limits where it is outside."""
        q = np.zeros(self.nq)
        rest = self.mj_model.qpos0
        for joint in self._parts.joints:
            source = self.mj_model.jnt_qposadr[joint.mj_joint]
            q[joint.q_slice] = rest[source : source + Q_SIZE[joint.type]]
        return torch.from_numpy(np.clip(q, self.lower, self.upper))

    def home(self) -> Tensor:
        """Return q [nq] float64 of the model's first keyframe; without one, the neutral q."""
        keys = self.mj_model.key_qpos
        if not len(keys) or not np.isfinite(keys[0]).all():
            return self.neutral()
        return torch.from_numpy(np.clip(self.q_from_mj(keys[0]), self.lower, self.upper))

    def random_configuration(self, n: int, seed: int) -> Tensor:
        """Return n configurations [n, nq] float64, uniform within the limits.

        Joints without limits: angles within pi, travel within 1 m, uniform rotations.
        """
        return self._space.random(n, seed)

    def integrate(self, q: Tensor, v: Tensor) -> Tensor:
        """Return q moved by the tangent vector v [..., nv] for unit time; limits not looked at."""
        return self._space.integrate(q, v)

    def difference(self, q0: Tensor, q1: Tensor) -> Tensor:
        """Return the v [..., nv] with ``integrate(q0, v) = q1``, by the short way round."""
        return self._space.difference(q0, q1)

    def q_from_mapping(
        self,
        positions: Mapping[str, float | Sequence[float]],
        default: Tensor | np.ndarray | None = None,
    ) -> Tensor:
        """Return q [nq] float64 from positions by joint name.

        Args:
            positions: a number per joint; 4 for a ball joint, 7 for a floating one.
            default: q of the joints not named; `neutral` if None.

        Raises:
            InputError: a joint is unknown or follows another, or has another count of numbers.
        """
        base = self.neutral() if default is None else torch.as_tensor(default)
        q = base.detach().to(torch.float64).cpu().clone()
        if q.shape != (self.nq,):
            raise InputError(f"default must be [{self.nq}], got {list(q.shape)}")
        for name, value in positions.items():
            joint = self._parts.joints[self._joint_index(name)]
            numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
            if numbers.shape != (Q_SIZE[joint.type],) or not np.isfinite(numbers).all():
                raise InputError(
                    f"joint {name!r} needs {Q_SIZE[joint.type]} finite number(s), got {value!r}"
                )
            q[joint.q_slice] = torch.from_numpy(numbers)
        return q

    def forward_kinematics(self, q: Tensor) -> Tensor:
        """Return T_base_link [..., L, 4, 4] of configurations q [..., nq].

        Rows in the order of `link_names`. Gradients of any order reach q. Quaternions in q need
        not be unit.

        Raises:
            InputError: q has another size.
        """
        return self._kinematics.forward(q)

    def jacobian(self, q: Tensor, link: str | int, point: Tensor | None = None) -> Tensor:
        """Return the Jacobian [..., 6, nv] of one link: linear rows (m) first, then angular (rad).

        Args:
            q: [..., nq].
            link: name or row.
            point: [..., 3] fixed to the link, in link coordinates, m; its origin if None.

        Returns:
            In the base frame; ``J @ v`` is the velocity of the point and the angular velocity.
            Analytic, and itself differentiable with respect to q and point.

        Raises:
            InputError: q has another size, or there is no such link.
        """
        return self._kinematics.jacobian(q, [self.link_index(link)], point).squeeze(-3)

    def jacobians(self, q: Tensor) -> Tensor:
        """Return the Jacobians [..., L, 6, nv] of all links at their origins, as `jacobian`."""
        return self._kinematics.jacobian(q, list(range(len(self.tree))))

    def mj_body_id(self, link: str | int) -> int:
        """Return the id of a link's body in `mj_model`.

        Raises:
            InputError: there is no such link, or it is the massless part of a body between two of
                its joints.
        """
        row = self.link_index(link)
        for body, body_row in self._parts.row_of_body.items():
            if body_row == row:
                return body
        raise InputError(f"link {self.link_names[row]!r} is not a body of the MuJoCo model")

    def mj_qpos(self, q: Tensor | np.ndarray) -> np.ndarray:
        """Return MuJoCo's qpos [..., mj_model.nq] of q, with the following joints set."""
        q = np.asarray(q.detach().cpu() if isinstance(q, Tensor) else q, dtype=np.float64)
        mapping = self._parts.mapping
        if self.nq == 0:
            return np.broadcast_to(mapping.q_offset, (*q.shape[:-1], len(mapping.q_offset))).copy()
        return q[..., mapping.q_source] * mapping.q_gain + mapping.q_offset

    def q_from_mj(self, qpos: np.ndarray) -> np.ndarray:
        """Return q [..., nq] of MuJoCo's qpos; the following joints are not looked at."""
        qpos = np.asarray(qpos, dtype=np.float64)
        q = np.zeros((*qpos.shape[:-1], self.nq))
        for joint in self._parts.joints:
            start = self.mj_model.jnt_qposadr[joint.mj_joint]
            q[..., joint.q_slice] = qpos[..., start : start + Q_SIZE[joint.type]]
        return q

    def mj_v_map(self) -> np.ndarray:
        """Return the matrix [mj_model.nv, nv] that gives MuJoCo's qvel of v."""
        mapping = self._parts.mapping
        result = np.zeros((len(mapping.v_source), self.nv))
        known = np.flatnonzero(mapping.v_source >= 0)
        result[known, mapping.v_source[known]] = mapping.v_gain[known]
        return result
