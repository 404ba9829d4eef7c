"""Runs tests with every supported Python of this machine: `test_pythons.py FOLDER TEST...`.

Interpreters are looked for on the PATH and among pyenv's. Each gets a virtual environment below FOLDER with the locked
dependencies, which is renewed when the lock file or `pyproject.toml` changes. Needs nothing but the standard library, and
itself runs on any of these Pythons.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "dev.txt"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")


def candidates(version: str) -> list[str]:
    """Commands that may be that version of Python: this one, those on the PATH, pyenv's from the newest down."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    installed = sorted(pyenv.glob(f"{version}.*/bin/python"), key=_patch_level, reverse=True)
    return [sys.executable, f"python{version}", "python3", *map(str, installed)]


def _patch_level(python: Path) -> int:
    digits = python.parents[1].name.split(".")[2]
    return int(digits) if digits.isdigit() else -1  # 3.13.0rc1, 3.13-dev


def interpreter(version: str) -> str | None:
    """The first candidate that starts and really is that version. pyenv's shims are on the PATH and may do neither."""
    for candidate in candidates(version):
        command = shutil.which(candidate)
        if command and _version_of(command) == version:
            return command
    return None


def _version_of(command: str) -> str:
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([command, "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def environment(python: str, folder: Path) -> Path:
    """The interpreter of an up-to-date virtual environment in the folder."""
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    stamp = folder / ".ready"
    wanted = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return inside
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return inside


def run(version: str, folder: Path, tests: list[str]) -> str:
    """Tests with one version; how it ended."""
    python = interpreter(version)
    if python is None:
        return "not on this machine"
    print(f"Python {version}: {python}", flush=True)
    try:
        inside = environment(python, folder / version)
    except subprocess.CalledProcessError as error:
        return f"failed: {Path(error.cmd[0]).name} {' '.join(error.cmd[1:4])} ... ended with {error.returncode}"
    command = [str(inside), "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *tests]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return "passed" if code == 0 else f"failed: pytest ended with {code}"


def main() -> None:
    folder, tests = Path(sys.argv[1]).absolute(), sys.argv[2:]
    results = {version: run(version, folder, tests) for version in VERSIONS}
    print("\n" + "\n".join(f"Python {version}  {result}" for version, result in results.items()))
    succeeded = "passed" in results.values() and not any(result.startswith("failed") for result in results.values())
    sys.exit(0 if succeeded else 1)


if __name__ == "__main__":
    main()
