"""What MuJoCo says about a robot, in our frames."""

import mujoco
import numpy as np

from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel


def bodies(model: RobotModel) -> list[tuple[int, int]]:
    """Return (row, body id) of every link that is a body of the MuJoCo model."""
    found = []
    for row in range(len(model.link_names)):
        try:
            found.append((row, model.mj_body_id(row)))
        except InputError:
            assert model.tree.mass[row] == 0  # the massless part of a body with several joints
    return found


def posed(model: RobotModel, q) -> mujoco.MjData:
    """Return MuJoCo's data at q."""
    data = mujoco.MjData(model.mj_model)
    data.qpos[:] = model.mj_qpos(q)
    mujoco.mj_kinematics(model.mj_model, data)
    mujoco.mj_comPos(model.mj_model, data)
    return data


def link_pose(data: mujoco.MjData, body: int) -> np.ndarray:
    """Return T_world_body [4, 4]."""
    T = np.eye(4)
    T[:3, :3] = data.xmat[body].reshape(3, 3)
    T[:3, 3] = data.xpos[body]
    return T


def link_jacobian(
    model: RobotModel, data: mujoco.MjData, body: int, point_world: np.ndarray
) -> np.ndarray:
    """Return the Jacobian [6, nv] of a point, in the base frame and for our v."""
    m = model.mj_model
    J = np.zeros((6, m.nv))
    mujoco.mj_jac(m, data, J[:3], J[3:], point_world, body)
    R = model.T_world_base[:3, :3]
    return np.concatenate([R.T @ J[:3], R.T @ J[3:]]) @ model.mj_v_map()
