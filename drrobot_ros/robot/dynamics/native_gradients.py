"""Gradients of the C++ kernels: one autograd function around each of `native`'s values.

First derivatives are C++ too; derivatives of those (``create_graph=True``) run through the torch
twin that a `Fallback` carries.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from drrobot_ros.robot.dynamics import native
from drrobot_ros.robot.dynamics.native import Fallback


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A function of the packed numbers and further tensors, and how it is differentiated.

    Attributes:
        value: (fallback, numbers, *inputs) -> result, without gradients.
        back: operation that computes the products with the Jacobians' transposes.
        inputs: the kernel's names of the tensors after the numbers; "gravity" has no derivative in
            C++ and takes the torch twin.
        result_as: the input in whose place `back` wants the result.
    """

    value: Callable[..., Tensor]
    back: int
    inputs: tuple[str, ...]
    result_as: str = ""

    def __call__(self, more: Fallback, numbers: Tensor, *inputs: Tensor | None) -> Tensor:
        """Return the value, with gradients where an input needs them."""
        every = (numbers, *inputs)
        if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in every):
            return _Differentiable.apply(self, more, *every)
        return self.value(more, *every)


_DYNAMIC = ("q", "v", "a", "gravity")
POSES = Kernel(native.poses, native.POSES_BACK, ("q",))
JACOBIAN = Kernel(native.jacobian, native.JACOBIAN_BACK, ("q",))
MASS_MATRIX = Kernel(native.mass_matrix, native.MASS_BACK, ("q",))
INVERSE_DYNAMICS = Kernel(native.inverse_dynamics, native.INVERSE_BACK, _DYNAMIC)
FORWARD_DYNAMICS = Kernel(native.forward_dynamics, native.FORWARD_BACK, _DYNAMIC, "a")


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Kernel, more: Fallback, *tensors: Tensor | None) -> Tensor:
        result = kernel.value(more, *tensors)
        ctx.save_for_backward(*tensors, *([result] if kernel.result_as else []))
        ctx.kernel, ctx.more = kernel, more
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        kernel, more = ctx.kernel, ctx.more
        needs = ctx.needs_input_grad[2:]
        tensors = ctx.saved_tensors[: len(needs)]
        named = dict(zip(("numbers", *kernel.inputs), tensors, strict=True))
        needed = dict(zip(named, needs, strict=True))
        if torch.is_grad_enabled() or needed.get("gravity"):
            return (None, None, *_through_twin(more, tensors, needs, grad))
        bars: dict[str, Tensor] = {
            f"{name}_bar": torch.empty_like(x)
            for name, x in named.items()
            if needed[name] and name != "numbers"
        }
        if needed["numbers"]:
            # Summed over the batch: in double precision, whatever the inputs have.
            bars["numbers_bar"] = torch.zeros(named["numbers"].shape, dtype=torch.float64)
        passed = {**named, kernel.result_as: ctx.saved_tensors[-1]} if kernel.result_as else named
        more.plan.call(
            kernel.back,
            named["q"],
            friction_velocity=more.friction_velocity,
            links=more.links,
            seed=grad.contiguous(),
            **passed,
            **bars,
        )
        if needed["numbers"]:
            bars["numbers_bar"] = bars["numbers_bar"].to(named["numbers"].dtype)
        return (None, None, *(bars.get(f"{name}_bar") for name in named))


def _through_twin(more: Fallback, inputs: tuple[Tensor, ...], needs: Any, grad: Tensor) -> list:
    """Return gradients that can be differentiated again."""
    with torch.enable_grad():
        # Aliases, so that only this function's own dependence is followed.
        fresh = [x.view_as(x) if need else x for x, need in zip(inputs, needs, strict=True)]
        result = more.twin(*fresh)
        targets = [x for x, need in zip(fresh, needs, strict=True) if need]
        found = torch.autograd.grad(result, targets, grad, create_graph=True, allow_unused=True)
    rest = iter(found)
    return [next(rest) if need else None for need in needs]
