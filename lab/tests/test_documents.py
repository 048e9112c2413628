# SPDX-License-Identifier: GPL-2.0
"""Whether the checks of the documentation see what is wrong."""

import contextlib
import io
import unittest
from pathlib import Path
from unittest import mock

from lablib import documents
from lablib.base import CHECKOUT, Cache, LabError
from lablib.report import Report

HEADER = """
enum tcmu_genl_cmd {
	TCMU_CMD_UNSPEC,
	TCMU_CMD_ADDED_DEVICE,
	__TCMU_CMD_MAX,
};
enum tcmu_genl_attr {
	TCMU_ATTR_UNSPEC,
	TCMU_ATTR_DEV_CFG,
	__TCMU_ATTR_MAX,
};
"""

ATTRIBUTES = {"tcmu-attr-unspec": 0, "tcmu-attr-dev-cfg": 1}


def spec(commands: dict[str, int], attributes: dict[str, int]) -> dict[str, object]:
    """What is read of a specification."""
    enums = {"tcmu_genl_cmd": commands, "tcmu_genl_attr": attributes}
    return {"header": "linux/a.h", "enums": enums}


SPEC = spec({"tcmu-cmd-added-device": 1}, ATTRIBUTES)


class SpecTest(unittest.TestCase):
    """A netlink specification against the uapi header."""

    def test_equal(self) -> None:
        self.assertEqual(documents.spec_differences(SPEC, HEADER), [])

    def test_differences(self) -> None:
        wrong = spec({}, {**ATTRIBUTES, "tcmu-attr-dev-cfg": 2})
        wanted = [
            "TCMU_CMD_ADDED_DEVICE: 1 in the header, None here",
            "TCMU_ATTR_DEV_CFG: 1 in the header, 2 here",
        ]
        self.assertEqual(documents.spec_differences(wrong, HEADER), wanted)

    def test_name_that_the_header_does_not_have(self) -> None:
        more = spec({"tcmu-cmd-added-device": 1, "tcmu-cmd-x": 2}, ATTRIBUTES)
        wanted = ["TCMU_CMD_X: None in the header, 2 here"]
        self.assertEqual(documents.spec_differences(more, HEADER), wanted)

    def test_header_that_is_not_understood(self) -> None:
        with self.assertRaisesRegex(LabError, "tcmu_genl_cmd"):
            documents.spec_differences(SPEC, "")


class StepsTest(unittest.TestCase):
    """What the tools say reaches the report."""

    def check(self, answers: dict[str, object]) -> Report:
        """The report when the tools answer so; an exception is raised instead."""

        def run(command: list[str]) -> str:
            answer = answers.get(command[-1], "")
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        def lint(_python: Path, kind: str, *arguments: str) -> object:
            if kind == "spec":
                return SPEC
            return {path: answers.get(path, []) for path in arguments}

        report = Report()
        with (
            mock.patch.object(documents, "_run", run),
            mock.patch.object(documents, "_lint", lint),
            mock.patch.object(documents.tools, "docs", lambda cache: Path("python")),
            mock.patch.object(documents, "spec_differences", lambda *_: []),
            mock.patch.object(Path, "read_text", lambda *_, **__: HEADER),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            documents.check(report, Cache(Path("cache")), Path("kernel"), [CHECKOUT / "a.rst"])
        return report

    def test_all_good(self) -> None:
        report = self.check({})
        self.assertEqual((report.passed, report.failures), (4, []))

    def test_warning_of_docutils(self) -> None:
        self.assertEqual(self.check({"a.rst": ["a.rst:1: bad"]}).failures, ["docutils a.rst"])

    def test_get_abi_that_complains(self) -> None:
        report = self.check({"validate": LabError("[WARNING] x is defined 2 times")})
        self.assertEqual(report.failures, ["get_abi.py validate"])

    def test_tool_that_cannot_run(self) -> None:
        self.assertEqual(self.check({"rest": LabError("no get_abi.py")}).failures, ["docutils"])


if __name__ == "__main__":
    unittest.main()
