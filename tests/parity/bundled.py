"""The bundled model in transformers: the same greedy answers as `nuri ask` in float32, on any pictures.

    python tests/parity/bundled.py BINARY MODEL PICTURE...

A picture of another size is resized by both. Needs torch, transformers and Pillow; Nuri itself does not.
"""

import json
import subprocess
import sys

import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

QUESTIONS = ["What is in this picture?", "Where is everything?", "How many things do you see?", "Is there a cat?",
             "이 그림에 무엇이 있나요?", "무엇이 어디에 있는지 모두 알려 주세요.", "몇 개가 보이나요?", "그림을 설명해 주세요."]


def reference(model, processor, picture, question):
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    prompt = processor.apply_chat_template([message], add_generation_prompt=True)
    inputs = processor(images=Image.open(picture).convert("RGB"), text=prompt, return_tensors="pt")
    made = model.generate(**inputs, do_sample=False, max_new_tokens=96)[0, inputs["input_ids"].shape[1]:]
    return processor.tokenizer.decode(made, skip_special_tokens=True)


def nuri(binary, folder, picture, question):
    command = [binary, "ask", folder, question, "-i", picture, "--json", "--greedy", "--dtype", "float32",
               "--max-tokens", "96"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["text"]


def main(binary, folder, *pictures):
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder, backend="pil")
    equal = 0
    for picture in pictures:
        for question in QUESTIONS:
            wanted, found = reference(model, processor, picture, question), nuri(binary, folder, picture, question)
            equal += wanted == found
            if wanted != found:
                print(f"{picture}: {question}\n  transformers {wanted!r}\n  nuri         {found!r}")
    print(f"{equal} of {len(pictures) * len(QUESTIONS)} answers equal")
    return equal != len(pictures) * len(QUESTIONS)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
