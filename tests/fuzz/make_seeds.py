"""Writes the seeds of tests/fuzz/corpus/: valid files and hostile ones, a few KB a parser.

Run from the project's root: python tests/fuzz/make_seeds.py [parser ...] (pictures need Pillow). Files named found_* in the corpora
came from the fuzzers and are not written here.
"""
import io
import json
import struct
import sys
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file_of(header, data_bytes, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(range(data_bytes))


def safetensors():
    two = {"a": tensor("F32", [2, 3], 0, 24), "b": tensor("BF16", [4], 24, 32)}
    yield "valid_two", file_of(two, 32)
    yield "valid_metadata", file_of({"__metadata__": {"format": "pt", "한글": "é\n"}, **two}, 32)
    yield "valid_padded", file_of(json.dumps(two).encode().ljust(256), 32)
    yield "valid_empty", file_of({}, 0)
    yield "valid_scalar_and_zero", file_of({"s": tensor("I64", [], 0, 8), "z": tensor("U8", [0, 7], 8, 8)}, 8)
    dtypes = [("F64", 8), ("F32", 4), ("F16", 2), ("BF16", 2), ("I64", 8), ("I32", 4), ("I16", 2), ("I8", 1),
              ("U8", 1), ("BOOL", 1), ("U16", 2), ("U32", 4), ("U64", 8), ("F8_E4M3", 1), ("F8_E5M2", 1)]
    header, end = {}, 0
    for name, size in dtypes:
        header[name], end = tensor(name, [1], end, end + size), end + size
    yield "valid_every_dtype", file_of(header, end)
    yield "empty_file", b""
    yield "short", b"\x02\0\0\0\0\0\0"
    yield "length_zero", struct.pack("<Q", 0)
    yield "length_beyond_file", file_of({}, 0, length=1000)
    yield "length_maximal", file_of({}, 0, length=2**64 - 1)
    yield "length_over_cap", file_of({}, 0, length=100_000_001)
    yield "no_json", file_of(b"{\"a\":", 0)
    yield "no_object", file_of(b"[]", 0)
    yield "zero_byte", file_of(b"{}\0{", 0)
    yield "deep", file_of(b'{"a":' + b"[" * 500, 0)
    yield "twice", file_of(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                           b'"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', 2)
    yield "overlap", file_of({"a": tensor("U8", [5], 0, 5), "b": tensor("U8", [4], 4, 8)}, 8)
    yield "gap", file_of({"a": tensor("U8", [3], 0, 3), "b": tensor("U8", [4], 4, 8)}, 8)
    yield "reversed", file_of({"a": tensor("U8", [8], 8, 0)}, 8)
    yield "beyond", file_of({"a": tensor("U8", [9], 0, 9)}, 8)
    yield "trailing", file_of({"a": tensor("U8", [7], 0, 7)}, 8)
    yield "product_overflows", file_of({"a": tensor("F32", [2**32, 2**32], 0, 8)}, 8)
    yield "product_wraps_to_size", file_of({"a": tensor("F64", [2**61 + 1], 0, 8)}, 8)
    yield "zero_times_huge", file_of({"a": tensor("F32", [0, 2**62, 2**62], 0, 0)}, 0)
    yield "negative_dimension", file_of({"a": tensor("U8", [-1, -8], 0, 8)}, 8)
    yield "negative_offset", file_of({"a": tensor("U8", [8], -8, 0)}, 8)
    yield "offsets_wrap", file_of({"a": tensor("U8", [8], 2**64 - 8, 2**64)}, 8)
    yield "unknown_dtype", file_of({"a": tensor("F4", [8], 0, 8)}, 8)
    yield "many_dimensions", file_of({"a": tensor("U8", [1] * 65, 0, 1)}, 1)
    yield "floating_shape", file_of({"a": tensor("U8", [8.0], 0, 8)}, 8)
    yield "name_with_lines", file_of({"a\nb\x1b[31m" + "c" * 300: 1}, 0)


def config():
    llava = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "image_token_index": 32000,
             "text_config": {"model_type": "llama", "hidden_size": 64, "rope_theta": 1e4, "rope_scaling": None,
                             "tie_word_embeddings": False},
             "vision_config": {"model_type": "clip_vision_model", "hidden_size": 32}, "rope_scaling": {"factor": 8.0}}
    yield "valid", json.dumps(llava).encode()
    yield "valid_indented", json.dumps(llava, indent=1).encode()
    yield "valid_nothing", b"{}"
    llama3 = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8,
              "num_key_value_heads": 2, "head_dim": 16, "rope_scaling": {
                  "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                  "original_max_position_embeddings": 8192}, "tie_word_embeddings": True}
    yield "llama3", json.dumps(llama3).encode()
    yield "llama_linear", json.dumps({**llama3, "rope_scaling": {"type": "linear", "factor": 2}}).encode()
    yield "llama_newer", json.dumps({**llama3, "rope_scaling": None, "rope_parameters": {
        "rope_type": "dynamic", "rope_theta": 5e5, "factor": 2.0, "partial_rotary_factor": 1.0}}).encode()
    yield "qwen2", json.dumps({"model_type": "qwen2", "hidden_size": 64, "num_attention_heads": 4,
                               "num_key_value_heads": 4, "num_hidden_layers": 2, "use_sliding_window": True,
                               "sliding_window": 16, "max_window_layers": 1,
                               "layer_types": ["full_attention", "sliding_attention"]}).encode()
    yield "siglip", json.dumps({"model_type": "siglip_vision_model", "hidden_size": 32, "num_attention_heads": 2,
                                "image_size": 64, "patch_size": 16, "vision_use_head": False}).encode()
    yield "llava_layers", json.dumps({"vision_config": {"model_type": "siglip_vision_model"},
                                      "text_config": {"model_type": "qwen2"}, "vision_feature_layer": [-2, 3, 0],
                                      "vision_feature_select_strategy": "full", "image_token_id": 5}).encode()
    clip = {"image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": 24}, "resample": 3,
            "do_center_crop": True, "crop_size": {"height": 20, "width": 22}, "do_rescale": True,
            "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    yield "processor_clip", json.dumps(clip).encode()
    yield "processor_llava", json.dumps({**clip, "image_processor_type": "LlavaImageProcessorFast", "do_pad": True,
                                         "size": 24, "crop_size": 30}).encode()
    yield "processor_siglip", json.dumps({**clip, "image_processor_type": "SiglipImageProcessor", "resample": 2,
                                          "size": {"height": 17, "width": 16}, "do_center_crop": None}).encode()
    yield "processor_longest", json.dumps({**clip, "size": {"shortest_edge": 24, "longest_edge": 30}, "resample": 1,
                                           "do_pad": True, "pad_size": {"height": 40, "width": 41}}).encode()
    yield "processor_huge", json.dumps({**clip, "size": {"height": 2**40, "width": 2**62}}).encode()
    yield "processor_no_size", json.dumps({**clip, "size": {"shortest_edge": 0}, "crop_size": -3}).encode()
    yield "processor_zero_std", json.dumps({**clip, "image_std": [0, -0.0, 1e-320]}).encode()
    yield "processor_two_means", json.dumps({**clip, "image_mean": [0.5, 0.5]}).encode()
    yield "processor_thin", json.dumps({**clip, "size": {"height": 1, "width": 4096}, "crop_size": 4096}).encode()
    yield "most_layers", b'{"num_hidden_layers": 2147483648}'
    yield "most_everything", json.dumps({key: 2**31 for key in (
        "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size",
        "max_position_embeddings", "image_size", "patch_size", "num_channels")}).encode()
    yield "zero_heads", b'{"num_attention_heads": 0, "patch_size": 0, "head_dim": -2}'
    yield "layer_beyond", b'{"vision_feature_layer": [-9223372036854775808, 9223372036854775807]}'
    yield "no_object", b"[1, 2]"
    yield "empty_file", b""
    yield "spaces", b" \n\t"
    yield "unclosed", b'{"hidden_size": 3'
    yield "trailing", b'{} {}'
    yield "trailing_comma", b'{"a": 1,}'
    yield "comment", b'{"a": 1 // one\n}'
    yield "zero_byte", b'{}\0{'
    yield "twice", b'{"hidden_size": 1, "hidden_size": "x"}'
    yield "deep_lists", b"[" * 3000
    yield "deep_objects", b'{"a":' * 1000 + b"1" + b"}" * 1000
    yield "just_deep_enough", b'{"a":' * 199 + b"1" + b"}" * 199
    yield "huge_integer", b'{"hidden_size": 18446744073709551616, "rope_theta": -9223372036854775809}'
    yield "largest_integers", b'{"hidden_size": 18446744073709551615, "rope_theta": -9223372036854775808}'
    yield "huge_float", b'{"hidden_size": 1e308, "rope_theta": 1e-400}'
    yield "infinite", b'{"rope_theta": 1e400}'
    yield "nan", b'{"rope_theta": NaN}'
    yield "wrong_types", b'{"hidden_size": "x", "rope_theta": {}, "architectures": [1, "a"], "tie_word_embeddings": 1}'
    yield "children_of_other_types", b'{"text_config": 3, "rope_scaling": []}'
    yield "bad_utf8", b'{"model_type": "\xff\xc3"}'
    yield "lone_surrogate", b'{"model_type": "\\ud800"}'
    yield "bom", b'\xef\xbb\xbf{"hidden_size": 1}'
    yield "key_with_lines", b'{"a\\nb": 1}'
    yield "long_value", b'{"hidden_size": "' + "한글".encode() * 100 + b'"}'
    yield "long_key", b'{"' + b"hidden_siz" * 300 + b'": 1}'


def gguf_text(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text)) + text


