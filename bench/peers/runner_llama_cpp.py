"""llama.cpp as a peer, through llama-cpp-python's own bindings. A model is a folder with PRECISION.gguf, and
mmproj.gguf where it sees."""

import ctypes
from pathlib import Path

import llama_cpp as api
from llama_cpp import mtmd_cpp as mtmd
from protocol import Runner, Unsupported, random_ids, serve

BATCH, MICRO_BATCH = 2048, 512  # llama.cpp's own defaults


class LlamaCpp(Runner):
    def load(self, model: str, threads: int, precision: str) -> None:
        self.folder, self.threads, self.context = Path(model), threads, None
        api.llama_backend_init()
        self.log = api.llama_log_callback(lambda level, text, data: None)
        api.llama_log_set(self.log, ctypes.c_void_p())
        parameters = api.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.model = api.llama_model_load_from_file(str(self.folder / f"{precision}.gguf").encode(), parameters)
        if not self.model:
            raise RuntimeError(f"{precision}.gguf could not be loaded")
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))
        self.open(512, 1)
        self.eyes = self.open_eyes()

    def open_eyes(self):
        """With the model, as the other programs open theirs."""
        file = self.folder / "mmproj.gguf"
        if not file.exists():
            return None
        parameters = mtmd.mtmd_context_params_default()
        parameters.use_gpu, parameters.n_threads, parameters.print_timings = False, self.threads, False
        # The picture is measured as it is, however many tokens that makes.
        eyes = mtmd.mtmd_init_from_file(str(file).encode(), self.model, parameters)
        if not eyes:
            raise RuntimeError("mmproj.gguf could not be loaded")
        return eyes

    def open(self, positions: int, sequences: int) -> None:
        """A context for so many positions of each sequence."""
        if self.context:
            api.llama_free(self.context)
        parameters = api.llama_context_default_params()
        parameters.n_ctx = (positions + 255) // 256 * 256 * sequences
        parameters.n_batch, parameters.n_ubatch, parameters.n_seq_max = BATCH, MICRO_BATCH, sequences
        parameters.n_threads = parameters.n_threads_batch = self.threads
        self.context = api.llama_init_from_model(self.model, parameters)
        if not self.context:
            raise RuntimeError("no context could be made")

    def decode(self, ids: list[int], past: int, sequence: int = 0, every: bool = False) -> None:
        """Reads ids of one sequence; logits of the last one, or of every one."""
        for begin in range(0, len(ids), BATCH):
            piece = ids[begin : begin + BATCH]
            last = begin + len(piece) == len(ids)
            self.run([(token, past + begin + i, sequence, every or (last and i == len(piece) - 1))
                      for i, token in enumerate(piece)])

    def run(self, rows: list[tuple[int, int, int, bool]]) -> None:
        batch = api.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        code = api.llama_decode(self.context, batch)
        api.llama_batch_free(batch)
        if code != 0:
            raise RuntimeError(f"llama_decode: {code}")

    def prefill(self, tokens: int) -> None:
        if api.llama_n_ctx(self.context) < tokens or api.llama_n_seq_max(self.context) != 1:
            self.open(tokens, 1)
        api.llama_memory_clear(api.llama_get_memory(self.context), True)
        self.decode(random_ids(tokens, self.vocabulary, 0), 0)
        api.llama_synchronize(self.context)

    def begin(self, depth: int, sequences: int) -> None:
        self.open(max(depth, 1) + 160, sequences)
        for sequence in range(sequences):
            self.decode(random_ids(max(depth, 1), self.vocabulary, sequence), 0, sequence)
        self.length, self.sequences = max(depth, 1), sequences

    def step(self) -> None:
        self.run([(2 + self.length % 97, self.length, sequence, True) for sequence in range(self.sequences)])
        api.llama_synchronize(self.context)
        self.length += 1

    def logits(self, ids: list[int]):
        import numpy

        self.open(len(ids), 1)
        rows = []
        for begin in range(0, len(ids), MICRO_BATCH):
            piece = ids[begin : begin + MICRO_BATCH]
            self.decode(piece, begin, every=True)
            rows.append(numpy.ctypeslib.as_array(api.llama_get_logits(self.context),
                                                 (len(piece), self.vocabulary)).astype("float32", copy=True))
        return numpy.concatenate(rows)

    def open_picture(self, width: int, height: int) -> None:
        if self.eyes is None:
            raise Unsupported("this model has no mmproj.gguf")
        pixels = bytes((31 * i * i + i // 7) % 256 for i in range(3 * width * height))
        bitmap = mtmd.mtmd_bitmap_init(width, height, (ctypes.c_uint8 * len(pixels)).from_buffer_copy(pixels))
        self.part = mtmd.mtmd_input_part()
        self.part.bitmap = bitmap
        parts = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(self.part))
        chunks = mtmd.mtmd_input_chunks_init()
        if mtmd.mtmd_tokenize_from_parts(self.eyes, chunks, parts, 1, False) != 0:
            raise RuntimeError("the picture could not be prepared")
        found = [mtmd.mtmd_input_chunks_get(chunks, i) for i in range(mtmd.mtmd_input_chunks_size(chunks))]
        self.chunk = next(one for one in found if mtmd.mtmd_input_chunk_get_tokens_image(one))

    def encode(self) -> None:
        if mtmd.mtmd_encode_chunk(self.eyes, self.chunk) != 0:
            raise RuntimeError("mtmd_encode_chunk failed")


if __name__ == "__main__":
    serve(LlamaCpp())
