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


def main():
    makers = {maker.__name__: maker for maker in (safetensors, config, image, box_notation, tokenizer, regex)}
    for parser in sys.argv[1:] or makers:
        folder = CORPUS / parser
        folder.mkdir(parents=True, exist_ok=True)
        for name, contents in makers[parser]():
            (folder / name).write_bytes(contents)


if __name__ == "__main__":
    main()
