# SPDX-License-Identifier: GPL-2.0
"""Runs the unit tests of a folder: ``unit.py FOLDER TOP``. The result is JSON in the last line.

A program of its own, because tests replace what others use at the same time: the environment, or
the list of guests that run.
"""

import json
import sys
import unittest


class Count(unittest.TestResult):
    """Remembers each test that fails, and each sub-test."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: list[tuple[str, str]] = []

    def addFailure(self, test: unittest.TestCase, err) -> None:  # type: ignore[no-untyped-def]
        super().addFailure(test, err)
        self.failed.append((test.id(), self.failures[-1][1]))

    def addError(self, test: unittest.TestCase, err) -> None:  # type: ignore[no-untyped-def]
        super().addError(test, err)
        self.failed.append((test.id(), self.errors[-1][1]))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err) -> None:  # type: ignore[no-untyped-def]
        super().addSubTest(test, subtest, err)
        if err is not None:
            wrong = self.failures if issubclass(err[0], test.failureException) else self.errors
            self.failed.append((subtest.id(), wrong[-1][1]))


def main(folder: str, top: str) -> None:
    """Runs them, and prints how many there were and which failed."""
    result = Count()
    unittest.TestLoader().discover(folder, top_level_dir=top).run(result)
    wrong = {name.split(" ")[0] for name, _ in result.failed}
    passed = result.testsRun - len(wrong)
    print(json.dumps({"run": result.testsRun, "passed": passed, "failed": result.failed}))


if __name__ == "__main__":
    # As a program, not as a part of this package: its folder would hide modules of Python.
    sys.path.pop(0)
    main(*sys.argv[1:])
