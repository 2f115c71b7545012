"""What tests/parity/models.py makes: a module for each kind of family, with

FAMILIES: by name, how models.py makes and compares a random checkpoint of the family (families.common.Family);
GOLDENS: by the name of a folder in golden/models/, (family, seed, config), where config(random.Random) builds one.
"""

from families import (composed, composed_retrieval, decoders, internvl, llama4, llava, mllama, nvlm, queries, qwen2_vl,
                      vision)

KINDS = (decoders, llama4, vision, llava, internvl, mllama, qwen2_vl, queries, nvlm, composed, composed_retrieval)
FAMILIES = {name: family for kind in KINDS for name, family in kind.FAMILIES.items()}
GOLDENS = {name: golden for kind in KINDS for name, golden in kind.GOLDENS.items()}
