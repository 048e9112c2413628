#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What docutils and the kernel's YNL library say of documents, as JSON.

Run by lablib/documents.py with an interpreter that has docutils, PyYAML and jsonschema:

    lint_docs.py rst FILE...             {FILE: [warning, ...], ...}
    lint_docs.py spec SPEC SCHEMAS LIB   {"header": FILE, "enums": {ENUM: {NAME: VALUE, ...}, ...}}
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


def spec(path: str, schemas: str, library: str) -> dict[str, Any]:
    """The enums of a netlink specification that follows the schema of its protocol, as the uapi
    header that it names has them."""
    import yaml

    sys.path.insert(0, library)
    from pyynl.lib.nlspec import SpecFamily  # type: ignore[import-not-found]

    with open(path, encoding="utf-8") as source:
        protocol = yaml.safe_load(source)["protocol"]
    family = SpecFamily(path, f"{schemas}/{protocol}.yaml")
    operations = family.yaml["operations"]
    enums = {
        operations["enum-name"]: {
            operations["name-prefix"] + name: message.req_value
            for name, message in family.msgs.items()
        }
    }
    for attributes in family.attr_sets.values():
        enums[attributes.yaml["enum-name"]] = {
            attributes.yaml["name-prefix"] + name: attribute.value
            for name, attribute in attributes.attrs.items()
        }
    return {
        "header": family.yaml["uapi-header"],
        "enums": {name.replace("-", "_"): values for name, values in enums.items()},
    }


def main() -> None:
    """Does what the arguments say."""
    kind, *arguments = sys.argv[1:]
    result = rst(arguments) if kind == "rst" else spec(*arguments)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
