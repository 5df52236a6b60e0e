# SPDX-License-Identifier: Apache-2.0
"""ColorConfig: an OpenColorIO config, read through OpenImageIO. It never guesses silently."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from matte_nodes.color import ocio
from matte_nodes.errors import ColorError
from matte_nodes.reads import hash_of

DEFAULT = "ocio://default"
STUDIO = "ocio://studio-config-latest"

# One colour space under the names that hosts and configs give it. A name that a config does not
# know is looked up through its row; the first name of a row is the one this library uses.
_SAME_SPACE: tuple[tuple[str, ...], ...] = (
    (
        "srgb_tx",
        "srgb_rec709_scene",
        "srgb_texture",
        "sRGB - Texture",
        "Utility - sRGB - Texture",
        "sRGB Encoded Rec.709 (sRGB)",
        "sRGB",
    ),
    (
        "lin_rec709",
        "lin_rec709_scene",
        "lin_rec709_srgb",
        "lin_srgb",
        "Linear Rec.709 (sRGB)",
        "Linear Rec.709",
        "Utility - Linear - Rec.709",
        "Utility - Linear - sRGB",
    ),
    (
        "camera_rec709",
        "rec709_camera",
        "Camera Rec.709",
        "Utility - Rec.709 - Camera",
        "itu709_rec709_scene",
        "rec709",
        "bt709",
    ),
    ("ACEScg", "lin_ap1", "lin_ap1_scene", "ACES - ACEScg"),
    ("ACES2065-1", "lin_ap0", "lin_ap0_scene", "ACES - ACES2065-1"),
    ("lin_rec2020", "lin_rec2020_scene", "Linear Rec.2020", "Utility - Linear - Rec.2020"),
    ("g22_rec709", "g22_rec709_scene", "Gamma 2.2 Encoded Rec.709"),
    ("g24_rec709", "g24_rec709_scene", "Gamma 2.4 Encoded Rec.709"),
    (
        "arri_logc3_ei800",
        "ARRI LogC3 (EI800)",
        "logc3ei800_alexawide",
        "Input - ARRI - V3 LogC (EI800) - Wide Gamut",
        "AlexaV3LogC",
        "ARRI LogC3",
        "LogC3",
    ),
    ("arri_logc4", "ARRI LogC4", "LogC4"),
)


def plain(name: str) -> str:
    """Return a name without case, spaces, dots and the word "linear", which people write in
    different ways.
    """
    return re.sub(r"[^a-z0-9]", "", name.casefold().replace("linear", "lin"))


_ROW_OF = {plain(name): row for row in _SAME_SPACE for name in row}


@lru_cache(maxsize=8)
def _opened(path: str, cache_id: str) -> Any:
    """Return the parsed config. It is parsed again only when its file or its variables change."""
    import OpenImageIO

    # OpenImageIO answers a config it cannot read with a built-in one and an error text.
    config = OpenImageIO.ColorConfig(path)
    if problem := config.geterror():
        raise ColorError(f"OCIO config {path} cannot be read: {problem}")
    return config


class ColorConfig:
    """An OCIO config: its colour spaces, under every name that people use for them.

    path: a config file, an archive, or an "ocio://" name of a built-in config. None means $OCIO, or
    the built-in default. The built-in default has no camera logs and no BT.709 camera curve;
    `holding` finds those in the built-in studio config. variables: what the config's variables
    (SHOT) and OCIO's own (OCIO_ACTIVE_VIEWS) are; None takes them from this process's environment.

    A config is as its files are when the object is made. Raises ColorError when it cannot be read.
    """

    def __init__(self, path: str | None = None, variables: Mapping[str, str] | None = None) -> None:
        self.path = path or os.environ.get("OCIO", "") or DEFAULT
        if not self.path.startswith(ocio.BUILT_IN) and not Path(self.path).is_file():
            where = "--ocio" if path else "$OCIO"
            raise ColorError(
                f"OCIO config not found: {self.path} (from {where}). Name an existing config, or "
                f"leave it out to use the built-in one."
            )
        if not self.path.startswith(ocio.BUILT_IN):
            self.path = os.path.abspath(self.path)
        # OCIO takes no notice of variables that are none of the config's.
        self.variables = ocio.asked(self.path, os.environ if variables is None else variables)
        self._config: Any = _opened(self.path, self.cache_id)
        self.engine: ocio.Engine | None = None
        """OCIO itself; None for a built-in config that follows no variable."""
        if self.variables or not self.path.startswith(ocio.BUILT_IN):
            self.engine = ocio.engine_for(self.path, self.variables)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The canonical names of the config's colour spaces, in its order."""
        return tuple(self._config.getColorSpaceNames())

    @cached_property
    def cache_id(self) -> str:
        """A stable id for content keys: the built-in's name and version, or the file's sha256, and
        the variables of OCIO itself. What the config's own variables choose is in each `processor`.
        """
        own = [f"{k}={v}" for k, v in self.variables.items() if k in ocio.OWN_VARIABLES]
        if not self.path.startswith(ocio.BUILT_IN):
            return " ".join(["sha256:" + hash_of(self.path), ocio.engine_version(), *own])
        import OpenImageIO

        version = OpenImageIO.get_string_attribute("opencolorio_version")
        return " ".join([f"{self.path}@{version}", *own])

    def processor(self, source: str, target: str) -> str:
        """Return the id of a transform between two spaces: of all the numbers in it, those of its
        LUT files too. "" for a built-in config, whose `cache_id` says all.
        """
        return "" if self.engine is None else self.engine.convert(source, target).id

    def view_processors(self, space: str) -> str:
        """Return the ids of the transforms through the default view and back."""
        if self.engine is None:
            return ""
        ways = (False, True)
        return " ".join(self.engine.display(space, inverse=way).id for way in ways)

    @cached_property
    def _by_plain_name(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in self.names:
            for spelling in (name, *self._config.getAliases(name)):
                found.setdefault(plain(spelling), set()).add(name)
        return found

    def find(self, name: str) -> str | None:
        """Return the canonical name of a colour space in this config, or None."""
        if not name.strip():
            return None
        for candidate in (name, *_ROW_OF.get(plain(name), ())):
            # A canonical name, alias or role; case does not matter to OCIO.
            canonical = str(self._config.resolve(candidate))
            if canonical in self.names:
                # OpenImageIO answers "linear" with linear Rec.709, whatever the config calls
                # linear: only names that the config itself knows are taken from it.
                known = {canonical, *self._config.getAliases(canonical), *self._roles(canonical)}
                if plain(candidate) in {plain(spelling) for spelling in known}:
                    return canonical
            matches = self._by_plain_name.get(plain(candidate), set())
            if len(matches) == 1:
                return next(iter(matches))
        return None

    def _roles(self, canonical: str) -> list[str]:
        config = self._config
        roles = config.getRoles()
        return [role for role in roles if config.getColorSpaceNameByRole(role) == canonical]

    def resolve(self, name: str) -> str:
        """Return the canonical name of a space, given by its name, an alias or a role.

        Names that hosts use for spaces of every config are known too ("Linear Rec.709" of Blender,
        "rec709" of Nuke). Raises ColorError with the closest names for any other name.
        """
        if (found := self.find(name)) is not None:
            return found
        spellings = {s: n for n in self.names for s in (n, *self._config.getAliases(n))}
        by_plain = {plain(s): s for s in spellings}
        close = difflib.get_close_matches(plain(name), by_plain, n=5, cutoff=0.5)
        hint = ", ".join(dict.fromkeys(f'"{spellings[by_plain[c]]}"' for c in close))
        raise ColorError(
            f'Unknown colour space "{name}": the OCIO config {self.path} has none of that name.'
            + (f" Did you mean {hint}?" if hint else "")
            + " Give a name of this config, or name another config (--ocio or $OCIO)."
        )

    def holding(self, *names: str) -> ColorConfig:
        """Return this config if it has all the spaces, else the built-in studio config.

        Only a built-in config is replaced; a user's config is used alone. Raises ColorError for a
        name that neither has.
        """
        missing = [name for name in names if self.find(name) is None]
        built_in = self.path.startswith(ocio.BUILT_IN)
        config = ColorConfig(STUDIO, self.variables) if missing and built_in else self
        for name in missing:
            config.resolve(name)
        return config

    @cached_property
    def keywords(self) -> dict[str, str]:
        """Return the arguments that OpenImageIO needs for this config; none for the process's own.

        OpenImageIO parses a named config at every call (28 ms for the default, 80 ms for the studio
        config), but the process's own only once.
        """
        import OpenImageIO

        own = OpenImageIO.ColorConfig.default_colorconfig().configname()
        return {} if own == self.path else {"colorconfig": self.path}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColorConfig) and self._state == other._state

    def __hash__(self) -> int:
        return hash(self._state)

    @property
    def _state(self) -> tuple[str, str, int]:
        """Equal for configs that give equal pixels: an engine is made anew when a file changes."""
        return self.path, self.cache_id, id(self.engine)

    def kin(self, space: str) -> list[str]:
        """Return the config's linear spaces, those with probably the same primaries first.

        Chromaticities and words in names (camera_rec709, lin_rec709_scene) only set the order of
        the search.
        """
        chromaticities = self._config.get_chromaticities(space)
        words = self._words(space)

        def unlike(name: str) -> tuple[bool, int]:
            same = chromaticities is not None and chromaticities == (
                self._config.get_chromaticities(name)
            )
            return not same, -len(words & self._words(name))

        linear = [name for name in self.names if self.says_linear(name)]
        # The display-referred XYZ of ACES configs is linear, but no scene.
        scene = [name for name in linear if "display" not in name.lower()]
        return sorted(scene, key=unlike)

    def _words(self, space: str) -> set[str]:
        spellings = (space, *self._config.getAliases(space))
        words = {word for s in spellings for word in re.split(r"[^a-z0-9.]+", s.lower())}
        return words - {"", "lin", "linear", "scene", "display", "tx", "texture", "encoded", "ocio"}

    def role(self, role: str) -> str | None:
        """Return the space of a role ("scene_linear"), or None."""
        name = self._config.getColorSpaceNameByRole(role)
        return str(name) if name else None

    def is_data(self, name: str) -> bool:
        """Whether the space holds numbers that are not colours ("Raw")."""
        return bool(self._config.isData(name))

    def says_linear(self, name: str) -> bool:
        """Whether the config calls the space linear. Transforms are probed nevertheless."""
        return bool(self._config.isColorSpaceLinear(name)) and not self.is_data(name)

    def default_view(self) -> tuple[str, str]:
        """Return the config's own display and view (built-in configs: sRGB and ACES 2.0 SDR)."""
        if self.engine is not None:
            return self.engine.default_view()
        display = str(self._config.getDefaultDisplayName())
        return display, str(self._config.getDefaultViewName(display))
