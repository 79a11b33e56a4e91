"""Embeds each line of a text file: embed.py LINES.txt OUT.npy"""
import pathlib
import sys

import numpy as np
import wordllama

# The model is a part of the package; its own search misses the tokenizer's folder and would download it.
folder = pathlib.Path(wordllama.__file__).parent
model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
vectors = model.embed(lines, norm=True).astype(np.float32)
np.save(sys.argv[2], vectors)
print(f"{sys.argv[2]}: {vectors.shape[0]} vectors of {vectors.shape[1]} numbers")
