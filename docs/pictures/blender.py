# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/blender.md in a real Blender 3.4: `python docs/pictures/blender.py`.

The plate is a slow push-in on the NASA portrait that make.py uses. Needs what the tests with a
window need (Xvfb, xdotool), and the weights of rvm.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))
sys.path.insert(0, str(HERE))

from make import grey, linear, portrait, save, screen  # noqa: E402

from matte_nodes import paths  # noqa: E402
from matte_nodes.hosts.blender import build  # noqa: E402
from matte_nodes.service.client import Client  # noqa: E402
from tests.blender import rig  # noqa: E402
from tests.blender.window import WIDTH, Window  # noqa: E402
from tests.made import read_named  # noqa: E402

FRAMES, SHOWN = 12, 8
TAB = (WIDTH - 12, 283)


def plates(folder: Path) -> Path:
    """A push-in, as 8-bit PNG; answers its first frame."""
    folder.mkdir()
    picture = cv2.imread(str(portrait()))
    assert picture is not None
    for number in range(1, FRAMES + 1):
        edge = 2.0 * number
        size = 512 - 2 * edge
        move = np.float32([[512 / size, 0, -edge * 512 / size], [0, 512 / size, 0]])
        frame = cv2.warpAffine(picture, move, (512, 480), flags=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"plate.{number:04d}.png"), frame)
    return folder / "plate.0001.png"


def main() -> None:
    """Build the example, bake it, take the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        addon = build.unpack(work / build.ADDON)
        plate = plates(work / "plates")
        (work / "home").mkdir()
        service = Client(home=str(work / "matte"))
        (work / "matte").mkdir()
        (work / "matte" / "weights").symlink_to(paths.weights_folder())
        with Window(
            work / "home", addon, MATTE_PYTHON=sys.executable,
            MATTE_HOME=str(service.home),
        ) as window:  # fmt: skip
            window.do(
                f"""
                import runpy
                tree = runpy.run_path({str(rig.EXAMPLE)!r})["build"]({str(plate)!r}, "rvm")
                for node in tree.nodes:
                    node.select = False
                tree.nodes.active = tree.nodes["Matte"]
                tree.nodes["Matte"].select = True
                bpy.ops.wm.save_as_mainfile(filepath={str(work / "shot.blend")!r})
                bpy.ops.matte_nodes.check_environment()
                group = tree.nodes["Matte"].node_tree
                group.matte_nodes.device = "cpu"
                sys.stdout.flush()
                bpy.ops.matte_nodes.bake("EXEC_DEFAULT", group=group.name)
                bpy.context.scene.frame_set({SHOWN})
            """,
                seconds=300,
            )
            window.do("""
                window = bpy.context.window_manager.windows[0]
                area = max(window.screen.areas, key=lambda a: a.width * a.height)
                with bpy.context.temp_override(window=window, area=area):
                    bpy.ops.screen.screen_full_area(use_hide_panels=False)
                bpy.context.preferences.view.smooth_view = 0
            """)
            window.hand("mousemove", *TAB, "click", 1)
            window.do("""
                window = bpy.context.window_manager.windows[0]
                area = max(window.screen.areas, key=lambda a: a.width * a.height)
                area.spaces.active.show_backdrop = False
                region = next(r for r in area.regions if r.type == "WINDOW")
                with bpy.context.temp_override(window=window, area=area, region=region):
                    bpy.ops.node.view_all()
            """)
            window.hand("mousemove", WIDTH // 2, 500, "key", "Home")
            window.do("pass")
            window.hand("mousemove", 1129, 407)
            window.do("pass")
            window.hand("click", 1)  # opens "Every Model"
            window.do("pass")
            window.hand("mousemove", 560, 430)
            for _ in range(4):  # the wheel, once a step
                window.hand("click", 4)
                window.do("pass")
            shot = window.picture(work / "screen.png")
            window.do(
                f"""
                scene = bpy.context.scene
                settings = scene.render.image_settings
                settings.file_format, settings.color_depth = "OPEN_EXR", "32"
                scene.render.use_sequencer = False
                scene.render.filepath = {str(work / "out.exr")!r}
                bpy.ops.render.render(write_still=True)
            """,
                seconds=60,
            )
        service.shutdown()
        picture = cv2.imread(str(shot))
        assert picture is not None
        cv2.imwrite(str(HERE / "blender-node.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
        out, baked = read_named(work / "out.exr"), read_named(
            next((work / "matte").rglob(f"matte.{SHOWN:04d}.exr")))  # fmt: skip
        save(
            "blender-composite",
            {
                "plate": screen(linear(plate.with_name(f"plate.{SHOWN:04d}.png"))),
                "Alpha of the Matte node": grey(baked["alpha.V"]),
                "its Image over a colour, as Blender renders it": screen(
                    np.stack([out[name] for name in "RGB"], axis=-1)
                ),
            },
        )


if __name__ == "__main__":
    main()
