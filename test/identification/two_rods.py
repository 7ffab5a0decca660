import dataclasses

import numpy as np
import torch

from drrobot_ros.identification import ExcitationConfig, Recording, excitation_trajectory
from drrobot_ros.robot import RobotModel

ROD = """
<robot name="two rods">
  <!-- a comment to keep -->
  <link name="base"/>
  <link name="upper">
    <inertial>
      <origin xyz="0.01 0.02 -0.2" rpy="0.1 0 0"/><mass value="2.0"/>
      <inertia ixx="0.03" ixy="0" ixz="0" iyy="0.03" iyz="0" izz="0.01"/>
    </inertial>
  </link>
  <link name="lower">
    <inertial>
      <mass value="1.0"/><origin xyz="0 0.01 -0.15"/>
      <inertia ixx="0.01" ixy="0" ixz="0" iyy="0.01" iyz="0" izz="0.004"/>
    </inertial>
  </link>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/>
    <origin xyz="0 0 1" rpy="0 0.3 0"/><axis xyz="1 0 0"/>
    <limit lower="-2" upper="2" effort="50" velocity="3"/>
    <dynamics damping="0.4" friction="0.2"/>
  </joint>
  <joint name="elbow" type='revolute'>
    <parent link="upper"/><child link="lower"/>
    <origin xyz="0 0 -0.4"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="1.5" effort="30" velocity="3"/>
  </joint>
</robot>
"""
TURNED = ROD.replace('value="2.0"', 'value="1.4"').replace('value="1.0"', 'value="1.3"')


def changed(model: RobotModel, **fields) -> RobotModel:
    """The model with other numbers in its tree."""
    tree = dataclasses.replace(model.tree, **fields)
    return RobotModel(
        model.name,
        model.mj_model,
        dataclasses.replace(model._parts, tree=tree),
        model.velocity_limit,
    )


def simulated(model: RobotModel, seed: int = 0, noise: float = 0.01) -> Recording:
    """Positions and torques of an excitation trajectory."""
    config = ExcitationConfig(period_s=5.0, rate_hz=100.0, tries=4, seed=seed)
    t, _ = excitation_trajectory(model, config)
    tau = model.inverse_dynamics(*(torch.from_numpy(x) for x in (t.q, t.v, t.a))).numpy()
    random = np.random.default_rng(seed)
    size = noise * np.sqrt(np.mean(tau**2, axis=0))
    return dataclasses.replace(t, tau=tau + size * random.normal(size=tau.shape))
