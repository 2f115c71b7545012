"""`python write_checkpoint.py SHAPE FOLDER`: a Hugging Face folder of random weights (bench/shapes.py)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checkpoints import make_checkpoint
from shapes import SHAPES

make_checkpoint(Path(sys.argv[2]), SHAPES[sys.argv[1]])
