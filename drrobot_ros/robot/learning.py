"""Learned parameters of a `RobotModel`: any number of the model can become a module's output."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drrobot_ros.errors import InputError, ModelError, unknown_name
from drrobot_ros.robot.dynamics.checks import inertia_faults
from drrobot_ros.robot.dynamics.engine import Engine
from drrobot_ros.robot.dynamics.values import ModelValues
from drrobot_ros.robot.parametrizations import (
    Frame,
    Free,
    LogCholesky,
    Positive,
    RotationalInertia,
)
from drrobot_ros.robot.tree import JointType, KinematicTree


@dataclasses.dataclass(frozen=True)
class _Kind:
    """One learnable parameter: what it is made of and where it goes.

    ``shape`` None: the module returns (mass, com, inertia).
    """

    shape: tuple[int, ...] | None
    fields: tuple[str, ...]
    of_joint: bool
    default: Callable[..., nn.Module]
    unit: str


PARAMETERS: dict[str, _Kind] = {
    "mass": _Kind((), ("mass",), False, Positive, "kg"),
    "com": _Kind((3,), ("com",), False, Free, "m, link coordinates"),
    "inertia": _Kind((3, 3), ("inertia",), False, RotationalInertia, "kg m^2 about the com"),
    "inertial": _Kind(None, ("mass", "com", "inertia"), False, LogCholesky, "kg, m, kg m^2"),
    "damping": _Kind((), ("damping",), True, Positive, "N m s/rad or N s/m"),
    "friction": _Kind((), ("friction",), True, Positive, "N m or N"),
    "armature": _Kind((), ("armature",), True, Positive, "kg m^2 or kg"),
    "joint_offset": _Kind((), ("offset",), True, Free, "rad or m, added to the model's"),
    "link_frame": _Kind((4, 4), ("T_parent_joint",), False, Frame, "T_parent_joint"),
    "link_length": _Kind((), ("T_parent_joint",), False, Positive, "m, parent to joint"),
    "sensor_gain": _Kind((), ("sensor_gain",), True, Positive, "shown torque / true torque"),
}

_CPU = torch.device("cpu")


class LearnedValues(nn.Module):
    """The modules of what is learned, and the model's numbers with their outputs put in."""

    def __init__(self, tree: KinematicTree) -> None:
        super().__init__()
        self.tree = tree
        self.base = ModelValues.of(tree, torch.float64, _CPU)
        self.entries: dict[tuple[int, str], nn.Module] = {}

    def add(self, row: int, parameter: str, module: nn.Module) -> None:
        """Let a module give one parameter of one row."""
        name = f"{self.tree.link_names[row]}:{parameter}".replace(".", "_")
        if (row, parameter) in self.entries:
            del self._modules[name]
        self.add_module(name, module)
        self.entries[row, parameter] = module

    def forward(self) -> ModelValues:
        """Return all values, float64; gradients reach the modules' parameters."""
        changed: dict[str, dict[int, Tensor]] = {}
        for (row, parameter), module in self.entries.items():
            for field, value in self._outputs(row, parameter, module).items():
                changed.setdefault(field, {})[row] = value
        fields: dict[str, Tensor] = {}
        for field, rows in changed.items():
            base: Tensor = getattr(self.base, field)
            index = torch.tensor(list(rows), dtype=torch.int64)
            fields[field] = base.index_copy(0, index, torch.stack(list(rows.values())).to(base))
        return dataclasses.replace(self.base, **fields)

    def _outputs(self, row: int, parameter: str, module: nn.Module) -> dict[str, Tensor]:
        """Return the new values by field of `ModelValues`."""
        out = module()
        kind = PARAMETERS[parameter]
        if kind.shape is None:
            return dict(zip(kind.fields, out, strict=True))
        (field,) = kind.fields
        base: Tensor = getattr(self.base, field)[row]
        if parameter == "joint_offset":
            return {field: base + out.to(base)}
        if parameter == "link_length":
            length = base[:3, 3].norm()
            p = base[:3, 3] / length * out.to(base)
            return {field: torch.cat([torch.cat([base[:3, :3], p[:, None]], 1), base[3:]])}
        return {field: out}


