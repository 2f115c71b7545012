"""Videos in ask and ground, on the bundled model: a drawing that moves."""

import struct
import wave
import zlib

import harness

SCENE = harness.ROOT / "docs/scene.png"
QUESTION = "Where is the gem?"


def read_png(path):
    """(width, height, rows of RGB bytes) of an 8-bit RGB picture without interlacing."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, colours, interlaced) == (8, 2, 0)
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    raw, rows, above = zlib.decompress(packed), [], bytes(3 * width)
    for y in range(height):
        kind, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1 :][: 3 * width])
        for x in range(3 * width):
            left, up = line[x - 3] if x > 2 else 0, above[x]
            corner = above[x - 3] if x > 2 else 0
            nearest = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            line[x] = (line[x] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
        rows.append(above := bytes(line))
    return width, height, rows


def write_avi(path, width, height, frames, rate):
    """Uncompressed: RIFF with one track of 24-bit bitmaps, rows from below and padded to four bytes."""
    chunk = lambda name, body: struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)
    pad = b"\0" * (-3 * width % 4)
    pictures = [b"".join(bytes(v for x in range(0, 3 * width, 3) for v in row[x : x + 3][::-1]) + pad
                         for row in reversed(rows)) for rows in frames]
    size = len(pictures[0]) if pictures else 0
    main = struct.pack("<14I", 1000000 // rate, size * rate, 0, 16, len(frames), 0, 1, size, width, height, 0, 0, 0, 0)
    track = struct.pack("<4s4sIHHIIIIIIII4H", b"vids", b"DIB ", 0, 0, 0, 0, 1, rate, 0, len(frames), size, 0, 0, 0, 0,
                        width, height)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    header = b"hdrl" + chunk(b"avih", main) + chunk(b"LIST", b"strl" + chunk(b"strh", track) + chunk(b"strf", bitmap))
    movie, index, at = b"movi", b"", 4
    for picture in pictures:
        movie += chunk(b"00db", picture)
        index += struct.pack("<4sIII", b"00db", 16, at, size)
        at = len(movie)
    path.write_bytes(chunk(b"RIFF", b"AVI " + chunk(b"LIST", header) + chunk(b"LIST", movie) + chunk(b"idx1", index)))


class Videos(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.width, cls.height, cls.rows = read_png(SCENE)

    def video(self, shifts=(0, 4, 8, 12)):
        """The scene, farther to the right in each frame; two frames a second."""
        path = self.folder / "scene.avi"
        frames = [[row[:3] * shift + row[: len(row) - 3 * shift] for row in self.rows] for shift in shifts]
        write_avi(path, self.width, self.height, frames, 2)
        return path

    def test_a_frame_is_a_picture(self):
        video = self.video()
        asked = self.succeeds_json("ask", "emoji-world", QUESTION, "-i", SCENE, "--json")
        watched = self.succeeds_json("ask", "emoji-world", QUESTION, "-v", video, "--frames", "1", "--json")
        self.assertEqual(watched["text"], asked["text"])
        self.assertEqual(watched["boxes"], asked["boxes"])

    def test_things_are_followed(self):
        drawn = self.folder / "drawn.mp4"
        told = self.succeeds_json("ground", "emoji-world", QUESTION, "-v", self.video(), "--json", "--draw", drawn)
        frames = told["frames"]
        self.assertEqual([frame["seconds"] for frame in frames], [0, 0.5, 1, 1.5])
        boxes = [frame["boxes"][0] for frame in frames]
        self.assertEqual({box["track"] for box in boxes}, {0})
        self.assertEqual({box["label"] for box in boxes}, {"gem"})
        self.assertGreater(boxes[3]["box"][0], boxes[0]["box"][0] + 4)
        again = self.succeeds_json("ground", "emoji-world", QUESTION, "-v", drawn, "--frames", "2", "--json")
        self.assertEqual(len(again["frames"]), 2)

    def test_what_is_no_video(self):
        text, empty, sound = (self.folder / name for name in ("text.mp4", "empty.mp4", "sound.wav"))
        text.write_text("no video\n")
        empty.touch()
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
            file.writeframes(bytes(8000))
        cut = self.video()
        cut.write_bytes(cut.read_bytes()[:100])
        hollow = self.folder / "hollow.avi"  # a header, an index, and no frame between them
        write_avi(hollow, 8, 6, [], 2)
        for path in (text, empty, cut, hollow):
            self.fails(1, ["ask", "emoji-world", QUESTION, "-v", path], path)
        self.fails(1, ["ask", "emoji-world", QUESTION, "-v", sound], sound, "no track of pictures")
        self.fails(2, ["ask", "emoji-world", QUESTION, "-v", self.folder / "none.mp4"], "none.mp4")
        video = self.video()
        self.fails(1, ["ask", "emoji-world", QUESTION, "-v", video, "--max-seconds", "1"], "at most 1 s")
        self.fails(1, ["ask", "emoji-world", QUESTION, "-v", video, "--fps", "2", "--max-frames", "2"], "at most 2")
        self.fails(2, ["ask", "emoji-world", QUESTION, "-v", video, "--fps", "0"], "more than 0")
        self.fails(2, ["ground", "emoji-world", QUESTION, "-v", video, "-i", SCENE], "-v")
        out = self.folder / "out.mp4"
        self.fails(1, ["ground", "emoji-world", QUESTION, "-v", text, "--draw", out], text)
        self.assertFalse(out.exists())


if __name__ == "__main__":
    harness.main()
