"""BLIP-2 and InstructBLIP, whose learned queries ask a vision tower and speak to a decoder or to T5."""

import torch
import transformers as t

from families import common
from families.common import SMALL_HEADS, SMALL_TOWER, Family, pixels, tower, without_padding
from families.decoders import SMALL_OPT, SMALL_T5, answer_for, encodes, llama, opt, own_head, resume_answer, t5


def qformer(r, **given):
    heads = r.choice([2, 3])
    return dict(
        vocab_size=40,
        hidden_size=heads * 8,
        intermediate_size=20,
        num_hidden_layers=r.choice([2, 3]),
        num_attention_heads=heads,
        max_position_embeddings=16,
        cross_attention_frequency=r.choice([1, 2]),
        initializer_range=0.2,
    ) | given


def blip2(r, vision=None, queries=None, text=None, **given):
    text = text or r.choice([lambda r: opt(r, word_embed_proj_dim=None), t5, llama])(r)
    return t.Blip2Config(
        vision_config=vision or t.Blip2VisionConfig(**tower(r), qkv_bias=r.random() < 0.7),
        qformer_config=t.Blip2QFormerConfig(**(queries or qformer(r, use_qformer_text_input=r.random() < 0.3))),
        text_config=text,
        **(dict(num_query_tokens=r.choice([2, 5]), image_token_index=text.vocab_size - 1) | given),
    )


def blip2_retrieval(r, vision=None, queries=None, **given):
    return t.Blip2Config(
        vision_config=vision or t.Blip2VisionConfig(**tower(r), qkv_bias=r.random() < 0.7),
        qformer_config=t.Blip2QFormerConfig(**(queries or qformer(r)), use_qformer_text_input=True),
        **(dict(num_query_tokens=r.choice([2, 5]), image_text_hidden_size=10,
                image_token_index=r.choice([None, 39])) | given),
    )


def instructblip(r, vision=None, queries=None, text=None, **given):
    text = text or r.choice([llama, t5])(r)
    return t.InstructBlipConfig(
        vision_config=vision or t.InstructBlipVisionConfig(**tower(r), qkv_bias=r.random() < 0.7),
        qformer_config=t.InstructBlipQFormerConfig(**(queries or qformer(r))),
        text_config=text,
        **(dict(num_query_tokens=r.choice([2, 5]), image_token_index=text.vocab_size - 1) | given),
    )


def ask(config, r, queries, vocab_size, pad_at_end):
    """So many image tokens in front, then the text; in the last row padding between them, or at its end."""
    batch, length = r.choice([1, 2]), r.randint(3, 7)
    ids = torch.randint(3, vocab_size, (batch, queries + length))
    if queries:
        ids[:, :queries] = config.image_token_index
    mask = torch.ones_like(ids)
    if batch > 1:
        mask[1, slice(queries + length - 2, None) if pad_at_end else slice(queries, queries + 2)] = 0
    return {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels(config.vision_config, batch)}


def blip2_inputs(config, r):
    inputs = ask(config, r, config.num_query_tokens, config.text_config.vocab_size - 1, pad_at_end=encodes(config))
    return inputs | (answer_for(config, len(inputs["input_ids"]), r) if encodes(config) else {})


def retrieval_inputs(config, r):
    queries = 0 if config.image_token_index is None else config.num_query_tokens
    inputs = ask(config, r, queries, 39, pad_at_end=True)
    if r.random() < 0.5:
        inputs["use_image_text_matching_head"] = torch.tensor(True)
    return inputs


def instructblip_inputs(config, r):
    inputs = blip2_inputs(config, r)
    batch = len(inputs["input_ids"])
    inputs["qformer_input_ids"] = torch.randint(0, 40, (batch, 5))
    if batch > 1 or r.random() < 0.5:
        inputs["qformer_attention_mask"] = torch.ones(batch, 5, dtype=torch.long)
        inputs["qformer_attention_mask"][-1, 3:] = 0
    return inputs


def vary(key, parameter):
    if key == "query_tokens":  # all zeros
        parameter.normal_()
    else:
        common.vary(key, parameter)


def resume(config, inputs, row, ids):
    if encodes(config):
        return resume_answer(config, inputs, row, ids)
    extra = {k: v[row : row + 1] for k, v in inputs.items() if k not in ("input_ids", "attention_mask")}
    return {"input_ids": without_padding(inputs, row, ids)} | extra


OUTPUTS = ("loss", "vision_outputs.last_hidden_state", "vision_outputs.pooler_output",
           "qformer_outputs.last_hidden_state", "language_model_outputs.encoder_last_hidden_state")
FAMILIES = {
    "blip2": Family(blip2, t.Blip2ForConditionalGeneration, blip2_inputs, OUTPUTS, prepare=own_head, vary=vary,
                    resume=resume),
    "blip2_retrieval": Family(blip2_retrieval, t.Blip2ForImageTextRetrieval, retrieval_inputs,
                              ("vision_model_output.last_hidden_state",), vary=vary),
    "instructblip": Family(instructblip, t.InstructBlipForConditionalGeneration, instructblip_inputs, OUTPUTS,
                           prepare=own_head, vary=vary, resume=resume),
}

EYES = SMALL_TOWER | dict(num_hidden_layers=1, image_size=8, patch_size=4, initializer_range=0.2)
T5_GATED = SMALL_T5 | dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
GOLDENS = {
    "blip2_opt": ("blip2", 34, lambda r: blip2(
        r, t.Blip2VisionConfig(**EYES), qformer(r, **SMALL_TOWER), opt(r, **SMALL_OPT))),
    "blip2_t5": ("blip2", 35, lambda r: blip2(
        r, t.Blip2VisionConfig(**EYES, qkv_bias=False), qformer(r, **SMALL_TOWER), t5(r, **T5_GATED))),
    "blip2_match": ("blip2_retrieval", 36, lambda r: blip2_retrieval(
        r, t.Blip2VisionConfig(**EYES), qformer(r, **SMALL_TOWER), image_token_index=39)),
    "blip2_contrast": ("blip2_retrieval", 37, lambda r: blip2_retrieval(
        r, t.Blip2VisionConfig(**EYES), qformer(r, **SMALL_TOWER), image_token_index=None)),
    "instructblip_llama": ("instructblip", 38, lambda r: instructblip(
        r, t.InstructBlipVisionConfig(**EYES), qformer(r, **SMALL_TOWER), llama(r, "default", **SMALL_HEADS))),
    "instructblip_t5": ("instructblip", 39, lambda r: instructblip(
        r, t.InstructBlipVisionConfig(**EYES), qformer(r, **SMALL_TOWER), t5(r, **T5_GATED))),
}
