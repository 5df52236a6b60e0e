# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by a Blender without a window: render inputs of a Matte node (helper.py starts it).

blender -b copy.blend --python render_inputs.py -- ASKED.json
"""

import importlib
import json
import os
import sys

import bpy

HERE = os.path.dirname(os.path.abspath(__file__))


def addon():
    """The add-on as a package: as this Blender has enabled it, else loaded from this folder."""
    if hasattr(bpy.types.NodeTree, "matte_nodes"):
        ours = os.path.join(HERE, "__init__.py")
        for name, module in list(sys.modules.items()):
            if os.path.abspath(getattr(module, "__file__", None) or "") == ours:
                return name
    name = "matte_nodes_inputs"
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
    )
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    importlib.import_module(name + ".settings").register()
    return name


def main(path):
    """Render what the file asks for; a Trouble is left beside it."""
    with open(path, encoding="utf-8") as file:
        asked = json.load(file)
    name = addon()
    walk, upstream = (importlib.import_module(f"{name}.{part}") for part in ("walk", "upstream"))
    trouble = importlib.import_module(name + ".trouble").Trouble
    try:
        tree = bpy.data.node_groups[asked["group"]]
        home, way, node = walk.place(tree, bpy.data.scenes[asked["scene"]])
        found = walk.inputs(way, node)
        for first, last, names in asked["spans"]:
            wanted = {name: found[name] for name in names}
            upstream.render(home, wanted, asked["folder"], first, last, tuple(asked["size"]))
    except trouble as error:
        with open(path + ".trouble", "w", encoding="utf-8") as file:
            json.dump({"trouble": str(error)}, file)
        raise


if __name__ == "__main__":
    import importlib.util

    main(sys.argv[sys.argv.index("--") + 1])
