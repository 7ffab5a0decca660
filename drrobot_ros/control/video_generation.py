"""Videos of a robot from a sentence and a picture: any image-to-video pipeline of `diffusers`.

Dr. Robot (section 3.3.2) fine-tunes such a pipeline on renders of the robot; what it makes is then
read like any other video (`control.video`). The weights come from a folder; none come with this
package.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.points.images import check_image
from drrobot_ros.control.text.encoder import check_prompt
from drrobot_ros.errors import BackendError, InputError

Image = NDArray[np.uint8]

HOW = (
    "An image-to-video pipeline needs `pip install diffusers` and a folder with its weights, e.g. "
    "huggingface-cli download THUDM/CogVideoX-5b-I2V --local-dir FOLDER (about 20 GB, and a GPU)."
)


class VideoGenerator:
    """Continues a picture as a sentence says.

    Args:
        folder: as ``DiffusionPipeline.save_pretrained`` writes it (``model_index.json`` in it).
        device: of PyTorch.
        pipeline: used in place of the folder's, e.g. one that is loaded already.

    Raises:
        BackendError: `diffusers` or the weights are missing; says what to install or download.
    """

    def __init__(
        self, folder: str | Path | None, device: str = "cpu", pipeline: Any | None = None
    ) -> None:
        self._pipeline: Any = pipeline
        if pipeline is not None:
            return
        where = Path(folder or "").expanduser()
        if folder is None or not (where / "model_index.json").is_file():
            raise BackendError(f"no pipeline in {where} (no model_index.json). {HOW}")
        try:
            pipelines = importlib.import_module("diffusers").DiffusionPipeline
        except ImportError as error:
            raise BackendError(f"diffusers is not installed. {HOW}") from error
        try:
            self._pipeline = pipelines.from_pretrained(str(where), local_files_only=True)
            self._pipeline.to(device)
        except Exception as error:  # of many kinds: missing files, versions, memory
            raise BackendError(
                f"the pipeline in {where} cannot be loaded: {error}. {HOW}"
            ) from error

    def generate(
        self, image: Image, prompt: str, frames: int = 49, steps: int = 50, seed: int = 0
    ) -> list[Image]:
        """Return images [H,W,3] uint8 of the given one's size, itself the first.

        Args:
            image: the robot now [H,W,3] uint8.
            prompt: what happens.
            frames: how many images, as far as the pipeline lets.
            steps: of denoising.
            seed: of the noise.

        Raises:
            InputError: an empty prompt, or an image of wrong type.
            BackendError: the pipeline fails, or returns no images.
        """
        import torch
        from PIL import Image as Pillow

        check_image(image, "the picture to continue")
        prompt = check_prompt(prompt)
        if frames < 2:
            raise InputError(f"a video has at least two images, got {frames}")
        height, width = image.shape[:2]
        try:
            made = self._pipeline(
                image=Pillow.fromarray(image),
                prompt=prompt,
                height=height,
                width=width,
                num_frames=frames,
                num_inference_steps=steps,
                generator=torch.Generator().manual_seed(seed),
            ).frames[0]
        except Exception as error:
            raise BackendError(f"the image-to-video pipeline failed: {error}") from error
        images = [_as_image(frame, (width, height)) for frame in made]
        if len(images) < 2:
            raise BackendError(f"the pipeline returned {len(images)} images")
        return images


def _as_image(frame: Any, size: tuple[int, int]) -> Image:
    """Return a frame (Pillow's, or an array of bytes or 0..1) as uint8 [H,W,3] of a size."""
    from PIL import Image as Pillow

    if not isinstance(frame, Pillow.Image):
        array = np.asarray(frame)
        if array.dtype != np.uint8:
            array = (255 * np.clip(array, 0, 1) + 0.5).astype(np.uint8)
        frame = Pillow.fromarray(array)
    frame = frame.convert("RGB")
    if frame.size != size:
        frame = frame.resize(size, Pillow.Resampling.LANCZOS)
    return np.asarray(frame)
