"""Load a robot and ask where its links are, and how they move when a joint does.

python examples/01_forward_kinematics.py [URDF, MJCF or menagerie name]
"""

import sys
from pathlib import Path

import torch

from drrobot_ros.robot import RobotModel

ARM = Path(__file__).resolve().parents[1] / "models" / "six_axis_arm" / "six_axis_arm.urdf"


def main(source: str) -> None:
    """Print poses, a Jacobian, and a gradient."""
    model = RobotModel.load(source)
    print(f"{model.name}: {model.nq} positions, joints {', '.join(model.joint_names)}")

    # All links at once; a batch of configurations works the same way.
    q = model.random_configuration(5, seed=0)  # [5, nq]
    T_base_link = model.forward_kinematics(q)  # [5, links, 4, 4]
    tip = model.link_names[-1]
    print(f"{tip} in the base frame, five times [m]:")
    print(T_base_link[:, -1, :3, 3])

    # The geometric Jacobian: m and rad of the tip per rad (or m) of each joint.
    print(f"Jacobian of {tip} [6, {model.nv}]:")
    print(model.jacobian(q[0], tip).round(decimals=3))

    # Everything is differentiable: pull the tip up.
    q = model.neutral().requires_grad_(True)
    height = model.forward_kinematics(q)[-1, 2, 3]
    (slope,) = torch.autograd.grad(height, q)
    print(f"height {height.item():.3f} m; its slope over the joints: {slope.round(decimals=3)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(ARM))
