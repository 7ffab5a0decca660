"""From a compiled MuJoCo model to our `KinematicTree`: the one path every format takes."""

from typing import Any

import numpy as np

from drrobot_ros.errors import ModelError, unknown_name
from drrobot_ros.robot.couplings import couplings_of
from drrobot_ros.robot.extraction import Extraction, Joint, MjMapping
from drrobot_ros.robot.mj_bodies import Motion, body_names, default_base, motions_of, path_to_world
from drrobot_ros.robot.mj_math import inverse, quat_to_matrix, transform
from drrobot_ros.robot.tree import Q_SIZE, V_SIZE, JointType, KinematicTree


def extract(
    m: Any,
    base_link: str | None = None,
    inertials: dict[str, tuple[float, np.ndarray, np.ndarray]] | None = None,
    *,
    from_urdf: bool = False,
) -> Extraction:
    """Return the kinematic tree of a compiled MuJoCo model.

    Args:
        m: the model.
        base_link: name of the body that is the base. It may be any body that does not move in the
            world, or one that floats in the world alone: then its floating joint is left out.
        inertials: (mass, com, inertia) by link name, where the model's own are not the true ones.
        from_urdf: true for a model made from URDF: an equality's first joint follows the second,
            and MuJoCo's world is no link, unless the root link is called so.

    Raises:
        ModelError: the base is unknown or moves.
    """
    names = body_names(m)
    base = default_base(m)
    links = [name for name in names if not from_urdf or name in (inertials or {})]
    if base_link is not None:
        if base_link not in links:
            raise ModelError(str(unknown_name("base_link", base_link, links)))
        base = names.index(base_link)
    motions = {b: motions_of(m, b, names[b]) for b in range(m.nbody)}
    path = path_to_world(m, base, names, motions, links)
    rows = _order(m, path)
    builder = _Builder(m, names, motions, path, inertials or {}, from_urdf=from_urdf)
    for body in rows:
        builder.add_body(body)
    return builder.finish()


def _order(m: Any, path: list[int]) -> list[int]:
    """Return the bodies with a row: the base, what it hangs from, then the others in order."""
    on_path = set(path)
    others = [b for b in range(1, m.nbody) if b not in on_path]
    return path + others


