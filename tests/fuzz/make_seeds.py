"""Writes the seeds of tests/fuzz/corpus/: valid files and hostile ones, a few KB a parser.

Run from the project's root: python tests/fuzz/make_seeds.py [parser ...]. Files named found_* in the corpora
came from the fuzzers and are not written here.
"""
import json
import struct
import sys
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


def main():
    makers = {maker.__name__: maker for maker in (safetensors, config)}
    for parser in sys.argv[1:] or makers:
        folder = CORPUS / parser
        folder.mkdir(parents=True, exist_ok=True)
        for name, contents in makers[parser]():
            (folder / name).write_bytes(contents)


if __name__ == "__main__":
    main()
