"""Decoders of text alone, and T5, whose decoder answers what its encoder reads."""

import torch
import transformers as t

from families.common import SMALL, SMALL_HEADS, Family, decoder, rope, words

SMALL_OPT = dict(vocab_size=48, hidden_size=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=2,
                 word_embed_proj_dim=None, layer_norm_elementwise_affine=True, enable_bias=True)
SMALL_T5 = dict(vocab_size=48, d_model=16, d_kv=6, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=2)


def llama(r, kind=None, **given):
    kind = kind or r.choice(["default", "linear", "dynamic", "llama3"])
    bias = r.random() < 0.4
    sizes = decoder(r) | dict(attention_bias=bias, mlp_bias=bias, rope_parameters=rope(kind, r.choice([1e4, 5e5])))
    if kind == "dynamic":
        sizes["max_position_embeddings"] = 12
    if r.random() < 0.3:
        sizes["head_dim"] = 2 * r.choice([3, 5, 8])
    return t.LlamaConfig(**(sizes | given))


def qwen2(r, **given):
    window = dict(use_sliding_window=True, sliding_window=5, max_window_layers=1) if r.random() < 0.5 else {}
    return t.Qwen2Config(**(decoder(r) | window | given))


def mistral(r, **given):
    sizes = decoder(r) | dict(sliding_window=r.choice([None, 5]))
    if r.random() < 0.3:
        sizes["head_dim"] = 2 * r.choice([3, 5, 8])
    return t.MistralConfig(**(sizes | given))


def mixtral(r, **given):
    sizes = dict(num_local_experts=r.choice([3, 4, 6]), num_experts_per_tok=r.choice([1, 2, 3]),
                 sliding_window=r.choice([None, 5]), rope_parameters=rope(r.choice(["default", "linear"]), 1e6))
    return t.MixtralConfig(**(decoder(r) | sizes | given))


def save_mixtral(model, folder, seed):
    """Its experts one by one as published, or together."""
    model.save_pretrained(folder, save_original_format=seed % 2 == 0)


def opt(r, **given):
    heads = r.choice([2, 3])
    return t.OPTConfig(**(dict(
        vocab_size=r.choice([71, 96]),
        hidden_size=heads * 8,
        ffn_dim=36,
        num_hidden_layers=r.choice([1, 2, 3]),
        num_attention_heads=heads,
        max_position_embeddings=64,
        init_std=0.2,
        activation_function=r.choice(["relu", "gelu"]),
        do_layer_norm_before=r.random() < 0.7,
        _remove_final_layer_norm=r.random() < 0.2,
        word_embed_proj_dim=r.choice([None, 12]),
        enable_bias=r.random() < 0.7,
        layer_norm_elementwise_affine=r.random() < 0.7,
        tie_word_embeddings=r.random() < 0.6,
    ) | given))


def t5(r, **given):
    """Without tie_word_embeddings: T5 1.1, see own_head()."""
    return t.T5Config(**(dict(
        vocab_size=r.choice([71, 96]),
        d_model=r.choice([16, 24]),
        d_kv=r.choice([6, 8]),
        d_ff=36,
        num_layers=r.choice([2, 3]),
        num_decoder_layers=r.choice([None, 1, 2]),  # more than the encoder has make the reference's cache fail
        num_heads=r.choice([2, 3]),
        relative_attention_num_buckets=r.choice([4, 8, 32]),
        relative_attention_max_distance=r.choice([20, 128]),
        feed_forward_proj=r.choice(["relu", "gelu", "gated-gelu", "gated-silu"]),
        decoder_start_token_id=r.choice([0, 5]),
        tie_word_embeddings=r.random() < 0.5,
    ) | given))


def encodes(config):
    """Whether an encoder reads the prompt, and a decoder answers."""
    return getattr(config, "text_config", config).model_type == "t5"


