# SPDX-License-Identifier: Apache-2.0
"""The list of operators that torch 2.1 has; run by the interpreter that scripts/torch21.sh makes.

sh scripts/torch21.sh FOLDER
FOLDER/python scripts/torch21_operators.py > matte_nodes/export/torch21_operators.txt
"""

import torch

names = sorted({schema.name for schema in torch._C._jit_get_all_schemas()})
print(
    f"# Operators of torch {torch.__version__.partition('+')[0]}, by scripts/torch21_operators.py."
)
print("\n".join(name for name in names if name.startswith(("aten::", "prim::"))))
