# SPDX-License-Identifier: Apache-2.0
"""`python -m bench [NAME ...]`: every bench, or the named ones, one process each.

Timings are ratios within one run: absolute seconds are of this machine alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run them one after another; a failing one does not stop the others."""
    scripts = sorted(HERE.glob("bench_*.py"))
    if names := sys.argv[1:]:
        scripts = [script for script in scripts if script.stem.removeprefix("bench_") in names]
        if len(scripts) != len(names):
            have = ", ".join(s.stem.removeprefix("bench_") for s in sorted(HERE.glob("bench_*.py")))
            print(f"there are: {have}", file=sys.stderr)
            return 2
    failed = []
    for script in scripts:
        print(f"\n== {script.stem.removeprefix('bench_')}", flush=True)
        if subprocess.run([sys.executable, str(script)], check=False).returncode:
            failed.append(script.stem)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
