"""Models of `transformers` from a folder: real classes, random weights, a tokenizer of bytes."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.objectives.text import TextSimilarity
from drrobot_ros.control.text.encoder import load_encoder
from drrobot_ros.control.text.hub import TransformersEncoder
from drrobot_ros.errors import InputError

pytest.importorskip("transformers")


def byte_tokenizer(folder: Path) -> None:
    """Write the files of CLIP's tokenizer without merges: every byte is a token."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    words = [*letters, *(c + "</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer"})  # does not say how much is read
    )


def save_tiny_clip(folder: Path) -> None:
    """Write a CLIP of a few thousand random weights as the hub has it."""
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True, exist_ok=True)
    byte_tokenizer(folder)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    small["num_attention_heads"] = 2
    text = {**small, "vocab_size": 514, "bos_token_id": 512, "eos_token_id": 513}
    vision = {**small, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    with torch.no_grad():  # as they start, such models hardly look at their input
        for p in model.parameters():
            if p.ndim > 1:
                p.add_(0.1 * torch.randn_like(p))
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]})
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    save_tiny_clip(path)
    return path


def test_a_folder_of_transformers_is_an_encoder(folder: Path) -> None:
    encoder = load_encoder(str(folder))
    assert isinstance(encoder, TransformersEncoder)
    assert encoder.image_size == 32
    assert encoder._mean.ravel().tolist() == pytest.approx([0.4, 0.5, 0.6])
    words = encoder.embed_texts(["a fist", "an open hand", "a fist"])
    assert words.shape == (3, 16)
    assert torch.allclose(words.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(words[0], words[2], atol=1e-6)
    assert not torch.allclose(words[0], words[1], atol=1e-3)
    images = torch.rand(2, 3, 32, 32)
    found = encoder.embed_images(images)
    assert torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-5)
    # The library's own way to the same vector.
    pixels = (images - encoder._mean) / encoder._std
    theirs = encoder._model.visual_projection(
        encoder._model.vision_model(pixel_values=pixels).pooler_output
    )
    assert torch.allclose(found, torch.nn.functional.normalize(theirs, dim=-1), atol=1e-5)


def test_longest_prompts_are_cut_to_what_the_model_reads(folder: Path) -> None:
    encoder = load_encoder(str(folder))
    long = encoder.embed_texts(["fist " * 199])
    assert torch.isfinite(long).all()
    with pytest.raises(InputError, match="10000 characters"):
        TextSimilarity(encoder, "x" * 10000)


def test_gradients_reach_the_joints(folder: Path, arm, splats, view) -> None:
    encoder = load_encoder(str(folder))
    q = torch.tensor([[0.6, -0.5, 0.8, 0.2, 0.6, -0.4]], dtype=torch.float64, requires_grad=True)
    goal = TextSimilarity(encoder, "reaching left", crops=0)
    cost = goal(Candidate(arm, splats, q, (view,)))
    (gradient,) = torch.autograd.grad(cost.sum(), q)
    assert torch.isfinite(gradient).all() and float(gradient.norm()) > 1e-4
    direction = np.array([[1.0, 0.5, -0.3, 0.0, 0.2, 0.0]])
    ends = [
        float(goal(Candidate(arm, splats, q.detach() + s * 0.01 * torch.from_numpy(direction),
                             (view,))).sum())
        for s in (1, -1)
    ]  # fmt: skip
    slope = (ends[0] - ends[1]) / 0.02
    assert float((gradient * torch.from_numpy(direction)).sum()) == pytest.approx(slope, rel=0.25)


def test_folders_without_a_model_say_what_to_download(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hf download openai/clip-vit-base-patch32 --local-dir"):
        load_encoder(str(tmp_path))
    for name in ("config.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_encoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="no weights"):
        load_encoder(str(tmp_path))


def test_unknown_names_say_what_to_download(monkeypatch) -> None:
    # Without this the library asks the network again and again.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"hf download nobody/no-such-model --local-dir clip"):
        load_encoder("nobody/no-such-model")


def test_models_without_text_features_are_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=514,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    byte_tokenizer(tmp_path)
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="BertModel, which has no text and image features"):
        load_encoder(str(tmp_path))


def test_files_that_open_clip_cannot_read_are_refused(monkeypatch, tmp_path: Path) -> None:
    def fails(name: str, pretrained: str) -> None:
        raise IndexError("pop from empty list")

    stand_in = types.SimpleNamespace(
        list_models=lambda: ["ViT-B-32"], create_model_and_transforms=fails
    )
    monkeypatch.setitem(sys.modules, "open_clip", stand_in)
    with pytest.raises(InputError, match=r"no model 'ViT-X'; it has ViT-B-32"):
        load_encoder("open_clip:ViT-X:weights.pt")
    with pytest.raises(InputError, match=r"no weights .*hf download"):
        load_encoder(f"open_clip:ViT-B-32:{tmp_path / 'missing.pt'}")
    (tmp_path / "torn.pt").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"holds no weights of open_clip's ViT-B-32: pop from"):
        load_encoder(f"open_clip:ViT-B-32:{tmp_path / 'torn.pt'}")
