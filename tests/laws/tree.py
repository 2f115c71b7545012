"""What the laws read: the files of the project."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOT_OURS = {".git", ".venv", ".cache", "build", "runs", "__pycache__"}


def committed():
    """Paths relative to ROOT of the committed files, or of all files where git has no say (a source archive)."""
    git = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if git.returncode == 0 and git.stdout:
        names = git.stdout.decode().rstrip("\0").split("\0")
        return [pathlib.PurePosixPath(name) for name in names if (ROOT / name).is_file()]
    return sorted(walk(ROOT))


def walk(top):
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(set(folders) - NOT_OURS)
        for name in names:
            yield pathlib.PurePosixPath(pathlib.Path(folder, name).relative_to(ROOT).as_posix())


def cpp_files(*tops):
    """The C++ files under the given folders of the project, committed or not."""
    return sorted(path for top in tops for path in walk(ROOT / top) if path.suffix in {".cpp", ".h", ".inc"})
