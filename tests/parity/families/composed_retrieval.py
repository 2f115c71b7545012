"""A composition's Q-Former in BLIP-2's first stage (Li et al. 2023, section 3.2), which reads texts too, in plain torch.

transformers has its contrast and its match (Blip2ForImageTextRetrieval) but not its grounded text, nor another encoder
than its own. Parameters have the names of Nuri's checkpoints.
"""

import json
import pathlib

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from families.common import Family
from families.composed import connector, encoder, save, vary
from families.composed_reference import ACTIVATIONS, Empty, Encoder, QFormerLayer, heads_of, attend


class ReadingLayer(QFormerLayer):
    """Queries and text attend to each other; the text has a feed-forward of its own."""

    def __init__(self, c, index, seen):
        super().__init__(c, index, seen)
        width, between = c["hidden_size"], c["intermediate_size"]
        self.intermediate = Empty(dense=nn.Linear(width, between))
        self.output = Empty(dense=nn.Linear(between, width), LayerNorm=nn.LayerNorm(width, c["layer_norm_eps"]))

    def read(self, queries, words, patches, allowed):
        """queries [B, Q, D], words [B, L, D], allowed [B, Q + L, Q + L]"""
        x = torch.cat([queries, words], 1)
        inner, outer = self.attention.attention, self.attention.output
        drawn = attend(*(heads_of(p(x), self.attention.heads) for p in (inner.query, inner.key, inner.value)), allowed)
        x = outer.LayerNorm(outer.dense(drawn) + x)
        queries, words = x[:, : queries.shape[1]], x[:, queries.shape[1]:]
        if hasattr(self, "crossattention") and queries.shape[1]:
            queries = self.crossattention(queries, patches)
        feed = lambda x, first, second: second.LayerNorm(second.dense(self.act(first.dense(x))) + x)
        return feed(queries, self.intermediate_query, self.output_query), feed(words, self.intermediate, self.output)


class ComposedRetrieval(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        eyes, c = config["encoder"], config["connector"]
        width, epsilon = c["hidden_size"], c["layer_norm_eps"]
        layers = eyes["vision_feature_layer"]
        self.layers = layers if isinstance(layers, list) else [layers]
        seen = eyes["hidden_size"] * len(self.layers)
        self.vision_tower = Encoder(eyes)
        formers = nn.ModuleList(ReadingLayer(c, i, seen) for i in range(c["num_hidden_layers"]))
        self.connector = Empty(qformer=Empty(layernorm=nn.LayerNorm(width, epsilon), encoder=Empty(layer=formers)))
        self.connector.query_tokens = nn.Parameter(torch.randn(1, c["num_queries"], width))
        self.embeddings = Empty(word_embeddings=nn.Embedding(c["vocab_size"], width),
                                position_embeddings=nn.Embedding(c["max_position_embeddings"], width))
        self.vision_projection = nn.Linear(width, config["image_text_hidden_size"])
        self.text_projection = nn.Linear(width, config["image_text_hidden_size"])
        self.itm_head = nn.Linear(width, 2)
        transform = Empty(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, epsilon))
        self.cls = Empty(predictions=Empty(transform=transform))
        self.cls.predictions.bias = nn.Parameter(torch.zeros(c["vocab_size"]))

    def read(self, patches, ids, allowed):
        """patches [B, P, E] or None, ids [B, L] or None -> states of the queries and of the text"""
        batch = len(ids if patches is None else patches)
        width = self.config["connector"]["hidden_size"]
        queries = torch.zeros(batch, 0, width) if patches is None else self.connector.query_tokens.expand(batch, -1, -1)
        words = torch.zeros(batch, 0, width)
        if ids is not None:
            words = self.embeddings.word_embeddings(ids) + self.embeddings.position_embeddings.weight[: ids.shape[1]]
        former = self.connector.qformer
        queries, words = former.layernorm(queries), former.layernorm(words)
        for layer in former.encoder.layer:
            queries, words = layer.read(queries, words, patches, allowed)
        return queries, words

    def forward(self, pixel_values, input_ids, attention_mask=None, use_image_text_matching_head=False,
                use_grounded_text_head=False):
        states = self.vision_tower(pixel_values.float())
        patches = torch.cat([states[i] for i in self.layers], -1)
        real = torch.ones_like(input_ids).bool() if attention_mask is None else attention_mask.bool()
        count, length = self.connector.query_tokens.shape[1], input_ids.shape[1]
        if use_grounded_text_head:
            allowed = torch.ones(count + length, count + length).tril().bool()
            allowed[:count, :count] = True
            allowed = allowed & torch.cat([torch.ones(len(real), count).bool(), real], 1)[:, None]
            _, words = self.read(patches, input_ids, allowed)
            head = self.cls.predictions
            act = ACTIVATIONS[self.config["connector"]["hidden_act"]]
            words = head.transform.LayerNorm(act(head.transform.dense(words)))
            return {"logits": words @ self.embeddings.word_embeddings.weight.T + head.bias}
        if use_image_text_matching_head:
            allowed = torch.cat([torch.ones(len(real), count).bool(), real], 1)[:, None].expand(-1, count + length, -1)
            queries, _ = self.read(patches, input_ids, allowed)
            logits = self.itm_head(queries).mean(1)
        else:
            queries, _ = self.read(patches, None, torch.ones(len(patches), count, count).bool())
            _, words = self.read(None, input_ids, real[:, None].expand(-1, length, -1))
            seen = F.normalize(self.vision_projection(queries), dim=-1)
            read = F.normalize(self.text_projection(words[:, 0]), dim=-1)
            logits = (seen @ read.T).max(1).values
        return {"logits_per_image": logits, "logits_per_text": logits.T}


class Reference(ComposedRetrieval):
    @classmethod
    def from_pretrained(cls, folder):
        folder = pathlib.Path(folder)
        model = cls(json.loads((folder / "config.json").read_text()))
        model.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
        return model


def composed_retrieval(r, **eyes):
    seeing = encoder(r, r.choice([2, 3]), **eyes)
    drawing = connector(r, "q_former", 0, None) | dict(vocab_size=r.choice([30, 37]), max_position_embeddings=12)
    return dict(architectures=["NuriComposedRetrieval"], model_type="nuri_composed_retrieval", encoder=seeing,
                connector=drawing, image_text_hidden_size=r.choice([8, 10]))


def inputs(config, r, head=None):
    head = head or r.choice(["contrast", "match", "text"])
    texts, length = r.choice([1, 2, 3]), r.randint(2, 8)
    pictures = r.choice([1, 2, 3]) if head == "contrast" else texts
    size = config["encoder"]["image_size"]
    made = {"input_ids": torch.randint(0, config["connector"]["vocab_size"], (texts, length)),
            "pixel_values": torch.randn(pictures, 3, size, size).half()}
    if r.random() < 0.7:
        made["attention_mask"] = torch.ones(texts, length, dtype=torch.long)
        made["attention_mask"][-1, length - 1:] = 0
    if head != "contrast":
        made["use_image_text_matching_head" if head == "match" else "use_grounded_text_head"] = torch.tensor(True)
    return made


FAMILIES = {"composed_retrieval": Family(composed_retrieval, Reference, inputs, vary=vary, save=save, generated=0)}


def one(seed):
    return ("composed_retrieval", seed, lambda r: composed_retrieval(r, num_hidden_layers=1))


# Seeds that draw each output.
GOLDENS = {"composed_contrast": one(81), "composed_match": one(83), "composed_grounded_text": one(96)}