def gguf_value(value):
    """(type, bytes) of a value of the metadata."""
    if isinstance(value, bool):
        return 7, bytes([value])
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, list):
        kind = gguf_value(value[0])[0] if value else 4
        return 9, struct.pack("<IQ", kind, len(value)) + b"".join(gguf_value(one)[1] for one in value)
    return 8, gguf_text(value)


def gguf_file(metadata, tensors, version=3, counts=None, alignment=32, trailing=b""):
    """tensors: (name, dimensions, type, data, offset or None)."""
    pad = lambda data: data + bytes(-len(data) % alignment)
    head = struct.pack("<4sIQQ", b"GGUF", version, *(counts or (len(tensors), len(metadata))))
    for key, value in metadata.items():
        kind, data = value if isinstance(value, tuple) else gguf_value(value)
        head += gguf_text(key) + struct.pack("<I", kind) + data
    body = b""
    for name, dimensions, kind, data, *offset in tensors:
        body = pad(body)
        head += gguf_text(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        head += struct.pack("<IQ", kind, offset[0] if offset else len(body))
        body += data
    return pad(head) + body + trailing


def gguf():
    sizes = {"embedding_length": 8, "feed_forward_length": 8, "block_count": 1, "context_length": 16,
             "attention.head_count": 2, "attention.layer_norm_rms_epsilon": 1e-5}
    def model(name, **more):
        return {"general.architecture": name} | {f"{name}.{k}": v for k, v in (sizes | more).items()}
    words = ("token_embd.weight", [8, 3], 0, bytes(96))
    pieces = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", "<0x0A>", "\u2581", "H", "e", "He"],
              "tokenizer.ggml.scores": [0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -0.5],
              "tokenizer.ggml.token_type": [2, 3, 3, 6, 1, 1, 1, 1], "tokenizer.ggml.bos_token_id": 1,
              "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
              "tokenizer.chat_template": "{{ bos_token }}"}
    letters = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.tokens": ["H", "e", "He", "<|im_end|>"],
               "tokenizer.ggml.merges": ["H e"], "tokenizer.ggml.token_type": [1, 1, 1, 3], "tokenizer.ggml.eos_token_id": 3,
               "tokenizer.ggml.add_bos_token": False}
    rope = ("rope_freqs.weight", [2], 0, struct.pack("<2f", 1, 4))
    blocks = [(f"t{kind}", [elements], kind, bytes(i * 7 % 256 for i in range(size))) for kind, elements, size in (
        (0, 1, 4), (1, 1, 2), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34), (10, 256, 84), (11, 256, 110),
        (12, 256, 144), (13, 256, 176), (14, 256, 210), (20, 32, 18), (23, 256, 136), (30, 1, 2))]
    yield "valid_llama", gguf_file(model("llama") | pieces, [words, rope])
    yield "valid_qwen2", gguf_file(model("qwen2") | letters, [words], version=2)
    yield "valid_mixtral", gguf_file(model("llama", expert_count=2, expert_used_count=1), [words])
    yield "valid_linear", gguf_file(model("llama", **{"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}), [words])
    yield "valid_types", gguf_file({}, blocks)
    yield "valid_alignment", gguf_file({"general.alignment": 64}, [words, rope], alignment=64)
    yield "valid_empty", gguf_file({}, [])
    for pre in ("default", "llama-bpe", "gpt-2", "smollm", "tekken", "odd"):
        yield f"pre_{pre}", gguf_file(letters | {"tokenizer.ggml.pre": pre}, [])
    yield "empty_file", b""
    yield "magic_alone", b"GGUF"
    yield "other_magic", b"GGML" + gguf_file({}, [])[4:]
    yield "version_1", gguf_file({}, [], version=1)
    yield "big_endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0)
    yield "cut_in_metadata", gguf_file(model("llama") | pieces, [words])[:150]
    yield "cut_in_data", gguf_file(model("llama"), [words])[:-1]
    yield "counts_maximal", gguf_file({}, [], counts=(2**64 - 1, 2**64 - 1))
    yield "fewer_tensors", gguf_file({}, [words, rope], counts=(1, 0))
    yield "more_tensors", gguf_file({}, [words], counts=(2, 0))
    yield "fewer_keys", gguf_file({"a": 1, "b": 2}, [words], counts=(1, 1))
    yield "text_beyond_file", gguf_file({"a": (8, struct.pack("<Q", 2**63))}, [])
    yield "list_beyond_file", gguf_file({"a": (9, struct.pack("<IQ", 8, 2**60))}, [])
    yield "list_wraps", gguf_file({"a": (9, struct.pack("<IQ", 10, 2**61 + 1))}, [])
    yield "list_of_lists", gguf_file({"a": (9, struct.pack("<IQIQ", 9, 1, 4, 0))}, [])
    yield "unknown_value", gguf_file({"a": (13, b"")}, [])
    yield "twice", gguf_file({}, [words, words])
    yield "overlap", gguf_file({}, [words, rope + (64,)])
    yield "gap", gguf_file({}, [words, rope[:3] + (bytes(40), 128)])
    yield "offset_wraps", gguf_file({}, [words, rope + (2**64 - 32,)])
    yield "odd_offset", gguf_file({}, [rope + (8,)], trailing=bytes(8))
    yield "trailing", gguf_file({}, [words], trailing=bytes(64))
    yield "product_wraps", gguf_file({}, [("a", [2**32, 2**32], 0, b"")])
    yield "no_dimension", gguf_file({}, [("a", [], 0, bytes(4))])
    yield "zero_dimension", gguf_file({}, [("a", [0, 3], 0, b"")])
    yield "many_dimensions", gguf_file({}, [("a", [1] * 9, 0, bytes(4))])
    yield "half_a_block", gguf_file({}, [("a", [16], 8, bytes(17))])
    yield "unknown_type", gguf_file({}, [("a", [256], 16, bytes(66))])
    yield "alignment_zero", gguf_file({"general.alignment": 0}, [words])
    yield "alignment_huge", gguf_file({"general.alignment": 2**31}, [words])
    yield "split", gguf_file({"split.count": 3}, [words])
    yield "other_architecture", gguf_file(model("gemma"), [words])
    yield "infinite_divisor", gguf_file(model("llama"), [words, rope[:3] + (struct.pack("<2f", 1, float("inf")),)])
    yield "heads_zero", gguf_file(model("llama", **{"attention.head_count": 0}), [words])
    yield "heads_by_layer", gguf_file(model("llama", **{"attention.head_count_kv": [2, 1]}), [words])
    yield "scores_short", gguf_file(pieces | {"tokenizer.ggml.scores": [1.0]}, [])
    yield "scores_nan", gguf_file(pieces | {"tokenizer.ggml.scores": [float("nan")] * 8}, [])
    yield "tokens_twice", gguf_file(letters | {"tokenizer.ggml.tokens": ["H", "e", "He", "H"]}, [])
    yield "tokens_no_utf8", gguf_file(letters | {"tokenizer.ggml.tokens": [b"\xff", "e", "He", "H"]}, [])
    yield "merge_unknown", gguf_file(letters | {"tokenizer.ggml.merges": ["H x", "He"]}, [])
    yield "id_beyond", gguf_file(letters | {"tokenizer.ggml.eos_token_id": 4}, [])
    yield "name_with_lines", gguf_file({"a\nb\x1b[31m" + "c" * 300: (99, b"")}, [])


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(width, height, depth, colour, rows, *chunks, interlace=0):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    return (b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IDAT", zlib.compress(rows))
            + png_chunk(b"IEND", b""))


def exif_of(orientation):
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + bytes(4)


def image():
    from PIL import Image
    rgb = Image.frombytes("RGB", (9, 7), bytes((i * 37 + i // 11) % 256 for i in range(9 * 7 * 3)))
    rgba = Image.merge("RGBA", (*rgb.split(), rgb.convert("L")))
    grey, palette = rgb.convert("L"), rgb.quantize(5)

    yield "jpeg", saved(rgb, "JPEG", quality=50)
    yield "jpeg_444", saved(rgb, "JPEG", quality=20, subsampling=0)
    yield "jpeg_grey", saved(grey, "JPEG", quality=30)
    yield "jpeg_progressive", saved(rgb, "JPEG", quality=30, progressive=True)
    yield "jpeg_cmyk", saved(rgb.convert("CMYK"), "JPEG", quality=30)
    yield "jpeg_restart", saved(rgb.resize((33, 17)), "JPEG", quality=10, restart_marker_blocks=1)
    for turn in (3, 6, 200):
        yield f"jpeg_exif_{turn}", saved(rgb, "JPEG", quality=10, exif=exif_of(turn))
    yield "jpeg_exif_truncated", saved(rgb, "JPEG", quality=10, exif=exif_of(6)[:20])
    yield "jpeg_exif_offset", saved(rgb, "JPEG", quality=10, exif=b"Exif\0\0MM\0*\xff\xff\xff\xf0" + bytes(8))
    yield "jpeg_exif_count", saved(rgb, "JPEG", quality=10, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03")
    plain = saved(rgb, "JPEG", quality=10)
    start = plain.index(b"\xff\xc0") + 5
    yield "jpeg_huge", plain[:start] + b"\xff\xff\xff\xff" + plain[start + 4:]
    yield "jpeg_no_size", plain[:start] + bytes(4) + plain[start + 4:]
    yield "jpeg_truncated", plain[:-40]
    yield "jpeg_no_end", plain[:-2]
    yield "jpeg_start_only", b"\xff\xd8\xff"
    progressive = saved(rgb, "JPEG", quality=10, progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda"):-2]
    yield "jpeg_many_scans", progressive[:-2] + scan * 40 + b"\xff\xd9"

    yield "png", saved(rgb, "PNG")
    yield "png_alpha", saved(rgba, "PNG")
    yield "png_grey_alpha", saved(rgba.convert("LA"), "PNG")
    yield "png_palette_alpha", saved(palette, "PNG", transparency=bytes([0, 128, 255]))
    yield "png_one_bit", saved(grey.convert("1"), "PNG")
    yield "png_exif", saved(rgb, "PNG", exif=exif_of(6)[6:])
    for depth, colour, bits in ((16, 0, 16), (16, 2, 48), (16, 6, 64), (2, 0, 2), (4, 3, 4)):
        rows = b"".join(b"\0" + bytes(range((5 * bits + 7) // 8)) for _ in range(3))
        yield f"png_{colour}_{depth}", png_file(5, 3, depth, colour, rows, png_chunk(b"PLTE", bytes(range(48))))
    yield "png_interlaced", png_file(4, 4, 8, 0, bytes(40), interlace=1)
    yield "png_huge", png_file(2**31 - 1, 2**31 - 1, 16, 6, bytes(64))
    yield "png_bomb", png_file(1000, 1000, 8, 0, bytes(1001 * 1000))
    yield "png_too_few_rows", png_file(900, 900, 8, 2, bytes(100))
    yield "png_no_palette", png_file(5, 3, 8, 3, bytes(18))
    yield "png_index_beyond", png_file(5, 3, 8, 3, b"\0\xff\xfe\1\2\3" * 3, png_chunk(b"PLTE", bytes(6)))
    yield "png_bad_filter", png_file(5, 3, 8, 0, b"\x09\1\2\3\4\5" * 3)
    yield "png_bad_depth", png_file(5, 3, 3, 0, bytes(18))
    text = zlib.compress(bytes(200_000))
    yield "png_text_bomb", png_file(5, 3, 8, 0, bytes(18), png_chunk(b"zTXt", b"k\0\0" + text))
    yield "png_profile_bomb", png_file(5, 3, 8, 0, bytes(18), png_chunk(b"iCCP", b"k\0\0" + text))
    yield "png_truncated", saved(rgb, "PNG")[:-30]
    yield "png_bad_crc", saved(rgb, "PNG").replace(b"IDAT", b"IDAT\1", 1)
    yield "png_signature_only", b"\x89PNG\r\n\x1a\n"

    yield "webp", saved(rgb, "WEBP", quality=20)
    yield "webp_lossless", saved(rgb, "WEBP", lossless=True)
    yield "webp_alpha", saved(rgba, "WEBP", quality=20)
    yield "webp_exif", saved(rgb, "WEBP", quality=20, exif=exif_of(6)[6:])
    yield "webp_xmp", saved(rgb, "WEBP", quality=20, xmp=b'<x tiff:Orientation="6"/>')
    yield "webp_animated", saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], quality=10)
    yield "webp_truncated", saved(rgb, "WEBP", quality=20)[:-20]
    extended = saved(rgb, "WEBP", quality=20, exif=exif_of(3)[6:])
    canvas = extended.index(b"VP8X") + 12
    yield "webp_huge_canvas", extended[:canvas] + b"\xff" * 6 + extended[canvas + 6:]
    lossless = saved(rgb, "WEBP", lossless=True)
    bits = lossless.index(b"VP8L") + 9
    yield "webp_huge_lossless", lossless[:bits] + b"\xff\xff\xff\x0f" + lossless[bits + 4:]
    yield "webp_riff_only", b"RIFF\xff\xff\xff\xffWEBP"
    yield "gif", saved(palette, "GIF")
    yield "empty_file", b""
    yield "text", b"no picture\n"


def box_notation():
    box = '{"bbox_2d": [1, 2, 30, 40], "label": "cat"}'
    yield "one", box.encode()
    yield "list", f"[{box}, {box}]".encode()
    yield "fence", f"Here:\n```json\n[\n  {box}\n]\n```\nDone.".encode()
    yield "korean", '{"label": "고양이 \\ud83d\\udc31", "bbox_2d": [0.5, 1e2, 3.25, 1e3]}'.encode()
    yield "label_with_braces", '{"bbox_2d":[1,2,3,4],"label":"a}{\\"]"}'.encode()
    yield "no_label", b'{"bbox_2d":[1,2,3,4]}'
    yield "nested", f'{{"objects": [{box}]}}'.encode()
    yield "reversed", b'{"bbox_2d":[3,4,1,2],"label":"x"}'
    yield "three_numbers", b'{"bbox_2d":[1,2,3],"label":"x"}'
    yield "strings", b'{"bbox_2d":["1","2","3","4"],"label":"x"}'
    yield "huge_numbers", b'{"bbox_2d":[-1e308,1e400,99999999999999999999,1],"label":"x"}'
    yield "label_no_string", b'{"bbox_2d":[1,2,3,4],"label":{"a":[]}}'
    yield "cut", b'{"bbox_2d":[1,2,3,4],"label":"c'
    yield "open_braces", b"{" * 3000
    yield "open_strings", b'{"' * 3000
    yield "open_entries", b'{"bbox_2d":[' * 500
    yield "deep", b'{"bbox_2d":' + b"[" * 2000 + b"]" * 2000 + b"}"
    yield "bad_utf8", b'{"bbox_2d":[1,2,3,4],"label":"\xff\xc3"}'
    yield "zero_byte", b'{"bbox_2d":[1,2,3,4]\0,"label":"x"}'
    yield "empty_file", b""


def tokenizer():
    byte_tokens = {f"<0x{b:02X}>": b for b in range(256)}
    bpe = {"type": "BPE", "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "▁": 4, "H": 5, "e": 6, "He": 7},
           "merges": ["a b", ["H", "e"]], "unk_token": "<unk>", "fuse_unk": True}

    def document(**parts):
        return json.dumps({"version": "1.0", "added_tokens": [], "model": bpe} | parts, ensure_ascii=False).encode()

    token = {"id": 8, "content": "<s>", "single_word": False, "lstrip": True, "rstrip": True, "normalized": False, "special": True}
    yield "byte_level", document(added_tokens=[token], decoder={"type": "ByteLevel"}, pre_tokenizer={
        "type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True})
    yield "split", document(pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": r"(?i:'s)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+"},
         "behavior": "MergedWithNext", "invert": True}, {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "CharDelimiterSplit", "delimiter": "l"},
        {"type": "UnicodeScripts"}, {"type": "FixedLength", "length": 2}, {"type": "Whitespace"}]})
    yield "llama", document(
        model=bpe | {"vocab": byte_tokens | {"<unk>": 256}, "merges": [], "byte_fallback": True, "end_of_word_suffix": "</w>",
                     "continuing_subword_prefix": "##"},
        normalizer={"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        decoder={"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"Regex": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 1}]},
        post_processor={"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}})
    yield "unigram", document(
        model={"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [["<unk>", 0], ["▁", -2], ["a", -1.5], ["▁a", -1]]},
        normalizer={"type": "Precompiled", "precompiled_charsmap": "CAAAAAAEAAAAAAAAYgA="},
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
        decoder={"type": "Metaspace", "replacement": "▁", "add_prefix_space": True})
    yield "word_piece", document(
        model={"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
               "vocab": {"[UNK]": 0, "hello": 1, "##l": 2, "a": 3}},
        normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
        pre_tokenizer={"type": "BertPreTokenizer"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        post_processor={"type": "BertProcessing", "sep": ["b", 2], "cls": ["a", 1]})
    yield "word_level", document(
        model={"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "a": 5}},
        normalizer={"type": "Sequence", "normalizers": [
            {"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")]
            + [{"type": "Strip", "strip_left": True, "strip_right": True}]},
        decoder={"type": "CTC", "pad_token": "a", "word_delimiter_token": "|", "cleanup": True})
    yield "no_type", json.dumps({"model": {"vocab": {"a": 0}, "merges": []}}).encode()
    doubling = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    yield "grows", document(normalizer={"type": "Sequence", "normalizers": [doubling] * 40})
    yield "decoder_grows", document(decoder={"type": "Sequence", "decoders": [{"type": "BPEDecoder", "suffix": ""}] * 40})
    yield "backtracks", document(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(.|.|..)*x"}, "behavior": "Removed"})
    yield "unknown_component", document(normalizer={"type": "Magic\n"})
    yield "shared_id", document(model=bpe | {"vocab": {"a": 1, "b": 1}})
    yield "huge_id", document(model=bpe | {"vocab": {"a": 2**62}})
    yield "merge_unknown", document(model=bpe | {"merges": ["x y"]})
    yield "merge_short", document(model=bpe | {"continuing_subword_prefix": "a", "merges": ["a b"]})
    yield "charsmap_short", document(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAA="})
    yield "charsmap_beyond", document(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////wAAAAA="})
    yield "template_unknown", document(post_processor={
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "pair": [], "special_tokens": {}})
    yield "no_model", b'{"version": "1.0"}'
    yield "no_object", b"[]"
    yield "empty_file", b""
    yield from tokenizer_families()


def regex():
    text = "Hello  World's 123\n\t한글 e\u0301 ²½".encode()
    for name, pattern in {
            "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+",
            "classes": r"[a-z&&[^aeiou]]|[^(\s|[.,!])]+|[[:alpha:][:^punct:]\S]|[]a\]-]|[\w&&\p{Han}]",
            "options": r"a(?i)b|c(?-i:d)(?mx: . # x\n)|(?x) e",
            "intervals": r"a{2}+b{,3}c{1,}?d{2}?{e{1,2}",
            "escapes": r"\x41\x{ac00}\u0042\t\0\012\h\R\X\b\B\A\z\Z\G\N\O\-\p{^L}\P{Alnum}",
            "groups": r"(?<n>a)\k<n>(b)\1(?>c)(?=d)(?!e)(?<=f)(?<!g)(?#h)",
            "backtracks": r"(.|.|..)*x",
            "unclosed": r"(a[b&&[c",
            "empty": r"",
    }.items():
        yield name, pattern.encode() + b"\n" + text
    yield "deep_groups", b"(" * 2000 + b"\na"
    yield "deep_classes", b"[" * 2000 + b"\na"
    yield "bad_utf8", b"[\xff-\xfe]\xf0\n\xff"
    yield "empty_file", b""


def chat_template():
    yield "chatml", (b"{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
                     b"{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
                     b"{% if part['type'] == 'image' %}<image>{% elif 'text' in part %}{{ part.text }}{% endif %}"
                     b"{% endfor %}{% endif %}<|im_end|>\n{%- endfor %}"
                     b"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
    yield "llama", (b"{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
                    b"{% set system = messages[0]['content'] | trim %}{% else %}{% set loop_messages = messages %}{% endif %}"
                    b"{{ bos_token }}{% for m in loop_messages %}"
                    b"{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
                    b"{{ raise_exception('Roles must alternate') }}{% endif %}"
                    b"{{ '[INST] ' ~ m.content ~ ' [/INST]' if loop.first else m.content | string + eos_token }}{% endfor %}")
    yield "tools", (b"{%- set ns = namespace(found=false, names=[]) -%}{%- for m in messages if m.tool_calls is defined -%}"
                    b"{%- for call in m.tool_calls -%}{%- set ns.found = true -%}{%- set ns.names = ns.names + "
                    b"[call.function.name] -%}{{- call.function | tojson(indent=2) -}}{%- endfor -%}{%- endfor -%}"
                    b"{{ ns.names | join(', ') }}{{ strftime_now('%d %B %Y') }}")
    yield "macro", (b"{% macro show(text, upper=false, *rest) %}{{ text.upper() if upper else text | replace('a', 'b') }}"
                    b"{% endmacro %}{{ show('abc') }}{{ show('abc', upper=true) }}"
                    b"{% call(x) show('q') %}{{ x }}{% endcall %}")
    yield "loops", (b"{% for k, v in messages[0] | items %}{{ loop.index }}/{{ loop.length }} {{ loop.cycle('a', 'b') }}"
                    b"{{ loop.previtem is defined }}{{ loop.changed(k) }}{% if loop.last %}{% break %}{% endif %}"
                    b"{% else %}none{% endfor %}{% for i in range(3, 0, -1) recursive %}{{ i }}{% endfor %}")
    yield "filters", (b"{{ [3, 1, 2] | sort | reverse | list | first }}{{ 'a b' | title | length }}{{ 1.5 | round | int }}"
                      b"{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='role') | unique | join }}"
                      b"{{ {'b': 1, 'a': [none, true]} | dictsort | tojson }}{{ 'x' | default('y') | escape | safe | indent(2) }}")
    yield "strings", (b"{{ 'a,b'.split(',')[-1] }}{{ '  x '.strip().startswith('x') }}{{ 'abcdef'[1:5:2] }}{{ 'abc'[::-1] }}"
                      b"{{ '%s and %05.2f' % ('a', 3.14159) }}{{ '{:>8}{!r}'.format('a', 'b') }}{{ 'a' 'b' ~ 1 }}"
                      b"{{ '\xed\x95\x9c\xea\xb8\x80' | upper }}{{ 'x'.join(['1', '2']) }}{{ 'abc'.find('c') }}")
    yield "tests", (b"{{ 1 is odd and 2 is even and 'a' is string and none is none and x is not defined }}"
                    b"{{ [] is iterable and {} is mapping and 3 is divisibleby 3 and 1 is number and 2 is sameas 2 }}"
                    b"{{ 7 // 2 ** 2 % 3 - -1 }}{{ 1 < 2 <= 2 != 3 }}{{ 'a' not in ['b'] or not true }}")
    yield "whitespace", b"a  \n  {%- if true -%}  b  {%- else +%} c {%- endif %}\n{# comment #}\n{% raw %}{{ x }}{% endraw %}\n\n"
    yield "set_block", b"{% set x %}a{{ 1 }}b{% endset %}{{ x | length }}{% filter upper %}q{% endfilter %}{% with y = 2 %}{{ y }}{% endwith %}"
    yield "generation", b"{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    yield "messages", b'{{ messages[0].content }}{{ messages | length }}\0[{"role": "user", "content": "hi"}]'
    yield "messages_odd", b'{{ messages }}\0[{"role": null, "content": [1, {"type": "image_url", "image_url": 3}], "thinking": {}}]'
    yield "messages_none", b"{{ messages }}\0{}"

    yield "endless_loop", b"{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}"
    yield "endless_macro", b"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"
    yield "endless_recursion", b"{% for x in [[]] recursive %}{{ loop([[]]) }}{% endfor %}"
    yield "doubling_string", b"{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}"
    yield "doubling_list", b"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}"
    yield "nested_list", b"{% set ns = namespace(x=[]) %}{% for i in range(9000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}{{ ns.x | tojson }}"
    yield "list_in_itself", b"{% set x = [] %}{% set _ = x.append(x) %}{{ x }}{{ x | tojson }}{{ x == x }}"
    yield "dict_in_itself", b"{% set x = {} %}{% set _ = x.update({'a': x}) %}{{ x }}{{ x == [x] }}"
    yield "repeated", b"{{ 'abc' * 1000000000 }}"
    yield "repeated_list", b"{{ ([1] * 1000000000) | length }}"
    yield "power", b"{{ 10 ** 10 ** 10 }}{{ 2 ** -1 }}{{ 0 ** -1 }}"
    yield "overflow", b"{{ 9223372036854775807 + 1 }}{{ -9223372036854775807 - 2 }}{{ (-9223372036854775807 - 1) // -1 }}{{ 9999999999 * 9999999999 }}"
    yield "divided_by_zero", b"{{ 1 // 0 }}"
    yield "modulo_zero", b"{{ 1 % 0 }}"
    yield "wide", b"{{ '%1000000000d' % 1 }}"
    yield "wide_format", b"{{ '{:>999999999}'.format(1) }}{{ 'a'.ljust(999999999) }}{{ 'a' | center(999999999) }}"
    yield "wide_indent", b"{{ 'a\\nb' | indent(999999999) }}{{ [1] | tojson(indent=999999999) }}"
    yield "huge_float", b"{{ 1e308 * 10 }}{{ (1e308 * 10) | int }}{{ 1e400 | round(400) }}{{ 'nan' | float | int }}"
    yield "huge_slice", b"{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}{{ 'a'[::0] }}"
    yield "huge_index", b"{{ 'abc'[99999999999999999999] }}{{ [1][-9223372036854775807] }}"
    yield "batch", b"{{ [1, 2, 3] | batch(1000000000, 0) | list }}{{ [1] | slice(1000000000) | list }}"
    yield "split_empty", b"{{ 'abc'.split('') }}{{ 'aaa'.replace('', 'b' * 9999) }}"
    yield "unclosed", b"{% if true %}{{ 'a"
    yield "unknown_tag", b"{% include 'x' %}"
    yield "unknown_filter", b"{{ 1 | frobnicate }}"
    yield "unknown_end", b"{% endfor %}{% endif %}"
    yield "raise", b"{{ raise_exception('two\\nlines ' ~ messages[1].content[1].text) }}"
    yield "private", b"{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages.__init__ }}"
    yield "deep_brackets", b"{{ " + b"[" * 2000 + b"]" * 2000 + b" }}"
    yield "deep_unary", b"{{ " + b"-" * 2000 + b"1 }}{{ " + b"not " * 500 + b"1 }}"
    yield "deep_sum", b"{{ 1" + b"+1" * 1500 + b" }}"
    yield "deep_filters", b"{{ 1" + b"|int" * 1000 + b" }}{{ messages" + b"[0]" * 500 + b" }}"
    yield "deep_ifs", b"{% if true %}" * 300 + b"{% endif %}" * 300
    yield "deep_conditions", b"{{ " + b"1 if 1 else " * 400 + b"1 }}"
    yield "bad_utf8", b"{{ '\xff\xc3' | upper | length }}\xff"
    yield "escapes", b"{{ '\\x41\\u00e9\\N{BULLET}\\777\\\\' }}{{ '\\ud83d' }}"


SPECIAL = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def tokenizer_file(model, **parts):
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
             "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model, **parts}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def ids_of(*tokens):
    return {token: i for i, token in enumerate(tokens)}


def added(*contents, **flags):
    return [{"id": i, "content": content, **SPECIAL, **flags} for i, content in contents]


def tokenizer_families():
    """As the published families write them, and what is wrong with each."""
    sequence = lambda key, *parts: {"type": "Sequence", key: list(parts)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    letters = ids_of("<s>", "</s>", "h", "e", "l", "o", "\u0120", "a", "\u00ec", "\u0137", "\u012a", "he", "ll", "hell", "hello", "aa")
    merges = ["h e", "l l", "he ll", "hell o", "a a"]
    bpe = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
           "fuse_unk": False, "byte_fallback": False, "vocab": letters, "merges": merges}
    specials = added((0, "<s>"), (1, "</s>"))
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                                         {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}
    gpt2 = dict(pre_tokenizer=byte_level, decoder=byte_level, post_processor=byte_level, added_tokens=specials)
    yield "gpt2", tokenizer_file(bpe, **gpt2)
    split = {"type": "Split", "behavior": "Isolated", "invert": False, "pattern": {
        "Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                 "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}}
    llama3 = tokenizer_file({**bpe, "ignore_merges": True, "merges": [m.split(" ") for m in merges]}, added_tokens=specials,
                            pre_tokenizer=sequence("pretokenizers", split, {**byte_level, "use_regex": False}),
                            decoder=byte_level, post_processor=sequence("processors", byte_level, template))
    yield "llama3", llama3
    mark = "\u2581"
    pieces = ids_of("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in (0x0A, 0xEC, 0x95, 0x88, 0x41)), mark, "h", "e", "l",
                    "o", mark + "h", "ll")
    llama2 = dict(normalizer=sequence("normalizers", {"type": "Prepend", "prepend": mark},
                                      {"type": "Replace", "pattern": {"String": " "}, "content": mark}),
                  decoder=sequence("decoders", {"type": "Replace", "pattern": {"String": mark}, "content": " "},
                                   {"type": "ByteFallback"}, {"type": "Fuse"},
                                   {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
                  post_processor=template, added_tokens=added((0, "<unk>"), (1, "<s>"), (2, "</s>")))
    fallback = {**bpe, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": pieces,
                "merges": [mark + " h", "l l"]}
    template_of_1 = json.loads(json.dumps(template).replace("[0]", "[1]"))
    yield "llama2", tokenizer_file(fallback, **{**llama2, "post_processor": template_of_1})
    metaspace = {"type": "Metaspace", "replacement": mark, "prepend_scheme": "first", "split": True}
    yield "metaspace", tokenizer_file(fallback, pre_tokenizer=metaspace, decoder=metaspace)
    yield "clip", tokenizer_file(
        {**bpe, "unk_token": "</s>", "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
         "vocab": ids_of("<s>", "</s>", "h", "e</w>", "he</w>", "a</w>", "a"), "merges": ["h e</w>"]},
        added_tokens=specials, normalizer=sequence(
            "normalizers", {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Lowercase"}),
        pre_tokenizer=sequence("pretokenizers", {**split, "behavior": "Removed", "invert": True}, byte_level),
        post_processor={"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": False,
                        "add_prefix_space": False}, decoder=byte_level)
    scores = [["<unk>", 0.0], [mark, -2.0], ["a", -3.5], ["aa", -3.0], ["h", -4.0], [mark + "he", -1.0], ["한", -5.0]]
    unigram = {"type": "Unigram", "unk_id": 0, "vocab": scores, "byte_fallback": False}
    yield "unigram_nmt", tokenizer_file(unigram, normalizer=sequence("normalizers", {"type": "Nmt"}, {"type": "NFKC"}),
                                    pre_tokenizer={**metaspace, "prepend_scheme": "always"}, decoder=metaspace)
    yield "unigram_charsmap", tokenizer_file(unigram, normalizer={"type": "Precompiled", "precompiled_charsmap":
                                                                  "CAAAAAAEAAAAAAAAYWIAYwA="}, decoder=metaspace)
    words = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20,
             "vocab": ids_of("[UNK]", "[CLS]", "[SEP]", "hello", "##a", "a", ",", "!", "how", "##s", "안")}
    bert = dict(normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                            "strip_accents": None, "lowercase": True}, pre_tokenizer={"type": "BertPreTokenizer"},
                post_processor={"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
                decoder={"type": "WordPiece", "prefix": "##", "cleanup": True})
    yield "wordpiece", tokenizer_file(words, **bert, added_tokens=added((0, "[UNK]"), (1, "[CLS]"), (2, "[SEP]"), lstrip=True))
    level = {"type": "WordLevel", "vocab": ids_of("?", "Hello", "1"), "unk_token": "?"}
    yield "word_level_splits", tokenizer_file(level, pre_tokenizer=sequence(
        "pretokenizers", {"type": "Whitespace"}, {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "CharDelimiterSplit", "delimiter": "a"},
        {"type": "UnicodeScripts"}, {"type": "WhitespaceSplit"}))
    yield "normalizers", tokenizer_file(level, normalizer=sequence(
        "normalizers", {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "NFKD"}, {"type": "ByteLevel"}), decoder={"type": "CTC", "pad_token": "?", "word_delimiter_token": "|",
                                                           "cleanup": True})
    yield "added_flags", tokenizer_file(level, added_tokens=[
        {"id": 3, "content": "hello", **SPECIAL, "single_word": True, "normalized": True, "special": False},
        {"id": 4, "content": "<s>", **SPECIAL, "lstrip": True, "rstrip": True}], normalizer={"type": "Lowercase"})

    yield "endless_regex", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"Regex": "(a+)+$"}})
    yield "endless_lookahead", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"Regex": "(?=(a*)*)*b"}})
    yield "empty_regex", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"Regex": ""}})
    yield "empty_pattern", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"String": ""}})
    yield "broken_regex", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"Regex": "[a-(\\p{Nothing}"}})
    yield "deep_regex", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"Regex": "(" * 900 + ")" * 900}})
    yield "deep_class", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"Regex": "[" * 900 + "a" + "]" * 900}})
    yield "many_repeats", tokenizer_file(bpe, pre_tokenizer={**split, "pattern": {"Regex": "((a{1,999}){1,999}){1,999}"}})
    yield "growing", tokenizer_file(bpe, normalizer=sequence("normalizers", *(
        {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 64} for _ in range(8))))
    yield "growing_decoder", tokenizer_file(bpe, decoder=sequence("decoders", *(
        {"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 64} for _ in range(8))))
    yield "empty_replace", tokenizer_file(bpe, normalizer={"type": "Replace", "pattern": {"String": ""}, "content": "aa"})
    deep = {"type": "Lowercase"}
    for _ in range(90):
        deep = sequence("normalizers", deep)
    yield "deep_sequence", tokenizer_file(bpe, normalizer=deep)
    yield "huge_ids", tokenizer_file({**bpe, "vocab": {"a": 2**31, "h": -1, "e": 2**62}})
    yield "largest_id", tokenizer_file({**bpe, "vocab": {"a": 2**31 - 1, "h": 2**30}, "merges": []})
    yield "same_ids", tokenizer_file({**bpe, "vocab": {"a": 0, "h": 0, "e": 0}, "merges": []})
    yield "unknown_merge", tokenizer_file({**bpe, "merges": ["x y", "h", "h e l", " ", ""]})
    yield "merge_without_result", tokenizer_file({**bpe, "merges": ["h l"]})
    yield "merges_of_other_types", tokenizer_file({**bpe, "merges": [["h"], ["h", 3], 7, None]})
    yield "no_vocab", tokenizer_file({"type": "BPE", "merges": []})
    yield "empty_vocab", tokenizer_file({**bpe, "vocab": {}, "merges": []}, **gpt2)
    yield "unknown_model", tokenizer_file({"type": "Frob"})
    yield "unknown_part", tokenizer_file(bpe, normalizer={"type": "Frob"})
    yield "unknown_special", tokenizer_file(bpe, post_processor={**template, "special_tokens": {}})
    yield "template_of_many", tokenizer_file(bpe, post_processor={**template, "special_tokens": {
        "<s>": {"id": "<s>", "ids": [0] * 40, "tokens": ["<s>"] * 40}}, "single": template["single"] * 20})
    yield "unk_beyond", tokenizer_file({**unigram, "unk_id": 99})
    yield "no_unk", tokenizer_file({**unigram, "unk_id": None})
    yield "odd_scores", tokenizer_file({**unigram, "vocab": [["", 1], ["a", 1e308], ["aa", 1e308], ["b", -1e308], ["a", 3]]})
    yield "scores_of_other_types", tokenizer_file({**unigram, "vocab": [["a"], [1, 2], "x", ["a", "b"]]})
    yield "charsmap_tiny", tokenizer_file(unigram, normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})
    yield "charsmap_past_end", tokenizer_file(unigram, normalizer={"type": "Precompiled", "precompiled_charsmap":
                                                                 "/////wAAAAAAAAAA"})
    yield "charsmap_no_base64", tokenizer_file(unigram, normalizer={"type": "Precompiled", "precompiled_charsmap": "*A=="})
    yield "charsmap_wild", tokenizer_file(unigram, normalizer={"type": "Precompiled", "precompiled_charsmap":
                                                               "EAAAAP//////////////////////YWI="})
    yield "empty_added", tokenizer_file(bpe, added_tokens=added((0, ""), (99, " "), (99, "a"), (2**31 - 1, "b"), (-1, "c")))
    yield "no_word_characters", tokenizer_file({**words, "max_input_chars_per_word": 0, "continuing_subword_prefix": ""})
    yield "strip_all", tokenizer_file(bpe, decoder={"type": "Strip", "content": "h", "start": 2**40, "stop": 2**63})
    yield "empty_object", b"{}"


def place_notation():
    qwen2 = "<|object_ref_start|>the cat<|object_ref_end|><|box_start|>(10,20),(300,400)<|box_end|>"
    texts = {
        "qwen25_box": '[{"bbox_2d": [1, 2, 30, 40], "label": "cat"}, {"point_2d": [5, 6.5], "label": "ear"}]',
        "qwen25_crossed": '{"bbox_2d": [30, 40, 1, 2], "label": "cat"}',
        "qwen25_outside": '{"bbox_2d": [-5, -5, 99999999, 1e300], "label": "cat"}',
        "qwen25_half": '[{"bbox_2d": [1, 2, 30, 40], "label": "cat"}, {"bbox_2d": [1, 2',
        "qwen25_half_label": '{"bbox_2d": [1, 2, 30, 40], "label": "ca\\',
        "qwen25_of_other_types": '{"bbox_2d": {"x": 1}, "point_2d": "here", "label": [1]}',
        "qwen25_deep": '{"a": ' * 300 + '{"bbox_2d": [1, 2, 3, 4]}',
        "qwen2": qwen2,
        "qwen2_several": qwen2 + "<|box_start|>(1, 2), (3, 4)<|box_end|>, <|box_start|>(5,6),(7,8)<|box_end|>",
        "qwen2_half": qwen2[:-14],
        "qwen2_crossed": "<|box_start|>(9,9),(1,1)<|box_end|>",
        "internvl": "<ref>개</ref><box>[[1, 2, 30, 40], [5,6,7,8]]</box>.",
        "internvl_half": "<ref>a</ref><box>[[1, 2, 30, 40], [5,6",
        "internvl_no_number": "<box>[[1, 2, nan, inf]]</box>",
        "shares": "at [0.1, 0.25, 0.5, 1] and [1, 2, 3, 4] and [.5, 0., 1e-3, -0.0]",
        "shares_crossed": "[0.9, 0.9, 0.1, 0.1]",
        "long_number": "[0." + "1" * 5000 + ", 0, 1, 1]",
        "open_tags": "<ref><box>[[<|box_start|>((<|object_ref_start|>" * 50,
        "empty_file": "",
    }
    yield from ((name, text.encode()) for name, text in texts.items())
    yield "bad_utf8", b'<ref>\xff\xc3</ref><box>[[1,2,3,4]]</box>{"bbox_2d": [1,2,3,4], "label": "\xff"}'
    yield "zero_byte", b"<ref>a\0b</ref><box>[[1,2,3,4]]</box>\0[0.1,0.2,0.3,0.4]"


def riff(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def avi(sizes, rate=2, frames=None):
    """Uncompressed; the header tells the first size and `frames`, by default as many as there are."""
    (width, height), count = sizes[0], len(sizes) if frames is None else frames
    row = (3 * width + 3) // 4 * 4
    head = struct.pack("<14I", 1000000 // rate, row * height * rate, 0, 16, count, 0, 1, row * height, width, height, 0, 0, 0, 0)
    track = struct.pack("<4s4sIHHIIIIIIII4H", b"vids", b"DIB ", 0, 0, 0, 0, 1, rate, 0, count, row * height, 0, 0, 0, 0, 8, 6)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, row * height, 0, 0, 0, 0)
    header = b"hdrl" + riff(b"avih", head) + riff(b"LIST", b"strl" + riff(b"strh", track) + riff(b"strf", bitmap))
    movie = b"movi" + b"".join(riff(b"00db", bytes(range(w)) * h * 3) for w, h in sizes)
    return riff(b"RIFF", b"AVI " + riff(b"LIST", header) + riff(b"LIST", movie))


def y4m(frames, head=b"W8 H6 F25:1"):
    return b"YUV4MPEG2 " + head + b" C420\n" + b"".join(b"FRAME\n" + bytes([n]) * 72 for n in range(frames))


def png_of(side):
    return png_file(side, side, 8, 2, (b"\0" + bytes(3 * side)) * side)


def video():
    yield "avi", avi([(8, 6)] * 3)
    yield "avi_cut", avi([(8, 6)] * 3)[:300]
    yield "avi_no_frame", avi([(8, 6)], frames=0)[:-152]
    yield "avi_many_told", avi([(8, 6)] * 2, frames=2**31)
    yield "avi_frames_of_other_sizes", avi([(8, 6), (4, 4), (40, 40)])
    yield "avi_huge", avi([(8, 6)]).replace(struct.pack("<ii", 8, 6), struct.pack("<ii", 2**30, 2**30))
    yield "avi_fast", avi([(8, 6)] * 2, rate=1000000)
    yield "y4m", y4m(4)
    yield "y4m_no_rate", y4m(2, b"W8 H6 F0:0")
    yield "y4m_huge", y4m(1, b"W65535 H65535 F25:1")
    yield "pictures_of_two_sizes", png_of(8) + png_of(200)
    yield "playlist", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"
    yield "list_of_files", b"ffconcat version 1.0\nfile '/etc/passwd'\nduration 5\n"
    yield "manifest", (b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
                       b"<Representation><BaseURL>/etc/passwd</BaseURL></Representation></AdaptationSet></Period></MPD>")
    yield "sound", riff(b"RIFF", b"WAVE" + riff(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)) + riff(b"data", bytes(64)))
    yield "mp4_header_alone", struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom")
    yield "mp4_empty_index", struct.pack(">I4s4sI4sI4s", 20, b"ftyp", b"isom", 512, b"isom", 8, b"moov")
    yield "text", b"no video at all\n"
    yield "empty_file", b""


def moment_notation():
    event = '{"start_time": "00:03.20", "end_time": "00:05.00", "description": "a man jumps"}'
    yield "one", event.encode()
    yield "fence", f"```json\n[\n  {event},\n  {event}\n]\n```".encode()
    yield "list_of_two", b'{"timestamp": [3.5, "0:05"], "label": "x"}'
    yield "range_in_a_string", b'{"time": "0:03 - 0:05"}'
    yield "crossed", b'{"start": 5, "end": 3}'
    yield "huge_numbers", b'{"start": 1e400, "end": 99999999999999999999}'
    yield "frames", b"a dog jumps from frame 3 to frame 7, Frame4: it sits"
    yield "text", b"From 3.2 to 5.0 seconds, between 3 and 5 s; <answer>3.20-5.00</answer>"
    yield "lines", "1. 0:01 - 0:02: a\n- **1:02:03.5** \u2013 1:02:04 b\n".encode()
    yield "korean", "고양이는 3초부터 5.5초까지".encode()
    yield "clocks", b"0:03" * 300
    yield "open_objects", b'{"time": ' * 300
    yield "bad_utf8", b'{"time": 3, "label": "\xff\xc3"} at \xff3s'


def main():
    makers = {maker.__name__: maker for maker in (safetensors, gguf, config, image, box_notation, moment_notation, tokenizer, regex,
                                                  chat_template)}
    for parser in sys.argv[1:] or makers:
        folder = CORPUS / parser
        folder.mkdir(parents=True, exist_ok=True)
        for name, contents in makers[parser]():
            (folder / name).write_bytes(contents)


if __name__ == "__main__":
    main()
