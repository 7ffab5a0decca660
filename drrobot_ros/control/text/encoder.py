"""The signature of a text-image model, and how one is found by name or folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from drrobot_ros.errors import InputError

#: The model that comes with the project: small, of robots' poses only.
OWN = "small"
MAX_PROMPT = 1000  # characters


class TextImageEncoder(Protocol):
    """Puts texts and images where like ones are near each other (CLIP, Radford et al. 2021)."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def image_size(self) -> int:
        """Edge of the images it wants, px."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors [n,d] of texts, without gradients."""
        ...

    def embed_images(self, images: Tensor) -> Tensor:
        """Return unit vectors [n,d] of images [n,3,S,S] 0..1; gradients reach the images."""
        ...


def check_prompt(prompt: str) -> str:
    """Return a prompt without surrounding white space.

    Raises:
        InputError: it is no text, empty, or of more than `MAX_PROMPT` characters.
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("the prompt is empty; say what the robot is to look like")
    text = " ".join(prompt.split())
    if len(text) > MAX_PROMPT:
        raise InputError(f"the prompt has {len(text)} characters; at most {MAX_PROMPT}")
    return text


def load_encoder(source: str = OWN) -> TextImageEncoder:
    """Load a text-image model.

    Args:
        source: ``small`` for the project's own; a folder with weights of `transformers`
            (CLIP, SigLIP, ...); ``open_clip:<model>:<file of weights>``; or the name of a model of
            the Hugging Face hub, e.g. ``openai/clip-vit-base-patch32``, which is downloaded once.

    Raises:
        InputError: there is no such model; the message says what to download and where to put it.
    """
    if not source.strip():
        raise InputError(f"no text-image model is named; valid: {OWN}, a folder, or a hub name")
    if source == OWN:
        from drrobot_ros.control.text.small import SmallEncoder

        return SmallEncoder.load()
    if source.endswith(".npz"):
        from drrobot_ros.control.text.small import SmallEncoder

        return SmallEncoder.load(Path(source))
    from drrobot_ros.control.text.hub import load_hub_encoder

    return load_hub_encoder(source)
