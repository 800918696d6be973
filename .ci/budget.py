"""What we promise a newcomer: a small wheel, few packages, no training framework."""

import json
import subprocess
import sys
from pathlib import Path

WHEEL_MB, PACKAGES, INSTALLED_MB = 12, 22, 485
TOOLS = {"pip", "setuptools", "wheel"}


def size_mb(files: list[Path]) -> float:
    """Sum of the files' sizes in 10^6 bytes."""
    return sum(f.stat().st_size for f in files) / 1e6


def main(wheel: Path, environment: Path) -> int:
    """Print each figure beside its budget; 1 if one is exceeded."""
    listed = subprocess.run(
        [environment / "bin" / "pip", "list", "--format", "json"],
        check=True,
        capture_output=True,
        text=True,
    )
    packages = {p["name"].lower() for p in json.loads(listed.stdout)} - TOOLS
    site = next(environment.glob("lib/python*/site-packages"))
    skipped = tuple(str(site / tool) for tool in TOOLS)
    files = [f for f in site.rglob("*") if f.is_file() and not str(f).startswith(skipped)]
    figures = (
        ("wheel, MB", wheel.stat().st_size / 1e6, WHEEL_MB),
        ("packages", len(packages), PACKAGES),
        ("installed, MB", size_mb(files), INSTALLED_MB),
    )
    for name, value, budget in figures:
        print(f"{name:<14} {value:7.1f} of {budget}")
    forbidden = packages & {"torch", "tensorflow", "pandas", "scikit-learn"}
    print(f"forbidden      {sorted(forbidden) or 'none'}")
    return int(bool(forbidden) or any(value > budget for _, value, budget in figures))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
