#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What docutils and the kernel's YNL library say of documents, as JSON.

Run by lablib/documents.py with an interpreter that has docutils, PyYAML and jsonschema:

    lint_docs.py rst FILE...             {FILE: [warning, ...], ...}
    lint_docs.py spec SPEC SCHEMA LIB    {"commands": {NAME: VALUE}, "attributes": {...}, ...}
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

#: docutils.utils.Reporter.WARNING_LEVEL
_WARNING = 2


def rst(paths: list[str]) -> dict[str, list[str]]:
    """Warnings and errors of docutils for each file."""
    from docutils import nodes
    from docutils.core import publish_doctree
    from docutils.parsers.rst import roles

    # Sphinx's role for references, which the kernel's get_abi.py writes.
    roles.register_generic_role("ref", nodes.emphasis)
    found = {}
    for path in paths:
        stream = io.StringIO()
        settings = {"report_level": _WARNING, "halt_level": 5, "warning_stream": stream}
        settings["syntax_highlight"] = "none"
        text = Path(path).read_text(encoding="utf-8")
        publish_doctree(text, source_path=path, settings_overrides=settings)
        found[path] = stream.getvalue().splitlines()
    return found


def spec(path: str, schema: str, library: str) -> dict[str, Any]:
    """Names and numbers in a netlink specification that follows its schema."""
    sys.path.insert(0, library)
    from pyynl.lib.nlspec import SpecFamily  # type: ignore[import-not-found]

    family = SpecFamily(path, schema)
    return {
        "name": family.yaml["name"],
        "version": family.yaml["version"],
        "groups": list(family.mcast_groups),
        "commands": {
            family.yaml["operations"]["name-prefix"] + name: message.req_value
            for name, message in family.msgs.items()
        },
        "attributes": {
            attributes.yaml["name-prefix"] + name: attribute.value
            for attributes in family.attr_sets.values()
            for name, attribute in attributes.attrs.items()
        },
    }


def main() -> None:
    """Does what the arguments say."""
    kind, *arguments = sys.argv[1:]
    result = rst(arguments) if kind == "rst" else spec(*arguments)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
