"""Compositions of an encoder, a connector, a fusion, a decoder and a resolution in plain torch, from the papers:

- NVLM-D, -X and -H: Dai et al. 2024, "NVLM: Open Frontier-Class Multimodal LLMs" (arXiv 2409.11402), sections 4.1 to 4.3;
- gated cross-attention and the Perceiver resampler: Alayrac et al. 2022, "Flamingo"; the layer's form (norms of queries
  and keys, a gated feed-forward): Llama 3.2 Vision (Dubey et al. 2024);
- the C-Abstractor: Cha et al. 2024, "Honeybee"; pixel shuffle: Chen et al. 2024, InternVL 1.5;
- the Q-Former: Li et al. 2023, "BLIP-2".

transformers has none of these models. Parameters have the names of Nuri's checkpoints.
"""

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"gelu": F.gelu, "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
               "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x)}


def heads_of(x, heads):
    """[..., T, H D] -> [..., H, T, D]"""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def attend(query, key, value, allowed=None):
    """Of [..., H, T, D] and [..., K, S, D]; allowed [..., T, S] or None -> [..., T, H D]"""
    groups = query.shape[-3] // key.shape[-3]
    key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if allowed is None:
        return (scores.softmax(-1) @ value).transpose(-3, -2).flatten(-2)
    allowed = allowed.unsqueeze(-3)
    weights = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(-1)
    weights = weights * allowed.any(-1, keepdim=True)  # padding, which may see nothing, gets zeros
    return (weights @ value).transpose(-3, -2).flatten(-2)


class RmsNorm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)


class Empty(nn.Module):
    """A scope of names."""

    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)


# ---- encoders


class EncoderLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, epsilon = c["hidden_size"], c["layer_norm_eps"]
        self.heads, self.act = c["num_attention_heads"], ACTIVATIONS[c["hidden_act"]]
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.self_attn = Empty(**{name: nn.Linear(width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")})
        self.mlp = Empty(fc1=nn.Linear(width, c["intermediate_size"]), fc2=nn.Linear(c["intermediate_size"], width))

    def forward(self, x):
        y, a = self.layer_norm1(x), self.self_attn
        query, key, value = (heads_of(p(y), self.heads) for p in (a.q_proj, a.k_proj, a.v_proj))
        x = x + a.out_proj(attend(query, key, value))
        return x + self.mlp.fc2(self.act(self.mlp.fc1(self.layer_norm2(x))))


class Encoder(nn.Module):
    """CLIP's, with a class token, or SigLIP's."""

    def __init__(self, c):
        super().__init__()
        width, patch, epsilon = c["hidden_size"], c["patch_size"], c["layer_norm_eps"]
        self.clip = c["model_type"] == "clip_vision_model"
        patches = (c["image_size"] // patch) ** 2
        self.embeddings = Empty(patch_embedding=nn.Conv2d(3, width, patch, patch, bias=not self.clip),
                                position_embedding=nn.Embedding(patches + self.clip, width))
        if self.clip:
            self.embeddings.class_embedding = nn.Parameter(torch.randn(width))
            self.pre_layrnorm = nn.LayerNorm(width, epsilon)
        self.encoder = Empty(layers=nn.ModuleList(EncoderLayer(c) for _ in range(c["num_hidden_layers"])))
        self.post_layernorm = nn.LayerNorm(width, epsilon)

    def forward(self, pixels):
        """-> the states of the patches, before the first layer and behind each"""
        x = self.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
        if self.clip:
            x = torch.cat([self.embeddings.class_embedding.expand(len(x), 1, -1), x], 1)
        x = x + self.embeddings.position_embedding.weight
        if self.clip:
            x = self.pre_layrnorm(x)
        states = [x]
        for layer in self.encoder.layers:
            states.append(layer(states[-1]))
        return [s[:, 1:] if self.clip else s for s in states]


# ---- connectors


def squares(x, n):
    """[N, s s, D] -> [N, (s / n)^2, n n, D]: the patches of each square, line by line"""
    side = int(x.shape[1] ** 0.5)
    windows = F.unfold(x.transpose(1, 2).unflatten(2, (side, side)), n, stride=n)  # [N, D n n, cells]
    return windows.unflatten(1, (x.shape[2], n * n)).permute(0, 3, 2, 1)


class Mlp(nn.Module):
    """Behind a pixel shuffle, a pooling, or nothing."""

    def __init__(self, c, width, out):
        super().__init__()
        self.kind, self.factor, self.act = c["type"], c.get("factor"), ACTIVATIONS[c["hidden_act"]]
        if self.kind == "pixel_shuffle":
            width *= self.factor**2
            self.layer_norm = nn.LayerNorm(width)
        self.linear_1 = nn.Linear(width, c["hidden_size"], bias=c["bias"])
        self.linear_2 = nn.Linear(c["hidden_size"], out, bias=c["bias"])

    def forward(self, x):
        if self.kind == "pixel_shuffle":
            x = self.layer_norm(squares(x, self.factor).flatten(2))
        elif self.kind == "spatial_pooling":
            x = squares(x, self.factor).mean(2)
        return self.linear_2(self.act(self.linear_1(x)))


class Linear(nn.Module):
    def __init__(self, c, width, out):
        super().__init__()
        self.linear = nn.Linear(width, out, bias=c["bias"])

    def forward(self, x):
        return self.linear(x)


class QFormerAttention(nn.Module):
    def __init__(self, c, seen):
        super().__init__()
        width, self.heads = c["hidden_size"], c["num_attention_heads"]
        self.attention = Empty(query=nn.Linear(width, width), key=nn.Linear(seen, width), value=nn.Linear(seen, width))
        self.output = Empty(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, c["layer_norm_eps"]))

    def forward(self, x, seen):
        a = self.attention
        drawn = attend(*(heads_of(p(y), self.heads) for p, y in ((a.query, x), (a.key, seen), (a.value, seen))))
        return self.output.LayerNorm(self.output.dense(drawn) + x)


class QFormerLayer(nn.Module):
    def __init__(self, c, index, seen):
        super().__init__()
        width, between = c["hidden_size"], c["intermediate_size"]
        self.act = ACTIVATIONS[c["hidden_act"]]
        self.attention = QFormerAttention(c, width)
        if index % c["cross_attention_frequency"] == 0:
            self.crossattention = QFormerAttention(c, seen)
        self.intermediate_query = Empty(dense=nn.Linear(width, between))
        self.output_query = Empty(dense=nn.Linear(between, width), LayerNorm=nn.LayerNorm(width, c["layer_norm_eps"]))

    def forward(self, x, patches):
        x = self.attention(x, x)
        if hasattr(self, "crossattention"):
            x = self.crossattention(x, patches)
        fed = self.output_query.dense(self.act(self.intermediate_query.dense(x)))
        return self.output_query.LayerNorm(fed + x)


class QFormer(nn.Module):
    def __init__(self, c, width, out):
        super().__init__()
        own = c["hidden_size"]
        self.query_tokens = nn.Parameter(torch.randn(1, c["num_queries"], own))
        layers = nn.ModuleList(QFormerLayer(c, i, width) for i in range(c["num_hidden_layers"]))
        self.qformer = Empty(layernorm=nn.LayerNorm(own, c["layer_norm_eps"]), encoder=Empty(layer=layers))
        self.language_projection = nn.Linear(own, out)

    def forward(self, patches):
        x = self.qformer.layernorm(self.query_tokens.expand(len(patches), -1, -1))
        for layer in self.qformer.encoder.layer:
            x = layer(x, patches)
        return self.language_projection(x)


class ResamplerLayer(nn.Module):
    def __init__(self, c, width):
        super().__init__()
        self.heads = c["num_attention_heads"]
        self.norm_media, self.norm_latents, self.norm_feed_forward = (nn.LayerNorm(width) for _ in range(3))
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(width, width, bias=False))
        self.fc1 = nn.Linear(width, c["intermediate_size"], bias=False)
        self.fc2 = nn.Linear(c["intermediate_size"], width, bias=False)

    def forward(self, latents, media):
        own, media = self.norm_latents(latents), self.norm_media(media)
        seen = torch.cat([media, own], 1)
        drawn = attend(*(heads_of(p(x), self.heads) for p, x in ((self.q_proj, own), (self.k_proj, seen), (self.v_proj, seen))))
        latents = latents + self.o_proj(drawn)
        return latents + self.fc2(F.gelu(self.fc1(self.norm_feed_forward(latents))))


class PerceiverResampler(nn.Module):
    def __init__(self, c, width, out):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, c["num_queries"], width))
        self.layers = nn.ModuleList(ResamplerLayer(c, width) for _ in range(c["num_hidden_layers"]))
        self.norm, self.projection = nn.LayerNorm(width), nn.Linear(width, out)

    def forward(self, patches):
        x = self.latents.expand(len(patches), -1, -1)
        for layer in self.layers:
            x = layer(x, patches)
        return self.projection(self.norm(x))


