"""Adam on the Gaussians' tensors, whose rows come and go, and on the networks."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from drrobot_ros.training.config import TrainConfig
from drrobot_ros.training.self_model import PARAMETERS, SelfModel

_BETAS = (0.9, 0.99)
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Optimizer:
    """Adam with a rate for each kind of parameter, falling exponentially.

    Args:
        model: what is optimised.
        config: the rates.
        spacing_m: between neighbouring Gaussians: the unit of the rate of the centres.
        extra: further parameters by name, e.g. lights of other scenes.
    """

    def __init__(
        self,
        model: SelfModel,
        config: TrainConfig,
        spacing_m: float,
        extra: Mapping[str, nn.Parameter] | None = None,
    ) -> None:
        self.model, self.config = model, config
        self.extra = dict(extra or {})
        rates = {
            "means": config.rate_means * spacing_m,
            "quats": config.rate_quats,
            "log_scales": config.rate_scales,
            "logit_opacities": config.rate_opacities,
            "colors": config.rate_colors,
            "sh": config.rate_sh,
            "normals": config.rate_normals,
            "light": config.rate_light,
        }
        groups = []
        for name, parameter in self.named().items():
            rate = rates.get(name, config.rate_light if name in self.extra else None)
            rate = config.rate_networks if rate is None else rate
            groups.append({"params": [parameter], "lr": rate, "name": name, "first": rate})
        self.adam = torch.optim.Adam(groups, betas=_BETAS, eps=1e-15, fused=True)

    def named(self) -> dict[str, nn.Parameter]:
        """Return every trained parameter by name."""
        own = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        return {**own, **self.extra}

    def step(self, progress: float) -> None:
        """Take a step with the gradients there are and forget them.

        Args:
            progress: 0 at the first step, 1 at the last.
        """
        factor = self.config.rate * self.config.final_rate**progress
        for group in self.adam.param_groups:
            group["lr"] = group["first"] * factor
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def replace_rows(self, keep: Tensor, added: dict[str, Tensor]) -> None:
        """Keep some Gaussians and append others, whose moments start at zero.

        Args:
            keep: [K] rows that stay.
            added: [M, ...] for each of `PARAMETERS`, ``link_index`` and ``base_colors``.
        """
        model = self.model
        model.link_index = torch.cat([model.link_index[keep], added["link_index"]])
        model.base_colors = torch.cat([model.base_colors[keep], added["base_colors"]])
        for name in PARAMETERS:
            old = getattr(model, name)
            new = nn.Parameter(torch.cat([old[keep], added[name]]), requires_grad=old.requires_grad)
            setattr(model, name, new)
            group = next((g for g in self.adam.param_groups if g["name"] == name), None)
            if group is None:
                continue
            state = self.adam.state.pop(old, {})
            group["params"] = [new]
            for key in ("exp_avg", "exp_avg_sq"):
                if key in state:
                    state[key] = torch.cat([state[key][keep], torch.zeros_like(added[name])])
            if state:
                self.adam.state[new] = state

    def state(self) -> dict[str, Tensor]:
        """Return values and moments of all parameters by name."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.named().items():
            tensors[f"value/{name}"] = parameter.detach()
            for key in _MOMENTS:
                if key in self.adam.state.get(parameter, {}):
                    tensors[f"{key}/{name}"] = self.adam.state[parameter][key]
        tensors["link_index"] = self.model.link_index
        tensors["base_colors"] = self.model.base_colors
        return tensors

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned; the number of Gaussians may differ.

        Raises:
            KeyError: a parameter is missing.
            ValueError: a tensor of the wrong shape.
        """
        model = self.model
        n = len(tensors["link_index"])
        model.link_index = tensors["link_index"].to(model.link_index)
        model.base_colors = tensors["base_colors"].to(model.base_colors)
        for name, old in list(self.named().items()):
            value = tensors[f"value/{name}"].to(old)
            shape = (n, *old.shape[1:]) if name in PARAMETERS else tuple(old.shape)
            if tuple(value.shape) != shape:
                raise ValueError(f"{name} must be {list(shape)}, got {list(value.shape)}")
            group = next(g for g in self.adam.param_groups if g["name"] == name)
            if name in PARAMETERS:
                new = nn.Parameter(value.clone())
                setattr(model, name, new)
                group["params"] = [new]
                self.adam.state.pop(old, None)
            else:
                new = old
                new.copy_(value)
            moments = {k: tensors[f"{k}/{name}"] for k in _MOMENTS if f"{k}/{name}" in tensors}
            if moments:
                self.adam.state[new] = {k: t.to(new.device).clone() for k, t in moments.items()}
        # What is not trained keeps its start, as many rows of it as there are now.
        for name in PARAMETERS:
            old = getattr(model, name)
            if not old.requires_grad and len(old) != n:
                setattr(model, name, nn.Parameter(old.new_zeros(n, *old.shape[1:]), False))
