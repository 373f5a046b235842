"""`make archive`: packs our packages into one zip for `spark-submit --py-files` on a cluster."""

import sys
import zipfile
from pathlib import Path

from deploy.chain import REPO

PACKAGES = ("conf", "features", "models", "expectations", "publish", "jobs")
_KINDS = {".py", ".lua", ".json", ".yml", ".parquet", ".j2", ".csv"}


def write_archive(target: Path) -> int:
    """Writes the zip and returns the number of its files."""
    files = [file for package in PACKAGES for file in sorted((REPO / package).rglob("*")) if file.suffix in _KINDS]
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(REPO))
    return len(files)


if __name__ == "__main__":
    target = REPO / "dist/discovery.zip"
    sys.stdout.write(f"{target.relative_to(REPO)}: {write_archive(target)} files\n")
