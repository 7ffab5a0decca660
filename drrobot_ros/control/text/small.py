"""The project's own text-image model: a few hundred thousand weights, trained on robots' renders.

It knows the poses of `captions` and their names, nothing else. It is what there is without a
network; for open language give a real CLIP (see `encoder.load_encoder`).
"""

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from drrobot_ros.errors import InputError

FORMAT = 2
MAX_BYTES = 96
_FILE = "text_image_small.npz"
#: Words of captions that say nothing of a pose.
_LITTLE = frozenset(["a", "all", "an", "and", "like", "only", "showing", "sign", "the", "to"])


class SmallEncoder(nn.Module):
    """Convolutions over 64 px images, a transformer over the bytes of a text.

    Several image towers of their own weights look at each picture, and the similarity is the mean
    of theirs: what fools one (an optimizer looks for just that) seldom fools the other.

    Args:
        width: of the image towers' first layer.
        dim: of the space in which each tower and the text meet.
        towers: how many.
        about: how it was trained and how well it does, kept in its file.
    """

    image_size = 64

    def __init__(
        self, width: int = 32, dim: int = 64, towers: int = 2, about: dict | None = None
    ) -> None:
        super().__init__()
        self.name = "small"
        self.about = about or {}
        self._shape = {"width": width, "dim": dim, "towers": towers}
        self.towers = nn.ModuleList(_tower(width, dim) for _ in range(towers))
        self.bytes = nn.Embedding(257, dim, padding_idx=256)
        self.places = nn.Parameter(0.02 * torch.randn(MAX_BYTES, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 2 * dim, 0.0, batch_first=True, norm_first=True)
        self.text = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.text_out = nn.Linear(dim, dim)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors [n,d], without gradients.

        Raises:
            InputError: a text without a single word of those it was trained on.
        """
        known = {w for said in self._captions() for word in said for w in _words(word)}
        for text in texts:
            if known and not known & _words(text):
                names = ", ".join(dict.fromkeys(said[0] for said in self._captions()))
                raise InputError(
                    f"the {self.name} text-image model knows poses by their names only, and "
                    f"{text!r} is none of them: {names}. For other words give a real CLIP"
                )
        with torch.no_grad():
            return self.encode_texts(texts)

    def _captions(self) -> list[list[str]]:
        """Return the captions it was trained on, each in all its words."""
        return [said for robot in self.about.get("captions", {}).values() for said in robot]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors [n,d] with gradients to the weights."""
        tokens = torch.full((len(texts), MAX_BYTES), 256)
        for i, text in enumerate(texts):
            raw = " ".join(text.lower().split()).encode()[:MAX_BYTES]
            tokens[i, : len(raw)] = torch.tensor(list(raw))
        unused = tokens == 256
        longest = int((~unused).sum(1).max())
        tokens, unused = tokens[:, :longest], unused[:, :longest]
        x = self.text(self.bytes(tokens) + self.places[:longest], src_key_padding_mask=unused)
        used = (~unused)[..., None].float()
        pooled = (x * used).sum(1) / used.sum(1).clamp(min=1)
        one = nn.functional.normalize(self.text_out(pooled), dim=-1)
        return one.repeat(1, len(self.towers)) / len(self.towers) ** 0.5

    def embed_images(self, images: Tensor) -> Tensor:
        """Return unit vectors [n,d] of images [n,3,64,64] 0..1; gradients reach the images."""
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise InputError(f"images must be [n, 3, 64, 64], got {list(images.shape)}")
        x = (2 * images.float() - 1).contiguous(memory_format=torch.channels_last)
        each = [nn.functional.normalize(tower(x), dim=-1) for tower in self.towers]
        return torch.cat(each, -1) / len(each) ** 0.5

    def save(self, path: Path) -> None:
        """Write weights (half precision) and what is known of them; no code."""
        arrays = {k: v.detach().half().numpy() for k, v in self.state_dict().items()}
        head = {"format": FORMAT, "shape": self._shape, "about": self.about}
        np.savez_compressed(path, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: Path | None = None) -> "SmallEncoder":
        """Read a file of `save`; without a path, the one that comes with the project.

        Raises:
            InputError: it is missing, or no such file.
        """
        path = path or _own_file()
        try:
            with np.load(path, allow_pickle=False) as data:
                head = json.loads(bytes(data["head"]).decode())
                arrays = {k: data[k] for k in data.files if k != "head"}
            if head.get("format") != FORMAT:
                raise InputError(f"{path} has format {head.get('format')!r}; valid: {FORMAT}")
            model = cls(**head["shape"], about=head["about"])
            tensors = {k: torch.from_numpy(v.astype(np.float32)) for k, v in arrays.items()}
            model.load_state_dict(tensors)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path} is no text-image model of this project: {error}") from error
        return model.eval().requires_grad_(False)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _LITTLE


def _tower(width: int, dim: int) -> nn.Module:
    """Return convolutions that halve the image four times, and what reads the last map."""
    layers: list[nn.Module] = []
    channels = [3, width, 2 * width, 3 * width, 4 * width]
    for k, (a, b) in enumerate(itertools.pairwise(channels)):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(8, b), nn.SiLU()]
        if k:
            layers += [nn.Conv2d(b, b, 3, 1, 1, groups=8), nn.GroupNorm(8, b), nn.SiLU()]
    # Where things are matters (left, up): the last 4x4 map is read as it is.
    layers += [nn.Flatten(), nn.Linear(16 * channels[-1], 2 * dim), nn.SiLU()]
    tower = nn.Sequential(*layers, nn.Linear(2 * dim, dim))
    return tower.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _own_file() -> Path:
    """Return the model that comes with the project, from a checkout or an installed package."""
    beside = Path(__file__).resolve().parents[3] / "models" / _FILE
    if beside.is_file():
        return beside
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory("drrobot_ros")) / "models" / _FILE
    except (ImportError, LookupError) as error:
        raise InputError(f"{_FILE} is missing from models/ beside the package") from error
