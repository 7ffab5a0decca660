"""CLIP-like models of `transformers` and `open_clip`, from a folder or the hub."""

import importlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from drrobot_ros.errors import InputError

_OPEN_CLIP = "open_clip:"
_DEFAULT = "openai/clip-vit-base-patch32"  # the paper's
_log = logging.getLogger(__name__)


def load_hub_encoder(source: str) -> "TransformersEncoder | OpenClipEncoder":
    """Load a model by folder or hub name; see `encoder.load_encoder`.

    Raises:
        InputError: the library or the weights are missing, or it is no text-image model.
    """
    if source.startswith(_OPEN_CLIP):
        return _open_clip(source.removeprefix(_OPEN_CLIP))
    transformers = _library("transformers", "transformers", f"text-image model {source!r}")
    folder = Path(source).expanduser()
    where = str(folder) if folder.is_dir() else source
    try:
        model = transformers.AutoModel.from_pretrained(
            where, use_safetensors=True, trust_remote_code=False
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except Exception as error:  # files, network, formats: libraries below raise what they like
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        name = source if "/" in source and not folder.is_absolute() else _DEFAULT
        raise InputError(
            f"no weights of text-image model {source!r} ({why}). Download config.json, "
            "model.safetensors and the tokenizer's files, e.g. on a machine with a network by "
            f"`hf download {name} --local-dir clip`, and give that folder's path"
        ) from error
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise InputError(
            f"{source!r} is a {type(model).__name__}, which has no text and image features; "
            "valid: CLIP, SigLIP and their like"
        )
    return TransformersEncoder(source, model, tokenizer, _colors(transformers, where))


def _library(name: str, package: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"{what} needs {name}: pip install {package} ({error})") from error
    except Exception as error:  # e.g. a torchvision that is not of this torch
        raise InputError(f"{what} needs {name}, which does not load: {error}") from error


def _colors(transformers: Any, where: str) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return mean and deviation of the colours that a model was trained with, if it says so."""
    try:
        path = transformers.utils.cached_file(
            where, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
        )
        if path is None:
            return None
        said = json.loads(Path(path).read_text())
        mean, std = ([float(x) for x in said[key]] for key in ("image_mean", "image_std"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s does not say its colours (%s); those of its kind are used", where, error)
        return None
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        return None
    return mean, std


class TransformersEncoder:
    """A model of `transformers` with text and image features.

    Args:
        name: for messages.
        model: in evaluation mode from here on, its weights without gradients.
        tokenizer: its own.
        colors: mean and deviation [3] of the colours it was trained with; None: those of its kind.
    """

    #: Colours that most of these models were trained with (CLIP's); SigLIP's are 0.5.
    _MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        colors: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        self.name = name
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        vision = getattr(model.config, "vision_config", model.config)
        self.image_size = int(vision.image_size)
        siglip = "siglip" in str(model.config.model_type).lower()
        usual = ((0.5,) * 3, (0.5,) * 3) if siglip else (self._MEAN, self._STD)
        mean, std = colors or usual
        self._mean = torch.tensor(mean)[:, None, None]
        self._std = torch.tensor(std)[:, None, None]
        self._padding = "max_length" if siglip else True
        text = getattr(model.config, "text_config", model.config)
        self._longest = int(getattr(text, "max_position_embeddings", 77))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors [n,d]."""
        tokens = self._tokenizer(
            list(texts),
            padding=self._padding,
            truncation=True,
            max_length=self._longest,
            return_tensors="pt",
        )
        with torch.no_grad():
            return _unit(_pooled(self._model.get_text_features(**tokens)))

    def embed_images(self, images: Tensor) -> Tensor:
        """Return unit vectors [n,d] of images [n,3,S,S] 0..1."""
        pixels = (images.float() - self._mean) / self._std
        return _unit(_pooled(self._model.get_image_features(pixel_values=pixels)))


class OpenClipEncoder:
    """A model of `open_clip`.

    Args:
        name: for messages.
        model: as `open_clip.create_model_and_transforms` gives it.
        tokenizer: as `open_clip.get_tokenizer` gives it.
        mean: of the colours it was trained with.
        std: their deviation.
    """

    def __init__(
        self, name: str, model: Any, tokenizer: Any, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        self.name = name
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        size = model.visual.image_size
        self.image_size = int(size[0] if isinstance(size, tuple | list) else size)
        self._mean = torch.tensor(mean)[:, None, None]
        self._std = torch.tensor(std)[:, None, None]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors [n,d]."""
        with torch.no_grad():
            return _unit(self._model.encode_text(self._tokenizer(list(texts))))

    def embed_images(self, images: Tensor) -> Tensor:
        """Return unit vectors [n,d] of images [n,3,S,S] 0..1."""
        return _unit(self._model.encode_image((images.float() - self._mean) / self._std))


def _open_clip(source: str) -> OpenClipEncoder:
    open_clip = _library("open_clip", "open_clip_torch", "a model of open_clip")
    name, _, weights = source.partition(":")
    if name not in open_clip.list_models():
        few = ", ".join(sorted(open_clip.list_models())[:8])
        raise InputError(f"open_clip has no model {name!r}; it has {few}, ...")
    if not Path(weights).expanduser().is_file():
        raise InputError(
            f"no weights {weights!r}: give open_clip:<model>:<file>, the file from e.g. "
            f"`hf download laion/CLIP-ViT-B-32-laion2B-s34B-b79K`"
        )
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            name, pretrained=str(Path(weights).expanduser())
        )
    except Exception as error:  # torch raises what it likes at files of other kinds
        raise InputError(f"{weights!r} holds no weights of open_clip's {name}: {error}") from error
    mean = getattr(model.visual, "image_mean", None) or TransformersEncoder._MEAN
    std = getattr(model.visual, "image_std", None) or TransformersEncoder._STD
    return OpenClipEncoder(name, model, open_clip.get_tokenizer(name), mean, std)


def _pooled(features: Any) -> Tensor:
    """Return the vectors; newer versions wrap them."""
    return features if isinstance(features, Tensor) else features.pooler_output


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)
