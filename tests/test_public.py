# SPDX-License-Identifier: Apache-2.0
"""The public face: complete, sorted, light to import."""

from __future__ import annotations

import subprocess
import sys

import matte_nodes

HEAVY = ("torch", "onnxruntime", "cv2", "OpenImageIO", "pymatting", "av")


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split("\n")[-2].split())


def test_all_is_sorted_and_complete() -> None:
    assert list(matte_nodes.__all__) == sorted(matte_nodes.__all__)
    assert set(matte_nodes.__all__) == set(matte_nodes._HOMES)
    for name in matte_nodes.__all__:
        assert getattr(matte_nodes, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(matte_nodes, "no_such_name")


def test_import_is_light() -> None:
    assert _modules_after("import matte_nodes") == set()


def test_help_imports_no_runtime() -> None:
    code = (
        "import sys\nfrom matte_nodes.cli import main\nsys.argv = ['matte', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert _modules_after(code) == set()


def test_run_help_imports_no_runtime() -> None:
    code = (
        "import sys\nfrom matte_nodes.cli import main\nsys.argv = ['matte', 'run', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert _modules_after(code) == set()


def test_every_error_has_the_one_base() -> None:
    from matte_nodes import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert all(issubclass(kind, errors.MatteError) for kind in kinds)
    assert len(kinds) > 10