def own_head(model):
    """T5 1.1, whose output is not scaled, has a head of its own, but the reference would make it the embeddings."""
    language = getattr(model, "language_model", model)
    if encodes(model.config) and not language.config.scale_decoder_outputs:
        language.lm_head.weight = torch.nn.Parameter(torch.empty_like(language.lm_head.weight).normal_(0, 0.2))


def answer_for(config, batch, r):
    """What the decoder of an encoder-decoder reads or should have said."""
    ids = torch.randint(1, getattr(config, "text_config", config).vocab_size, (batch, r.randint(1, 6)))
    if r.random() < 0.5:
        labels = ids.clone()
        labels[0, 1:3] = -100
        return {"labels": labels}
    mask = torch.ones_like(ids)
    mask[-1, 1:] = 0
    return {"decoder_input_ids": ids} | ({"decoder_attention_mask": mask} if r.random() < 0.5 else {})


def t5_inputs(config, r):
    inputs = words(config, r)
    return inputs | answer_for(config, len(inputs["input_ids"]), r)


def resume_answer(config, inputs, row, ids):
    """The encoder reads the row's prompt as it is; only the decoder goes on."""
    prompt = {k: v[row : row + 1] for k, v in inputs.items() if k != "labels" and not k.startswith("decoder_")}
    return prompt | {"decoder_input_ids": ids[None]}


FAMILIES = {
    "llama": Family(llama, t.LlamaForCausalLM, words),
    "qwen2": Family(qwen2, t.Qwen2ForCausalLM, words),
    "mistral": Family(mistral, t.MistralForCausalLM, words),
    "mixtral": Family(mixtral, t.MixtralForCausalLM, words, save=save_mixtral),
    "opt": Family(opt, t.OPTForCausalLM, words),
    "t5": Family(t5, t.T5ForConditionalGeneration, t5_inputs, outputs=("loss", "encoder_last_hidden_state"),
                 prepare=own_head, resume=resume_answer),
}

GOLDENS = {
    "llama2": ("llama", 1, lambda r: llama(r, "default", **SMALL_HEADS, tie_word_embeddings=False)),
    "llama3": ("llama", 2, lambda r: llama(r, "llama3", **SMALL_HEADS, tie_word_embeddings=True)),
    "llama_linear_bias": ("llama", 3, lambda r: llama(r, "linear", **SMALL_HEADS, attention_bias=True, mlp_bias=True)),
    "llama_dynamic": ("llama", 4, lambda r: llama(r, "dynamic", **SMALL_HEADS)),
    "qwen2_window": ("qwen2", 6, lambda r: qwen2(r, **SMALL, use_sliding_window=True, sliding_window=5,
                                                 max_window_layers=1)),
    "mistral": ("mistral", 34, lambda r: mistral(r, **SMALL, sliding_window=5)),
    "mistral_no_window": ("mistral", 35, lambda r: mistral(r, **SMALL_HEADS | dict(sliding_window=None, head_dim=6))),
    "mixtral": ("mixtral", 18, lambda r: mixtral(r, **SMALL_HEADS, num_local_experts=4, num_experts_per_tok=2,
                                                 sliding_window=5)),
    "mixtral_together": ("mixtral", 19, lambda r: mixtral(r, **SMALL_HEADS, num_local_experts=5,
                                                          num_experts_per_tok=3)),
    "opt": ("opt", 30, lambda r: opt(r, **SMALL_OPT, do_layer_norm_before=True)),
    "opt_norm_behind": ("opt", 31, lambda r: opt(r, **SMALL_OPT | dict(word_embed_proj_dim=12),
                                                 do_layer_norm_before=False)),
    "t5": ("t5", 32, lambda r: t5(r, **SMALL_T5, feed_forward_proj="relu", tie_word_embeddings=True)),
    "t5_gated_untied": ("t5", 33, lambda r: t5(r, **SMALL_T5, feed_forward_proj="gated-gelu",
                                               tie_word_embeddings=False)),
}
