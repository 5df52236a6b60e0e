# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a Matte node in the .blend, and the properties made from the declarations.

The values of knobs are JSON text under their declared names; the properties are faces of it. So
they outlive a change of the models that are known, and a Blender without the add-on.
"""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import os
import uuid
from typing import Any

import bpy

from . import compat, declarations, group, knobs
from .declarations import Declarations

_edges: list = []
_items: list = []  # Blender keeps no reference to the texts of a menu
_faces: list = []
_made_of = [""]
_environment = [Declarations()]


def known() -> Declarations:
    """Everything the environment declared, then what the file brought with it."""
    there = [Declarations.read(tree.matte_nodes.declarations) for tree in group.mattes()]
    return declarations.merged([_environment[0], *there])


def of_group(tree: Any) -> Declarations:
    """Return the declarations of models and knobs that a Matte node uses."""
    own = Declarations.read(tree.matte_nodes.declarations)
    return declarations.merged([own, _environment[0]]) if own else known()


def learn(found: Declarations) -> None:
    """Take what an environment declared as the newest; every Matte node of the file gets it."""
    _environment[0] = found
    text = found.text()
    for tree in group.mattes():
        if tree.library is None:
            # A model that this environment lacks stays known to the node that uses it.
            old = Declarations.read(tree.matte_nodes.declarations)
            keep = tree.matte_nodes.model
            kept = Declarations()
            kept.cards = {keep: old.cards[keep]} if keep in old.cards else {}
            both = declarations.merged([found, kept])
            tree.matte_nodes.declarations = both.text() if kept.cards else text
    make_faces()


def forget() -> None:
    """Know of no environment."""
    _environment[0] = Declarations()


def _models(self, context):
    names = [declarations.AUTO, *known().cards]
    if self.model not in names:
        names.append(self.model)
    cards = known().cards
    return _kept(_items, [
        (name, _title(name, cards.get(name)), _summary(name, cards.get(name)), number)
        for number, name in enumerate(names)
    ])  # fmt: skip


def _kept(items, now):
    """The items of a menu: as long as they say the same, the same texts, which Blender points to."""
    if items != now:
        items[:] = now
    return items


def _title(name, card):
    if name == declarations.AUTO:
        return "auto"
    if not card:
        return f"{name} (not known here)"
    return f"{name} (no weights)" if card.get("ready") is False else name


def _summary(name, card):
    if name == declarations.AUTO:
        return "The best model that can run for what is connected"
    if not card:
        return "The environment of the preferences has no such model"
    return f"{card['title']}: {card['summary']}".strip().rstrip(".")


def _get_model(self):
    return next((n for n, item in enumerate(_models(self, None)) if item[0] == self.model), 0)


def _set_model(self, number):
    self.model = _models(self, None)[number][0]


def _refiners(self, context):
    declared = known()
    names = ["", *declared.refiners()]
    if self.refine not in names:
        names.append(self.refine)
    return _kept(_edges, [
        (name or "NONE", _title(name, declared.card(name)) if name else "none",
         _summary(name, declared.card(name)) if name else "The model's own edge", number)
        for number, name in enumerate(names)
    ])  # fmt: skip


def _get_refine(self):
    wanted = self.refine or "NONE"
    return next((n for n, item in enumerate(_refiners(self, None)) if item[0] == wanted), 0)


def _set_refine(self, number):
    name = _refiners(self, None)[number][0]
    self.refine = "" if name == "NONE" else name


def _rewire(self, context):
    from . import baking

    baking.rewire(self.id_data)


class MatteSettings(bpy.types.PropertyGroup):
    """Everything that one Matte node is told, on its node group."""

    is_matte: bpy.props.BoolProperty(options={"HIDDEN"})
    group_version: bpy.props.IntProperty(options={"HIDDEN"})
    bake_name: bpy.props.StringProperty(options={"HIDDEN"})
    model: bpy.props.StringProperty(name="Model", default=declarations.AUTO)
    model_menu: bpy.props.EnumProperty(
        name="Model", description="Which model mattes", items=_models, get=_get_model,
        set=_set_model,
    )  # fmt: skip
    values: bpy.props.StringProperty(options={"HIDDEN"})
    declarations: bpy.props.StringProperty(options={"HIDDEN"})
    device: bpy.props.StringProperty(
        name="Device",
        description="auto, cpu, cuda, cuda:1, mps, tensorrt; empty: what the preferences say",
    )
    bake_dir: bpy.props.StringProperty(
        name="Bake folder",
        subtype="DIR_PATH",
        options=compat.RELATIVE_PATH,
        default="//matte",
        description="Where bakes go, a folder for each set of settings. Nothing in it is deleted",
    )
    range_mode: bpy.props.EnumProperty(
        name="Range",
        items=[
            ("SCENE", "Scene", "The frames of the scene in which the inputs move", 0),
            ("CUSTOM", "Own", "The frames below", 1),
            ("PREVIEW", "Preview", "The preview range, while the timeline has one", 2),
        ],
    )
    frame_start: bpy.props.IntProperty(name="First", default=1, min=0)
    frame_end: bpy.props.IntProperty(name="Last", default=250, min=0)
    points: bpy.props.StringProperty(options={"HIDDEN"})
    object_name: bpy.props.StringProperty(
        name="Object",
        description="Clicks mark this object. Several objects: each gets an output Alpha NAME of "
        "its own, and Alpha is all of them. Empty: one subject",
    )
    subject_mask: bpy.props.PointerProperty(
        name="Mask", type=bpy.types.Mask,
        description="Mask round the subject, for Subject from Mask and Trimap from Mask",
    )  # fmt: skip
    along: bpy.props.BoolProperty(
        name="Along the range",
        description="Take marks at every 10th frame of the range, not only at the present one",
    )
    refine: bpy.props.StringProperty(options={"HIDDEN"})
    refine_menu: bpy.props.EnumProperty(
        name="Edge", description="A trimap model that solves the edge of the model's matte again",
        items=_refiners, get=_get_refine, set=_set_refine,
    )  # fmt: skip
    refine_width: bpy.props.FloatProperty(
        name="Edge width", default=0.0, min=0.0, soft_max=100.0, precision=1,
        description="Pixels to each side of the edge that are solved again. 0: as the size of the "
        "plate wants it",
    )  # fmt: skip
    corrections: bpy.props.StringProperty(options={"HIDDEN"})
    tuned_name: bpy.props.StringProperty(
        name="New model",
        description="Name of the model that Fine-Tune makes; empty: the names of file and node",
    )
    plate_alpha: bpy.props.EnumProperty(
        name="Plate alpha",
        items=[
            (
                "AUTO",
                "Automatic",
                "Multiply the matte by the plate's alpha where its file has one",
                0,
            ),
            ("MULTIPLY", "Multiply", "Multiply the matte by the alpha of the picture at Image", 1),
            ("IGNORE", "Ignore", "The matte alone", 2),
        ],
        description="What becomes of the plate's own alpha",
        update=_rewire,
    )
    multiplies: bpy.props.BoolProperty(options={"HIDDEN"})
    record: bpy.props.StringProperty(options={"HIDDEN"})
    message: bpy.props.StringProperty(options={"HIDDEN"})
    message_about: bpy.props.StringProperty(options={"HIDDEN"})
    note: bpy.props.StringProperty(options={"HIDDEN"})


def range_of(settings: Any, scene: Any) -> "tuple[int, int]":
    """First and last frame that the panel asks for."""
    if settings.range_mode == "CUSTOM":
        return settings.frame_start, settings.frame_end
    if settings.range_mode == "PREVIEW" and scene.use_preview_range:
        return scene.frame_preview_start, scene.frame_preview_end
    return scene.frame_start, scene.frame_end


def multiplies(settings: Any, plate: Any) -> bool:
    """Whether the matte is multiplied by the alpha of the plate (a Source)."""
    if settings.plate_alpha == "AUTO":
        return bool(plate.transparent)
    return bool(settings.plate_alpha == "MULTIPLY")


def base_of(settings: Any) -> str:
    """Return the bake folder, absolute; "" when it is beside a file that was not saved yet."""
    path = settings.bake_dir or "//matte"
    if path.startswith("//") and not bpy.data.filepath:
        return ""
    return os.path.abspath(bpy.path.abspath(path))


def relative(settings: Any) -> bool:
    """Whether the bake is stored relative to the file: only where the artist wrote `//`."""
    return str(settings.bake_dir or "//matte").startswith("//")


def file_name() -> str:
    """Return the path of the file; while it is not saved, a name that no other file has."""
    return str(bpy.data.filepath) or unsaved[0]


unsaved = [f"unsaved-{uuid.uuid4().hex[:8]}"]


def make_faces() -> None:
    """Make the properties of all knobs that are known; the values stay where they are."""
    declared = known()
    text = declared.text()
    if _faces and _made_of[0] == text:
        return
    drop_faces()
    made = {name: _face(owner, knob) for name, owner, knob in knobs.every(declared)}
    face = type("MatteKnobs", (bpy.types.PropertyGroup,), {"__annotations__": made})
    bpy.utils.register_class(face)
    bpy.types.NodeTree.matte_knobs = bpy.props.PointerProperty(type=face)
    _faces.append(face)
    _made_of[0] = text


def drop_faces() -> None:
    """Take the properties of knobs out again."""
    if _faces:
        del bpy.types.NodeTree.matte_knobs
        bpy.utils.unregister_class(_faces.pop())


def _face(owner, knob):
    kind, told = knobs.face(knob)
    choices = list(knob["choices"])

    def read(self):
        found = knobs.value(knobs.read(self.id_data.matte_nodes.values), owner, knob)
        return choices.index(found) if kind == "enum" else found

    def write(self, new):
        if kind == "enum":
            new = choices[new]
        kept = self.id_data.matte_nodes
        kept.values = knobs.with_value(kept.values, owner, knob, new)

    make = getattr(bpy.props, kind.capitalize() + "Property")
    return make(**told, get=read, set=write)


def register() -> None:
    """Put the settings onto every node tree."""
    bpy.utils.register_class(MatteSettings)
    bpy.types.NodeTree.matte_nodes = bpy.props.PointerProperty(type=MatteSettings)


def unregister() -> None:
    """Take them off again; what files keep stays in the files."""
    drop_faces()
    del bpy.types.NodeTree.matte_nodes
    bpy.utils.unregister_class(MatteSettings)
