"""The libraries that dynamics is measured beside: fetched, given the same robot, called alike.

They are installed with pip, without their dependencies, into ``benchmarks/out/peers`` and are no
part of the package's environment.
"""

import importlib
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).resolve().parent / "out" / "peers"
PACKAGES = (
    "pytorch-kinematics==0.10.0",
    "differentiable-robot-model==0.2.3",
    # What they import.
    "arm-pytorch-utilities==0.5.0",
    "pytorch-seed==0.2.0",
    "urdf_parser_py==0.0.4",
    "absl-py",
    "matplotlib",
    "contourpy",
    "cycler",
    "fonttools",
    "kiwisolver",
)
END_LINK = "panda_virtual_ee_link"


def install() -> None:
    """Install the peers if they are not there, and make them importable."""
    if not (FOLDER / "differentiable_robot_model").is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
        subprocess.run([*command, "--target", str(FOLDER), *PACKAGES], check=True)
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))


def panda_urdf() -> str:
    """Return the Panda without gripper that the seed's library ships, without its meshes."""
    data = importlib.import_module("diff_robot_data")
    path = Path(next(iter(data.__path__))) / "panda_description/urdf/panda_no_gripper.urdf"
    root = ET.parse(path).getroot()
    for link in root.iter("link"):
        for part in [*link.findall("visual"), *link.findall("collision")]:
            link.remove(part)
    return ET.tostring(root, encoding="unicode")


class PytorchKinematics:
    """pytorch-kinematics, by its functions on plain tensors: the fastest it has."""

    name = "pytorch-kinematics"

    def __init__(self, urdf: str) -> None:
        pk: Any = importlib.import_module("pytorch_kinematics")
        self.chain = pk.build_serial_chain_from_urdf(urdf.encode(), END_LINK)
        self.chain = self.chain.to(dtype=torch.float32)

    def fk(self, q: Tensor) -> Tensor:
        """Return the poses of all links."""
        return self.chain.forward_kinematics_tensor(q)

    def jacobian(self, q: Tensor) -> Tensor:
        """Return the Jacobian of the last link."""
        return self.chain.jacobian_tensor(q)


class Seed:
    """differentiable-robot-model; single precision is all it can do."""

    name = "differentiable-robot-model"

    def __init__(self, urdf: str) -> None:
        module: Any = importlib.import_module("differentiable_robot_model.robot_model")
        path = FOLDER.parent / "panda_without_meshes.urdf"
        path.write_text(urdf)
        self.model = module.DifferentiableRobotModel(str(path), "panda")

    def fk(self, q: Tensor) -> Tensor:
        """Return position and quaternion of the last link."""
        return torch.cat(self.model.compute_forward_kinematics(q, END_LINK), dim=-1)

    def jacobian(self, q: Tensor) -> Tensor:
        """Return the Jacobian of the last link."""
        return torch.cat(self.model.compute_endeffector_jacobian(q, END_LINK), dim=-2)

    def inverse(self, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        """Return the joint forces."""
        return self.model.compute_inverse_dynamics(q, v, a, include_gravity=True)

    def mass(self, q: Tensor) -> Tensor:
        """Return the mass matrix."""
        return self.model.compute_lagrangian_inertia_matrix(q)

    def forward(self, q: Tensor, v: Tensor, tau: Tensor) -> Tensor:
        """Return the accelerations."""
        return self.model.compute_forward_dynamics(q, v, tau, include_gravity=True)


class Pinocchio:
    """pinocchio, one thread, one state after the other from a Python loop-free call in C++."""

    name = "pinocchio"

    def __init__(self, urdf: str) -> None:
        self.pin: Any = importlib.import_module("pinocchio")
        self.model = self.pin.buildModelFromXML(urdf)
        self.data = self.model.createData()

    def seconds(self, work: str, q: np.ndarray, v: np.ndarray, a: np.ndarray) -> float:
        """Return the time of one evaluation, the call from Python included, least of three."""
        import time

        functions = {
            "fk": lambda q, v, a: self.pin.forwardKinematics(self.model, self.data, q),
            "inverse": lambda q, v, a: self.pin.rnea(self.model, self.data, q, v, a),
            "mass": lambda q, v, a: self.pin.crba(self.model, self.data, q),
            "forward": lambda q, v, a: self.pin.aba(self.model, self.data, q, v, a),
        }
        run = functions[work]
        rows = list(zip(q, v, a, strict=True))
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            for row in rows:
                run(*row)
            best = min(best, (time.perf_counter() - start) / len(rows))
        return best
