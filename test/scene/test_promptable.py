"""A SAM-class model as segmenter: a tiny random one, as no weights can be had here."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.scene.promptable import segment

transformers = pytest.importorskip("transformers", reason="the plug-in needs transformers")


@pytest.fixture(scope="module")
def tiny_sam(tmp_path_factory):
    import torch

    torch.manual_seed(0)
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 16,
            "output_channels": 8,
            "mlp_dim": 16,
            "global_attn_indexes": [0],
            "window_size": 2,
            "num_pos_feats": 4,
        },
        prompt_encoder_config={"hidden_size": 8, "image_size": 64, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "mlp_dim": 16,
            "iou_head_hidden_dim": 8,
        },
    )
    model = transformers.SamModel(config)
    with torch.no_grad():  # the default start gives one mask for everything
        for value in model.parameters():
            if value.ndim > 1:
                value.add_(0.2 * torch.randn_like(value))
    size = {"longest_edge": 64}
    image = transformers.SamImageProcessor(size=size, pad_size={"height": 64, "width": 64})
    folder = tmp_path_factory.mktemp("sam")
    model.save_pretrained(folder)
    transformers.SamProcessor(image).save_pretrained(folder)
    return str(folder)


def test_a_mask_per_box_inside_of_it(tiny_sam):
    rng = np.random.default_rng(0)
    color = rng.integers(0, 255, (48, 60, 3), dtype=np.uint8)
    boxes = np.array([[4.0, 4, 30, 30], [20, 10, 50, 44]])
    masks = segment(color, boxes, tiny_sam)
    assert masks.shape == (2, 48, 60)
    assert masks.dtype == bool
    assert not masks[0][:, 40:].any()
    assert not np.array_equal(masks[0], masks[1])


def test_no_such_model_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot load the segmenter"):
        segment(np.zeros((8, 8, 3), np.uint8), np.array([[0.0, 0, 4, 4]]), str(tmp_path))