class _Builder:
    """Collects the rows of the tree and the mapping to MuJoCo's coordinates."""

    def __init__(
        self,
        m: Any,
        names: list[str],
        motions: dict[int, list[Motion]],
        path: list[int],
        inertials: dict[str, tuple[float, np.ndarray, np.ndarray]],
        *,
        from_urdf: bool,
    ) -> None:
        self.m = m
        self.names = names
        self.motions = motions
        self.path = path
        self.inertials = inertials
        self.couplings = couplings_of(m, first_follows=from_urdf)
        self.rows: list[dict[str, Any]] = []
        self.row_of_body: dict[int, int] = {}
        self.joints, self.joint_of_mj = self._independent_joints()

    def _independent_joints(self) -> tuple[tuple[Joint, ...], dict[int, Joint]]:
        """Number the independent joints in MuJoCo's order."""
        joints: list[Joint] = []
        by_mj: dict[int, Joint] = {}
        q = v = 0
        ordered = sorted((x for ms in self.motions.values() for x in ms), key=lambda x: x.mj_joint)
        for motion in ordered:
            if motion.mj_joint in self.couplings:
                continue
            joint = Joint(motion.name, motion.type, q, v, motion.mj_joint)
            joints.append(joint)
            by_mj[motion.mj_joint] = joint
            q += Q_SIZE[motion.type]
            v += V_SIZE[motion.type]
        self.nq, self.nv = q, v
        return tuple(joints), by_mj

    def add_body(self, body: int) -> None:
        """Add the rows of one body: a massless one per joint but the last, then the body."""
        m = self.m
        T = transform(m.body_pos[body], m.body_quat[body])
        place = self.path.index(body) if body in self.path else -1
        if place == 0:
            parent, T = -1, np.eye(4)
        elif place > 0:
            below = self.path[place - 1]
            parent = self.row_of_body[below]
            T = inverse(transform(m.body_pos[below], m.body_quat[below]))
        else:
            parent = self.row_of_body[int(m.body_parentid[body])]
        motions = self.motions[body] if place < 0 else []
        for motion in motions[:-1]:
            self._add_row(f"{self.names[body]}/{motion.name}", parent, T, motion)
            parent, T = len(self.rows) - 1, np.eye(4)
        self._add_row(self.names[body], parent, T, motions[-1] if motions else None)
        self.rows[-1].update(self._inertial(body))
        self.row_of_body[body] = len(self.rows) - 1

    def _inertial(self, body: int) -> dict[str, Any]:
        m = self.m
        mass, com = m.body_mass[body], m.body_ipos[body]
        R = quat_to_matrix(m.body_iquat[body])
        inertia = (R * m.body_inertia[body]) @ R.T
        mass, com, inertia = self.inertials.get(self.names[body], (mass, com, inertia))
        return {"mass": mass, "com": com, "inertia": inertia}

    def _add_row(self, name: str, parent: int, T: np.ndarray, motion: Motion | None) -> None:
        row: dict[str, Any] = {
            "link_names": name,
            "parent": parent,
            "joint_type": JointType.FIXED,
            "T_parent_joint": T,
            "axis": np.zeros(3),
            "T_joint_link": np.eye(4),
            "q_index": -1,
            "v_index": -1,
            "mimic_multiplier": 1.0,
            "mimic_offset": 0.0,
            "mass": 0.0,
            "com": np.zeros(3),
            "inertia": np.zeros((3, 3)),
            "armature": 0.0,
            "damping": 0.0,
            "frictionloss": 0.0,
            "joint_names": "",
        }
        if motion is not None:
            row.update(self._joint_values(T, motion))
        self.rows.append(row)

    def _joint_values(self, T: np.ndarray, motion: Motion) -> dict[str, Any]:
        m, j = self.m, motion.mj_joint
        dof = m.jnt_dofadr[j]
        values: dict[str, Any] = {
            "joint_type": motion.type,
            "joint_names": motion.name,
            "armature": m.dof_armature[dof],
            "damping": m.dof_damping[dof],
            "frictionloss": m.dof_frictionloss[dof],
        }
        if motion.type == JointType.FLOATING and m.jnt_type[j] == 0:
            values["T_parent_joint"] = np.eye(4)  # MuJoCo's free joint forgets the body's place
        else:
            values["T_parent_joint"] = T @ transform(motion.position)
            values["T_joint_link"] = transform(-motion.position)
        leader = j
        if motion.type in (JointType.REVOLUTE, JointType.PRISMATIC):
            values["axis"] = motion.axis
            values["mimic_offset"] = -m.qpos0[m.jnt_qposadr[j]]
            coupling = self.couplings.get(j)
            if coupling is not None:
                leader = coupling.leader
                values["mimic_multiplier"] = coupling.multiplier
                values["mimic_offset"] += coupling.offset
        joint = self.joint_of_mj[leader]
        values["q_index"], values["v_index"] = joint.q_index, joint.v_index
        return values

    def _mapping(self) -> MjMapping:
        m = self.m
        q_source, q_gain = np.full(m.nq, -1), np.zeros(m.nq)
        q_offset = m.qpos0.copy()
        v_source, v_gain = np.full(m.nv, -1), np.zeros(m.nv)
        for motions in self.motions.values():
            for motion in motions:
                coupling = self.couplings.get(motion.mj_joint)
                joint = self.joint_of_mj[coupling.leader if coupling else motion.mj_joint]
                gain = coupling.multiplier if coupling else 1.0
                q, v = m.jnt_qposadr[motion.mj_joint], m.jnt_dofadr[motion.mj_joint]
                here = slice(q, q + Q_SIZE[motion.type])
                q_source[here] = np.arange(joint.q_index, joint.q_index + Q_SIZE[motion.type])
                q_gain[here], q_offset[here] = gain, coupling.offset if coupling else 0.0
                here = slice(v, v + V_SIZE[motion.type])
                v_source[here] = np.arange(joint.v_index, joint.v_index + V_SIZE[motion.type])
                v_gain[here] = gain
        return MjMapping(q_source, q_gain, q_offset, v_source, v_gain)

    def finish(self) -> Extraction:
        """Return the finished tree."""
        columns: dict[str, Any] = {key: [row[key] for row in self.rows] for key in self.rows[0]}
        columns["link_names"] = tuple(columns["link_names"])
        columns["joint_names"] = tuple(columns["joint_names"])
        T_world_base = np.eye(4)
        body = self.path[0]
        while body != 0:
            T_body = transform(self.m.body_pos[body], self.m.body_quat[body])
            T_world_base = T_body @ T_world_base
            body = int(self.m.body_parentid[body])
        return Extraction(
            tree=KinematicTree(**columns),
            joints=self.joints,
            nq=self.nq,
            nv=self.nv,
            row_of_body=self.row_of_body,
            mapping=self._mapping(),
            T_world_base=T_world_base,
        )