class LearnableMixin:
    """The learnable side of a `RobotModel`; nothing costs anything until something is learned.

    What is learned is used by everything the model computes: dynamics, and the
    `forward_kinematics` that moves the Gaussians, so that pixels give gradients too. Constants
    (``model.tree``, ``mj_model``, the tracker's C++) stay as loaded; `learned_tree` has the new.
    """

    tree: KinematicTree
    link_names: tuple[str, ...]
    _kinematics: Engine
    _learned: LearnedValues | None = None

    def make_learnable(
        self,
        link: str | int,
        parameter: str,
        parametrization: nn.Module | Callable[..., nn.Module] | None = None,
    ) -> nn.Module:
        """Let a parameter of a link be learned, and return the module that holds it.

        Args:
            link: name or row; for parameters of a joint also the joint's name. The joint is the
                one that moves the link.
            parameter: one of ``mass``, ``com`` [3], ``inertia`` [3, 3] about it, ``inertial`` (all
                three, always physical), ``damping``, ``friction``, ``armature``, ``joint_offset``
                (added to the model's), ``link_frame`` [4, 4] (the joint in its parent link),
                ``link_length`` (m, from the parent link's origin to the joint), ``sensor_gain``.
            parametrization: a module whose ``forward()`` returns the value, or a callable that
                makes one of the present value; by default one that keeps it physical.

        Raises:
            InputError: the link or parameter is unknown, another learned parameter already sets
                the same numbers, the link has no such parameter, or the module's output has
                another shape.
            ModelError: the present inertia is not physical.
        """
        row = self._learnable_row(link)
        if parameter not in PARAMETERS:
            raise unknown_name("parameter", parameter, PARAMETERS)
        self._check_learnable(row, parameter)
        module = parametrization
        if not isinstance(module, nn.Module):
            module = self._default(row, parameter, parametrization)
        self._check_output(row, parameter, module)
        if self._learned is None:
            self._learned = LearnedValues(self.tree)
        self._learned.add(row, parameter, module)
        self._kinematics.source = self._learned
        return module

    def freeze(self, link: str | int | None = None, parameter: str | None = None) -> None:
        """Stop learning a parameter (all of a link, or all, where None); its value stays.

        Raises:
            InputError: it was not made learnable.
        """
        for module in self._chosen(link, parameter):
            module.requires_grad_(False)

    def unfreeze(self, link: str | int | None = None, parameter: str | None = None) -> None:
        """Go on learning what was frozen; arguments and errors as `freeze`."""
        for module in self._chosen(link, parameter):
            module.requires_grad_(True)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield all parameters that are learned, for an optimizer; frozen ones too."""
        return iter(()) if self._learned is None else self._learned.parameters()

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield (``link:parameter.name``, parameter)."""
        return iter(()) if self._learned is None else self._learned.named_parameters()

    def state_dict(self) -> dict[str, Any]:
        """Return what is learned, to be saved; `load_state_dict` puts it back."""
        return {} if self._learned is None else dict(self._learned.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put saved values back.

        Raises:
            InputError: other parameters are learnable than were saved.
        """
        learned = self._learned or LearnedValues(self.tree)
        try:
            learned.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"the saved values do not fit: {error}") from error

    @property
    def learnable(self) -> tuple[tuple[str, str], ...]:
        """The (link, parameter) pairs made learnable so far."""
        entries = {} if self._learned is None else self._learned.entries
        return tuple((self.link_names[row], parameter) for row, parameter in entries)

    def values(self) -> ModelValues:
        """Return all numbers of the model, float64; learned ones have gradients."""
        if self._learned is None:
            return ModelValues.of(self.tree, torch.float64, _CPU)
        return self._learned()

    def learned_tree(self) -> KinematicTree:
        """Return the tree with the learned numbers, as plain constants."""
        with torch.no_grad():
            return self.values().to_tree(self.tree)

    def sensed(self, tau: Tensor) -> Tensor:
        """Return what torque sensors show of joint forces tau [..., nv]: times ``sensor_gain``."""
        values = self.values()
        if self._learned is None:
            return tau
        s = self._kinematics.structure(tau)
        gain = torch.ones(s.nv, dtype=torch.float64)
        # Of coupled joints the first one has the sensor.
        first = {int(v): d for d, v in reversed(list(enumerate(s.v_of_column.tolist())))}
        index = torch.tensor(list(first), dtype=torch.int64)
        rows = s.mover[torch.tensor(list(first.values()), device=s.mover.device)].cpu()
        return tau * gain.index_copy(0, index, values.sensor_gain[rows]).to(tau)

    # ---------------------------------------------------------------------------------------------

    def _learnable_row(self, link: str | int) -> int:
        if isinstance(link, str):
            if link in self.link_names:
                return self.link_names.index(link)
            if link and link in self.tree.joint_names:
                return self.tree.joint_names.index(link)
            joints = [name for name in self.tree.joint_names if name]
            raise unknown_name("link or joint", link, [*self.link_names, *joints])
        if not 0 <= link < len(self.tree):
            raise InputError(f"unknown link {link}; valid: 0 to {len(self.tree) - 1}")
        return int(link)

    def _check_learnable(self, row: int, parameter: str) -> None:
        name, kind = self.link_names[row], PARAMETERS[parameter]
        joint_type = self.tree.joint_type[row]
        if kind.of_joint and joint_type == JointType.FIXED:
            moving = [n for n, j in zip(self.link_names, self.tree.joint_names, strict=True) if j]
            raise InputError(
                f"link {name!r} has no {parameter}: its joint is fixed; valid: {', '.join(moving)}"
            )
        scalar = joint_type in (JointType.REVOLUTE, JointType.PRISMATIC)
        if parameter == "joint_offset" and not scalar:
            raise InputError(f"link {name!r} has no joint_offset: its joint is not a single motion")
        if parameter in ("link_frame", "link_length") and row == 0:
            raise InputError(f"link {name!r} is the base: its frame is where all is measured from")
        if parameter == "link_length" and not np.any(self.tree.T_parent_joint[row, :3, 3]):
            raise InputError(
                f"link {name!r} has no link_length: its joint is at its parent's origin; "
                "learn link_frame"
            )
        others = {p for r, p in (self._learned.entries if self._learned else {}) if r == row}
        clash = [p for p in others - {parameter} if set(PARAMETERS[p].fields) & set(kind.fields)]
        if clash:
            raise InputError(
                f"{parameter} of link {name!r} is already set by its learned {clash[0]}"
            )

    def _default(
        self, row: int, parameter: str, factory: Callable[..., nn.Module] | None
    ) -> nn.Module:
        values = self.values()
        kind = PARAMETERS[parameter]
        start: tuple[Any, ...] = tuple(getattr(values, field)[row] for field in kind.fields)
        if parameter == "joint_offset":
            start = (0.0,)
        elif parameter == "link_length":
            start = (start[0][:3, 3].norm(),)
        elif parameter in ("mass", "inertia", "inertial"):
            self._check_physical(row, parameter)
        make = factory or kind.default
        if not callable(make):
            raise InputError(f"parametrization must be a module or make one, got {make!r}")
        try:
            module = make(*start)
        except InputError as error:
            raise ModelError(f"link {self.link_names[row]!r}, {parameter}: {error}") from error
        if not isinstance(module, nn.Module):
            raise InputError(f"{make!r} made no torch module, but {type(module).__name__}")
        return module

    def _check_physical(self, row: int, parameter: str) -> None:
        name = self.link_names[row]
        errors, warns = inertia_faults(self.tree)
        faults = [text for text in errors + warns if text.startswith(f"link {name!r}:")]
        if faults and parameter != "mass":
            raise ModelError("; ".join(faults) + ": no physical start")
        if self.tree.mass[row] <= 0:
            raise ModelError(
                f"link {name!r} has mass {self.tree.mass[row]:g} kg: {parameter} needs a positive "
                "one to start from; pass a parametrization, such as LogCholesky.of_box(mass, size)"
            )

    def _check_output(self, row: int, parameter: str, module: nn.Module) -> None:
        kind = PARAMETERS[parameter]
        where = f"the parametrization of {parameter} of link {self.link_names[row]!r}"
        required = [
            p.name
            for p in inspect.signature(module.forward).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        if required:
            raise InputError(f"{where}: forward() must take no argument, wants {required}")
        with torch.no_grad():
            out = module()
        if kind.shape is None:
            shapes = [list(np.shape(x)) for x in out] if isinstance(out, tuple) else None
            if shapes != [[], [3], [3, 3]]:
                raise InputError(f"{where} must return (mass [], com [3], inertia [3, 3])")
            outputs = out
        else:
            if not isinstance(out, Tensor) or out.shape != kind.shape:
                got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise InputError(f"{where} must return {list(kind.shape)}, got {got}")
            outputs = (out,)
        if not all(bool(torch.isfinite(x).all()) for x in outputs):
            raise InputError(f"{where} is not finite")

    def _chosen(self, link: str | int | None, parameter: str | None) -> list[nn.Module]:
        entries = {} if self._learned is None else self._learned.entries
        if parameter is not None and parameter not in PARAMETERS:
            raise unknown_name("parameter", parameter, PARAMETERS)
        row = None if link is None else self._learnable_row(link)
        found = [
            module
            for (r, p), module in entries.items()
            if (row is None or r == row) and (parameter is None or p == parameter)
        ]
        if not found and (link is not None or parameter is not None):
            names = [f"{p} of {link!r}" for link, p in self.learnable]
            raise InputError(
                f"{parameter or 'nothing'} of {link if link is not None else 'any link'!r} is not "
                f"learnable; valid: {', '.join(names) or 'none, call make_learnable first'}"
            )
        return found
