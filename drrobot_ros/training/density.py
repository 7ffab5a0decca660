"""Adding Gaussians where the images ask for detail and removing those that show nothing.

Source of the idea: Kerbl et al. 2023, adaptive density control; here the number is a budget that
is shared out by gradient, so that every robot is treated alike.
"""

import torch
from torch import Tensor

from drrobot_ros.training.config import TrainConfig
from drrobot_ros.training.optimizer import Optimizer
from drrobot_ros.training.self_model import PARAMETERS, SelfModel

_SHRINK = 1.6
_OFFSET = 0.6  # of the standard deviation along the longest axis


class Density:
    """Gathers gradients of the centres and changes the set of Gaussians every so often.

    Args:
        model: the Gaussians.
        config: how often and how much.
        generator: decides nothing yet is drawn from it; kept for ties.
    """

    def __init__(self, model: SelfModel, config: TrainConfig) -> None:
        self.config = config
        self.target = round(config.count * (1 + config.growth))
        self.last = int(config.density_until * config.steps)
        rounds = max(1, self.last // config.density_every)
        self.per_round = -(-(self.target - config.count) // rounds)
        self.gradient = torch.zeros(len(model), device=model.means.device)
        self.seen = torch.zeros(len(model), device=model.means.device)

    def gather(self, model: SelfModel, distance_m: float) -> None:
        """Add the gradients of one step; `distance_m` makes near and far views count alike."""
        if model.means.grad is None:
            return
        size = model.means.grad.norm(dim=1)
        self.gradient += size * distance_m
        self.seen += size > 0

    def due(self, step: int) -> bool:
        """Return whether the set is changed after this step (counted from 1)."""
        return step % self.config.density_every == 0 and step <= self.last

    @torch.no_grad()
    def change(self, optimizer: Optimizer) -> None:
        """Remove what shows nothing, split what has the largest gradients."""
        model = optimizer.model
        n = len(model)
        faint = torch.sigmoid(model.logit_opacities) < self.config.min_opacity
        keep = ~faint
        # A link keeps at least the strongest of its Gaussians: no limb is lost.
        for link in model.link_index[faint].unique():
            own = torch.nonzero(model.link_index == link)[:, 0]
            if not bool(keep[own].any()):
                keep[own[model.logit_opacities[own].argmax()]] = True
        kept = torch.nonzero(keep)[:, 0]
        room = min(self.per_round + n - len(kept), self.target - len(kept))
        score = self.gradient / self.seen.clamp(min=1)
        score[~keep] = 0
        chosen = torch.argsort(score, descending=True, stable=True)[: max(room, 0)]
        chosen = chosen[score[chosen] > 0]
        if len(chosen) or len(kept) < n:
            optimizer.replace_rows(kept, _split(model, chosen))
        self.gradient = torch.zeros(len(model), device=self.gradient.device)
        self.seen = torch.zeros_like(self.gradient)

    def state(self) -> dict[str, Tensor]:
        """Return what was gathered."""
        return {"density/gradient": self.gradient, "density/seen": self.seen}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self.gradient = tensors["density/gradient"].to(self.gradient).clone()
        self.seen = tensors["density/seen"].to(self.seen).clone()


def _split(model: SelfModel, rows: Tensor) -> dict[str, Tensor]:
    """Move each Gaussian to one end of its longest axis and return one at the other end."""
    from drrobot_ros.geometry import so3

    quats = torch.nn.functional.normalize(model.quats[rows], dim=-1)
    longest = model.log_scales[rows].argmax(dim=1)
    axes = so3.quat_to_matrix(quats)
    axis = torch.gather(axes, 2, longest[:, None, None].expand(-1, 3, 1))[..., 0]
    size = model.log_scales[rows].gather(1, longest[:, None]).exp()
    shift = _OFFSET * size * axis
    model.log_scales[rows] -= torch.nn.functional.one_hot(longest, 3) * float(
        torch.tensor(_SHRINK).log()
    )
    model.means[rows] -= shift
    added = {name: getattr(model, name)[rows].clone() for name in PARAMETERS}
    added["means"] += 2 * shift
    kept = {name: getattr(model, name)[rows].clone() for name in ("link_index", "base_colors")}
    return {**added, **kept}
