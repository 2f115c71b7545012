"""How far a peer's logits are from those of the same weights in float32: `python accuracy.py VOCABULARY REFERENCE
FILE...` reads float32 logits as protocol.py's do_logits writes them, and prints one JSON object a file. Needs numpy."""

import json
import sys

import numpy


def log_softmax(logits):
    logits = logits.astype(numpy.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - numpy.log(numpy.exp(logits).sum(-1, keepdims=True))


def compare(reference, other) -> dict[str, float]:
    of_reference, of_other = log_softmax(reference), log_softmax(other)
    kl = (numpy.exp(of_reference) * (of_reference - of_other)).sum(-1)
    difference = other.astype(numpy.float64) - reference
    return {"tokens": len(reference), "kl": float(kl.mean()), "kl_99": float(numpy.quantile(kl, 0.99)),
            "equal_top": float((reference.argmax(-1) == other.argmax(-1)).mean()),
            "relative_error": float(numpy.linalg.norm(difference) / numpy.linalg.norm(reference))}


def main() -> None:
    width = int(sys.argv[1])
    read = lambda file: numpy.fromfile(file, dtype="float32").reshape(-1, width)
    reference = read(sys.argv[2])
    for file in sys.argv[3:]:
        print(json.dumps(compare(reference, read(file))))


if __name__ == "__main__":
    main()
