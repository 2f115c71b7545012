"""Towers that see, and pairs of towers that match texts and pictures."""

import torch
import transformers as t

from families.common import Family, pixels, tower


def clip_vision(r):
    return t.CLIPVisionConfig(**tower(r), projection_dim=16, hidden_act=r.choice(["quick_gelu", "gelu"]))


def siglip_vision(r, **given):
    return t.SiglipVisionConfig(**(tower(r) | given))


def siglip2_vision(r, **given):
    sizes = tower(r)
    del sizes["image_size"]
    return t.Siglip2VisionConfig(**(sizes | dict(num_patches=r.choice([9, 16])) | given))


def vit(r, **given):
    return t.ViTConfig(**(tower(r) | dict(qkv_bias=r.random() < 0.7, hidden_act=r.choice(["gelu", "relu"]),
                                          pooler_output_size=r.choice([None, 10])) | given))


def dinov2(r, **given):
    sizes = tower(r)
    del sizes["intermediate_size"]
    return t.Dinov2Config(**(sizes | dict(qkv_bias=r.random() < 0.7, mlp_ratio=r.choice([2, 3]),
                                          use_swiglu_ffn=r.random() < 0.5) | given))


def with_labels(build):
    return lambda r: build(r, num_labels=r.choice([2, 5]))


def text_tower(r):
    return dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=50,
                max_position_embeddings=12)


def clip(r):
    text = t.CLIPTextConfig(**text_tower(r), eos_token_id=r.choice([2, 49]), projection_dim=16)
    return t.CLIPConfig(vision_config=clip_vision(r).to_dict(), text_config=text.to_dict(), projection_dim=16)


def metaclip2(r):
    text = t.MetaClip2TextConfig(**text_tower(r), eos_token_id=r.choice([2, 49]), projection_dim=16)
    vision = t.MetaClip2VisionConfig(**tower(r), projection_dim=16)
    return t.MetaClip2Config(vision_config=vision.to_dict(), text_config=text.to_dict(), projection_dim=16)


def siglip(r):
    vision = siglip_vision(r)
    text = t.SiglipTextConfig(**text_tower(r), projection_size=vision.hidden_size)
    return t.SiglipConfig(vision_config=vision.to_dict(), text_config=text.to_dict())


def siglip2(r):
    vision = siglip2_vision(r)
    text = t.Siglip2TextConfig(**text_tower(r), projection_size=vision.hidden_size)
    return t.Siglip2Config(vision_config=vision.to_dict(), text_config=text.to_dict())


def pictures(config, r):
    return {"pixel_values": pixels(config, 2)}


def pictures_of_any_size(config, r):
    if r.random() < 0.5:
        return {"pixel_values": torch.randn(2, 3, config.image_size + 7, 2 * config.patch_size + 1)}
    return pictures(config, r)


def patches(config, r):
    """Two pictures of different shapes, padded to one number of patches."""
    most = config.num_patches + r.choice([0, 3])
    shapes = [r.choice([(2, 3), (1, 7), (3, 3)]), r.choice([(4, 2), (1, 1), (2, 2)])]
    mask = torch.zeros(2, most, dtype=torch.int32)
    for row, (height, width) in zip(mask, shapes):
        row[: height * width] = 1
    return {"pixel_values": torch.randn(2, most, config.patch_size**2 * 3), "pixel_attention_mask": mask,
            "spatial_shapes": torch.tensor(shapes)}


def texts(length, end=49):
    """Three texts."""
    ids = torch.randint(3, 49, (3, length))
    ids[:, -1] = end
    return {"input_ids": ids}


def clip_inputs(config, r):
    return texts(9) | pictures(config.vision_config, r)


def metaclip2_inputs(config, r):
    return texts(9, config.text_config.eos_token_id) | pictures(config.vision_config, r)


def siglip_inputs(config, r):
    return texts(12) | pictures(config.vision_config, r)


def siglip2_inputs(config, r):
    return texts(12) | patches(config.vision_config, r)


FAMILIES = {
    "clip_vision": Family(clip_vision, t.CLIPVisionModel, pictures),
    "siglip_vision": Family(siglip_vision, t.SiglipVisionModel, pictures),
    "clip": Family(clip, t.CLIPModel, clip_inputs),
    "siglip": Family(siglip, t.SiglipModel, siglip_inputs),
    "metaclip2": Family(metaclip2, t.MetaClip2Model, metaclip2_inputs),
    "siglip2": Family(siglip2, t.Siglip2Model, siglip2_inputs),
    "siglip2_vision": Family(siglip2_vision, t.Siglip2VisionModel, patches),
    "vit": Family(vit, t.ViTModel, pictures),
    "vit_classes": Family(with_labels(vit), t.ViTForImageClassification, pictures),
    "dinov2": Family(dinov2, t.Dinov2Model, pictures_of_any_size),
    "dinov2_classes": Family(with_labels(dinov2), t.Dinov2ForImageClassification, pictures_of_any_size),
}

GOLDENS = {
    "clip_vision": ("clip_vision", 7, clip_vision),
    "siglip_vision": ("siglip_vision", 8, siglip_vision),
    "clip": ("clip", 9, clip),
    "siglip": ("siglip", 10, siglip),
    "metaclip2": ("metaclip2", 18, metaclip2),
    "siglip2": ("siglip2", 19, siglip2),
    "siglip2_vision": ("siglip2_vision", 20, lambda r: siglip2_vision(r, vision_use_head=False)),
    "vit": ("vit", 14, lambda r: vit(r, pooler_output_size=10)),
    "vit_classes": ("vit_classes", 15, with_labels(vit)),
    "dinov2": ("dinov2", 16, lambda r: dinov2(r, use_swiglu_ffn=False)),
    "dinov2_classes": ("dinov2_classes", 17, lambda r: dinov2(r, use_swiglu_ffn=True, num_labels=5)),
}