def over_channels(norm, x):
    return norm(x.movedim(1, -1)).movedim(-1, 1)


def one_by_one(linear, x):
    bias = linear.bias
    return F.conv2d(x, linear.weight[:, :, None, None], bias)


class RegBlock(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        between = max(round(0.25 * width), 1)
        self.conv1, self.conv3 = nn.Linear(width, out, bias=False), nn.Linear(out, out, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, groups=out, bias=False)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(out, 1e-6) for _ in range(3))
        self.squeeze, self.excite = nn.Linear(out, between), nn.Linear(between, out)
        if width != out:
            self.shortcut, self.shortcut_norm = nn.Linear(width, out, bias=False), nn.LayerNorm(out, 1e-6)

    def forward(self, x):
        y = F.silu(over_channels(self.norm1, one_by_one(self.conv1, x)))
        y = F.silu(over_channels(self.norm2, self.conv2(y)))
        weights = one_by_one(self.excite, F.silu(one_by_one(self.squeeze, y.mean((2, 3), keepdim=True))))
        y = over_channels(self.norm3, one_by_one(self.conv3, y * weights.sigmoid()))
        if hasattr(self, "shortcut"):
            x = over_channels(self.shortcut_norm, one_by_one(self.shortcut, x))
        return F.silu(x + y)


class CAbstractor(nn.Module):
    def __init__(self, c, width, out, patches):
        super().__init__()
        self.position_embedding = nn.Parameter(torch.randn(1, patches, width))
        self.rows, depth, own = round(c["num_queries"] ** 0.5), c["depth"], c["hidden_size"]
        self.before = nn.ModuleList(RegBlock(own if i else width, own) for i in range(depth))
        self.after = nn.ModuleList(RegBlock(own, own) for _ in range(depth))
        self.readout = nn.ModuleList(nn.Linear(out if i else own, out) for i in range(c["mlp_depth"]))

    def forward(self, patches):
        side = round(patches.shape[1] ** 0.5)
        x = (patches + self.position_embedding).transpose(1, 2).unflatten(2, (side, side))
        for block in self.before:
            x = block(x)
        x = F.adaptive_avg_pool2d(x, self.rows)
        for block in self.after:
            x = block(x)
        x = x.flatten(2).transpose(1, 2)
        for i, layer in enumerate(self.readout):
            x = layer(F.silu(x) if i else x)
        return x


def make_connector(c, width, out, patches):
    kinds = {"linear": Linear, "q_former": QFormer, "perceiver_resampler": PerceiverResampler}
    if c["type"] == "c_abstractor":
        return CAbstractor(c, width, out, patches)
    return kinds.get(c["type"], Mlp)(c, width, out)


# ---- decoder


def rotated(x, positions, theta):
    """x [H, T, D]: halves of a head turned by the token's position (Su et al. 2021)"""
    half = x.shape[-1] // 2
    angles = positions[:, None] * theta ** (-torch.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)


class GatedMlp(nn.Module):
    def __init__(self, c, bias=False):
        super().__init__()
        width, between = c["hidden_size"], c["intermediate_size"]
        self.gate_proj, self.up_proj = nn.Linear(width, between, bias=bias), nn.Linear(width, between, bias=bias)
        self.down_proj = nn.Linear(between, width, bias=bias)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class CrossAttention(nn.Module):
    """Gated cross-attention in front of a layer."""

    def __init__(self, c):
        super().__init__()
        width, head, epsilon = c["hidden_size"], c["head_dim"], c["rms_norm_eps"]
        self.heads, self.kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        projection = lambda heads: nn.Linear(width, heads * head, bias=False)
        self.cross_attn = Empty(q_proj=projection(self.heads), k_proj=projection(self.kv_heads),
                                v_proj=projection(self.kv_heads), o_proj=nn.Linear(self.heads * head, width, bias=False),
                                q_norm=RmsNorm(head, epsilon), k_norm=RmsNorm(head, epsilon))
        self.input_layernorm, self.post_attention_layernorm = RmsNorm(width, epsilon), RmsNorm(width, epsilon)
        self.mlp = GatedMlp(c)
        self.cross_attn_attn_gate, self.cross_attn_mlp_gate = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x, states, allowed):
        """x [T, D], states [S, D], allowed [T, S]: who looks at nothing passes unchanged"""
        looks = allowed.any(1)
        if not looks.any():
            return x
        a, seen = self.cross_attn, x[looks]
        query = a.q_norm(heads_of(a.q_proj(self.input_layernorm(seen)), self.heads))
        key, value = a.k_norm(heads_of(a.k_proj(states), self.kv_heads)), heads_of(a.v_proj(states), self.kv_heads)
        seen = seen + self.cross_attn_attn_gate.tanh() * a.o_proj(attend(query, key, value, allowed[looks]))
        seen = seen + self.cross_attn_mlp_gate.tanh() * self.mlp(self.post_attention_layernorm(seen))
        return x.index_put((looks.nonzero()[:, 0],), seen)


class DecoderLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, head, epsilon = c["hidden_size"], c["head_dim"], c["rms_norm_eps"]
        self.heads, self.kv_heads, self.theta = c["num_attention_heads"], c["num_key_value_heads"], c["rope_theta"]
        bias = c["model_type"] == "qwen2"
        self.self_attn = Empty(q_proj=nn.Linear(width, self.heads * head, bias=bias),
                               k_proj=nn.Linear(width, self.kv_heads * head, bias=bias),
                               v_proj=nn.Linear(width, self.kv_heads * head, bias=bias),
                               o_proj=nn.Linear(self.heads * head, width, bias=False))
        self.input_layernorm, self.post_attention_layernorm = RmsNorm(width, epsilon), RmsNorm(width, epsilon)
        self.mlp = GatedMlp(c)

    def forward(self, x, real):
        """x [T, D] of one prompt, real [T]"""
        y, a, places = self.input_layernorm(x), self.self_attn, torch.arange(len(x))
        query, key = (rotated(heads_of(p(y), n), places, self.theta)
                      for p, n in ((a.q_proj, self.heads), (a.k_proj, self.kv_heads)))
        causal = (places[:, None] >= places) & real
        x = x + a.o_proj(attend(query, key, heads_of(a.v_proj(y), self.kv_heads), causal))
        return x + self.mlp(self.post_attention_layernorm(x))


# ---- the composition


