# SPDX-License-Identifier: Apache-2.0
"""Our own texts as an XMP packet (ISO 16684-1), for WebP, which has no other place for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path

_SPACE = "https://matte-nodes.invalid/xmp/1.0/"
_LONGEST = 1 << 20


def packet(facts: Mapping[str, str]) -> bytes:
    """A packet that holds texts by name (`matte/...`)."""
    lines = "".join(
        f'\n   matte:{name.split("/", 1)[1]}="{escape(text, quote=True)}"'
        for name, text in facts.items() if re.fullmatch(r"matte/[A-Za-z_][\w.-]*", name)
    )  # fmt: skip
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f'  <rdf:Description rdf:about="" xmlns:matte="{_SPACE}"{lines}/>\n'
        " </rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="r"?>'
    ).encode()


def facts_of_webp(path: Path) -> dict[str, str]:
    """Our own texts of a WebP file by name; empty when it has none."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WEBP":
                return {}
            while head := file.read(8):
                size = int.from_bytes(head[4:], "little")
                if head[:4] == b"XMP ":
                    return _facts(file.read(min(size, _LONGEST)))
                file.seek(size + size % 2, 1)
    except OSError:
        pass
    return {}


def _facts(data: bytes) -> dict[str, str]:
    text = data.decode("utf-8", "replace")
    pairs = re.findall(r'\bmatte:([\w.-]+)="([^"<]*)"', text)
    return {f"matte/{name}": unescape(value) for name, value in pairs}
