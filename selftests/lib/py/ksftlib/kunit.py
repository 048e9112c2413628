# SPDX-License-Identifier: GPL-2.0
"""KUnit suites of a module of this project, which run when it is loaded."""

import re
from collections.abc import Callable

from .impl import Suite, loaded
from .kmsg import KernelLog
from .ktap import Context, Skip, diag, equal
from .module import TestModule, modprobe


class KunitModule:
    """A module with suites: they run once, for the first test that asks for their results."""

    def __init__(self, crate: str, module: str, symbol: str, limit: float = 60.0) -> None:
        """`symbol` of Kconfig builds `module`, whose suites take at most `limit` seconds.

        `crate` is that of the mechanism, for which C has no suites.
        """
        self._suite = Suite(crate)
        self._crate = crate
        self._module = TestModule(module, symbol)
        self._limit = limit
        #: Result lines of a suite's tests by the suite's name, of those that ended.
        self._results: dict[str, list[str]] = {}

    def test(self, what: str, name: str, count: int) -> None:
        """Registers a test that the `count` tests of the suite `name` passed."""
        check: Callable[[Context], None] = lambda _context: self._check(name, count)
        self._suite.test(what, limit=self._limit + 10)(check)

    def run(self) -> None:
        """Runs the program."""
        self._suite.run()

    def _check(self, name: str, count: int) -> None:
        if not self._results:
            self._load(self._suite.shared)
        tests = self._results.get(name, [])
        equal(len(tests), count, f"tests of {name} that ended")
        equal([line for line in tests if not line.startswith("ok ")], [], f"failures of {name}")

    def _load(self, context: Context) -> None:
        if loaded(self._crate) == "c":
            raise Skip("the C module has no KUnit tests")
        if modprobe("kunit", "enable=1", "autorun=1").returncode:
            raise Skip("the kernel has no KUnit")
        log = KernelLog(context)
        self._module.insert(self._limit)
        context.defer(self._module.remove)
        tests: list[str] = []
        for line in log.lines():
            if line.startswith("    ") and re.match(r"(not )?ok \d+ ", line.strip()):
                tests.append(line.strip())
            elif found := re.match(r"(?:not )?ok \d+ (\w+)$", line):
                self._results[found[1]] = tests
                tests = []
            elif re.search(rf"EXPECT|ASSERT|Expected|{self._module.name}", line):
                diag(line)
