"""Headers of safetensors files. Needs no more than python3 itself."""

import json
import struct
from pathlib import Path


def read_header(file: Path) -> tuple[dict, int]:
    """-> {name: {"dtype", "shape", "data_offsets"}}, and where the data begins that the offsets count from."""
    with open(file, "rb") as opened:
        length = struct.unpack("<Q", opened.read(8))[0]
        header = json.loads(opened.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def write_header(output, header: dict) -> None:
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    output.write(struct.pack("<Q", len(told)) + told)