class Composed(nn.Module):
    """`config`: what config.json holds, with every key that matters."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        eyes, words = config["encoder"], config["decoder"]
        self.fusion, resolution = config["fusion"]["type"], config["resolution"]
        self.image_token, self.tags = config["image_token_id"], resolution.get("tile_tag_ids", [])
        self.thumbnail = resolution.get("thumbnail_tag_id")
        layers = eyes["vision_feature_layer"]
        self.layers = layers if isinstance(layers, list) else [layers]
        self.vision_tower = Encoder(eyes)
        patches = (eyes["image_size"] // eyes["patch_size"]) ** 2
        self.connector = make_connector(config["connector"], eyes["hidden_size"] * len(self.layers), words["hidden_size"],
                                        patches)
        every = config["fusion"].get("every", 0)
        model = Empty(embed_tokens=nn.Embedding(words["vocab_size"], words["hidden_size"]),
                      layers=nn.ModuleList(DecoderLayer(words) for _ in range(words["num_hidden_layers"])),
                      norm=RmsNorm(words["hidden_size"], words["rms_norm_eps"]))
        self.language_model = Empty(model=model)
        if every:
            looking = range(every - 1, words["num_hidden_layers"], every)
            self.cross_attention = nn.ModuleDict({str(i): CrossAttention(words) for i in looking})
        if not words["tie_word_embeddings"]:
            self.language_model.lm_head = nn.Linear(words["hidden_size"], words["vocab_size"], bias=False)
        further = [i for i in [*self.tags, self.thumbnail] if i is not None and i >= words["vocab_size"]]
        if further:
            self.tile_tags = nn.Embedding(len(further), words["hidden_size"])

    def word(self, token):
        vocabulary = self.config["decoder"]["vocab_size"]
        embedding = self.language_model.model.embed_tokens
        return embedding.weight[token] if token < vocabulary else self.tile_tags.weight[token - vocabulary]

    def read(self, ids, features):
        """ids [T] of one prompt, features: an iterator over all tiles' rows [t, D] -> the decoder's rows [T, D], the
        states [S, D] looked at or None, and who looks where [T, S]."""
        rows, states, tile_of, markers = [], [], [], {}
        pending = iter(())  # rows of a tile that the image tokens take
        for place, token in enumerate(ids.tolist()):
            tagged = token in self.tags or token == self.thumbnail
            if self.fusion == "cross_attention":
                beside = tagged or (not self.tags and token == self.image_token)
            else:
                beside = self.fusion == "hybrid" and token in self.tags
            if beside:
                tile = next(features)
                markers[place] = len(markers)
                states.append(tile)
                tile_of += [markers[place]] * len(tile)
            elif self.fusion == "hybrid" and tagged:
                pending = iter(next(features))
            if self.fusion != "cross_attention" and token == self.image_token:
                row = next(pending, None)
                if row is None:  # the unified fusion: tiles follow each other, with tags in front of them or not
                    pending = iter(next(features))
                    row = next(pending)
                rows.append(row)
            else:
                rows.append(self.word(token))
        if not states:
            return torch.stack(rows), None, None
        tile_of, first = torch.tensor(tile_of), {tile: place for place, tile in markers.items()}
        allowed = torch.zeros(len(rows), len(tile_of), dtype=torch.bool)
        for place in range(len(rows)):
            for column, tile in enumerate(tile_of.tolist()):
                allowed[place, column] = tile == markers[place] if place in markers else first[tile] < place
        return torch.stack(rows), torch.cat(states), allowed

    def hidden(self, ids, made, real, features):
        """The states behind the last norm, of a prompt `ids` and what was made behind it."""
        x, states, allowed = self.read(ids, features)
        if len(made):
            x = torch.cat([x, torch.stack([self.word(token) for token in made])])
            if states is not None:
                allowed = torch.cat([allowed, torch.ones(len(made), allowed.shape[1], dtype=torch.bool)])
            real = torch.cat([real, torch.ones(len(made), dtype=torch.bool)])
        for i, layer in enumerate(self.language_model.model.layers):
            if states is not None and str(i) in self.cross_attention:
                x = self.cross_attention[str(i)](x, states, allowed)
            x = layer(x, real)
        return self.language_model.model.norm(x)

    def logits(self, hidden):
        head = getattr(self.language_model, "lm_head", self.language_model.model.embed_tokens)
        return hidden @ head.weight.T

    def encode(self, pixel_values):
        states = self.vision_tower(pixel_values.float())
        return self.connector(torch.cat([states[layer] for layer in self.layers], -1))

    def forward(self, input_ids, pixel_values=None, attention_mask=None, labels=None):
        features = self.encode(pixel_values) if pixel_values is not None else torch.zeros(0)
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        given = iter(features)
        rows = [self.hidden(ids, [], mask.bool(), given) for ids, mask in zip(input_ids, real)]
        assert next(given, None) is None, "more tiles than the prompts tell of"
        return {"logits": self.logits(torch.stack(rows)), "image_hidden_states": features if len(features) else None}

    def generate(self, input_ids, pixel_values=None, attention_mask=None, max_new_tokens=24, **_):
        """Greedy, without a cache, each row without its padding."""
        features = iter(self.encode(pixel_values) if pixel_values is not None else ())
        sequences = []
        for row, ids in enumerate(input_ids):
            read = ids if attention_mask is None else ids[attention_mask[row].bool()]
            tiles = sum(self.tiles_told_of(read))
            own, made = [next(features) for _ in range(tiles)], []
            for _ in range(max_new_tokens):
                hidden = self.hidden(read, made, torch.ones(len(read), dtype=torch.bool), iter(own))
                made.append(self.logits(hidden[-1]).argmax().item())
            sequences.append(torch.cat([ids, torch.tensor(made)]))
        return torch.stack(sequences)

    def tiles_told_of(self, ids):
        """For each token, how many tiles begin with it."""
        if self.fusion == "unified":
            image = (ids == self.image_token).sum().item()
            yield image // self.rows_of_a_tile
            return
        for token in ids.tolist():
            yield int(token in self.tags or token == self.thumbnail or (not self.tags and token == self.image_token))

    @property
    def rows_of_a_tile(self):
        c, eyes = self.config["connector"], self.config["encoder"]
        side = eyes["image_size"] // eyes["patch_size"]
        return c.get("num_queries") or (side // c.get("factor", 1)) ** 2
