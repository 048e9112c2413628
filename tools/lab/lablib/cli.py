# SPDX-License-Identifier: GPL-2.0
"""The command line: one sub-command for each thing the top-level Makefile offers."""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from . import (
    check, files, fuzz, hazards, hostcheck, intreecheck, iscsitest, kills, leak, project,
    soak, vm,
)  # fmt: skip
from .env import Lab, implementation_from_environment
from .errors import LabError
from .kconfig import FLAVOURS
from .paths import CHECKOUT, Cache
from .run import clean_environment, output
from .say import say

#: Seconds for the demonstration, and for the clients' session. They need about one minute under
#: emulation, and have limits of their own; this one is for a guest that hangs.
_DEMO_TIMEOUT = 4000.0


def _env(_arguments: argparse.Namespace) -> int:
    for name, value in Lab.from_environment().variables().items():
        print(f"{name}={value}")
    return 0


def _kernel(_arguments: argparse.Namespace) -> int:
    print(Lab.from_environment().kernel().image)
    return 0


def _modules(_arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    print(project.ensure(lab.cache, lab.kernel()))
    return 0


def _guest(lab: Lab, implementation: str) -> vm.Guest:
    kernel = lab.kernel()
    rust_modules = project.ensure(lab.cache, kernel) if implementation == "rust" else None
    return vm.Guest(kernel, implementation, rust_modules)


def _vm(arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    if arguments.flavour:
        lab.flavour = arguments.flavour
    guest = _guest(lab, arguments.impl or implementation_from_environment())
    if arguments.script is None:
        return _shell(lab, guest)
    script = Path(arguments.script).resolve()
    if not os.access(script, os.X_OK):
        raise LabError(f"'{script}' is not executable; give a script with --script")
    command = [str(script), *arguments.arguments]
    result = vm.run(
        lab.cache, guest, command, arguments.timeout, directory=Path.cwd(), live=True
    )
    if not result.ok:
        vm.explain(result)
    say(f"results are in {result.folder}")
    # 124 for a time-out as timeout(1) has it; 125 when the guest, not the script, failed.
    if result.timed_out:
        return 124
    return 125 if result.status is None or not (result.ok or result.status) else result.status


def _shell(lab: Lab, guest: vm.Guest) -> int:
    command = vm.vng_command(lab.cache, guest.kernel, vm.kvm_works(lab.cache, guest.kernel))
    command.remove("--verbose")
    setup = lab.cache.folder("interactive") / "env"
    setup.write_text(
        f"export IMPL={guest.implementation} MODULES={guest.kernel.modules} "
        f"RUST_MODULES={guest.rust_modules or ''}\n. {CHECKOUT}/tools/lab/guest-init.sh\n",
        encoding="utf-8",
    )
    say(f"a shell in the guest; load the modules there with:  . {setup}")
    say("leave it with 'exit' or Ctrl-D")
    os.execv(command[0], command)


def _check(arguments: argparse.Namespace) -> int:
    return check.main(
        Lab.from_environment(),
        implementation_from_environment(),
        arguments.steps,
        arguments.tests,
    )


def _demo(_arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    guest = _guest(lab, implementation_from_environment())
    hostcheck.build_tools()
    script = CHECKOUT / "tools" / "demo" / "demo.sh"
    result = vm.run(lab.cache, guest, [str(script)], _DEMO_TIMEOUT, live=True)
    if not result.ok:
        vm.explain(result)
    say(f"results are in {result.folder}")
    return 0 if result.ok else 1


def _clients(_arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    script = CHECKOUT / "tools" / "clients" / "clients.py"
    failed = 0
    # Both, to compare them, unless told otherwise.
    chosen = [implementation_from_environment()] if os.environ.get("IMPL") else ["rust", "c"]
    for implementation in chosen:
        guest = _guest(lab, implementation)
        result = vm.run(lab.cache, guest, [str(script)], _DEMO_TIMEOUT, live=True)
        if not result.ok:
            vm.explain(result)
            failed += 1
        say(f"{implementation} modules: results are in {result.folder}")
    return 1 if failed else 0


def _in_tree_check(arguments: argparse.Namespace) -> int:
    return intreecheck.main(Lab.from_environment(), arguments.form)


def _leak(arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    guest = _guest(lab, implementation_from_environment())
    return leak.leak(lab, guest, arguments.cycles, arguments.reloads)


def _fuzz(arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    # The detectors of the debug kernel are half of it.
    if not os.environ.get("FLAVOUR"):
        lab.flavour = "debug"
    guest = _guest(lab, implementation_from_environment())
    return fuzz.fuzz(
        lab, guest, arguments.count, arguments.seed, arguments.seconds, arguments.fabric,
        arguments.options,
    )


def _memory(_arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    return leak.per_command(lab, [_guest(lab, name) for name in ("rust", "c")])


def _soak(arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    guest = _guest(lab, implementation_from_environment())
    return soak.soak(lab, guest, arguments.seconds, arguments.seed)


def _kills(arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    guest = _guest(lab, implementation_from_environment())
    return kills.kills(lab, guest, arguments.count, arguments.seed)


def _c_hazards(arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    return hazards.hazards(lab, _guest(lab, "c"), arguments.tests)


def _iscsi_test(_arguments: argparse.Namespace) -> int:
    implementations = iscsitest.IMPLEMENTATIONS
    if os.environ.get("IMPL"):
        implementations = (implementation_from_environment(),)
    return iscsitest.main(Lab.from_environment(), implementations)


def _fmt(_arguments: argparse.Namespace) -> int:
    kernel = Lab.from_environment().kernel()
    listed = files.project_files()
    config = str(kernel.source / ".rustfmt.toml")
    env = clean_environment()
    for path in files.kernel_rust(listed):
        output(["rustfmt", "--config-path", config, "--edition", "2021", str(path)], env)
    for folder in files.cargo_workspaces(listed):
        output(["cargo", "fmt", "--all", "--manifest-path", str(folder / "Cargo.toml")], env)
    return 0


def _clean(_arguments: argparse.Namespace) -> int:
    cache = Cache.from_environment()
    for folder in project.folders_of_checkout(cache):
        say(f"removing {folder}")
        shutil.rmtree(folder)
    return 0


def _distclean(_arguments: argparse.Namespace) -> int:
    cache = Cache.from_environment()
    say(f"removing {cache.root}")
    if cache.root.is_symlink():
        raise LabError(f"{cache.root} is a symbolic link; remove it yourself")
    shutil.rmtree(cache.root, ignore_errors=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab", description="Tools, kernel and virtual machine for lio-rust."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        ("env", _env, "build what is missing and print its locations"),
        ("kernel", _kernel, "build the kernel"),
        ("modules", _modules, "build this project's modules"),
        ("demo", _demo, "show a command being aborted, in the virtual machine"),
        ("clients", _clients, "a session of targetcli and tcmu-runner, for either implementation"),
        ("memory", _memory, "measure the kernel memory of commands in flight, both implementations"),
        ("iscsi-test", _iscsi_test, "libiscsi's iscsi-test-cu, both implementations or IMPL's"),
        ("fmt", _fmt, "format all Rust files"),
        ("clean", _clean, "remove what was built from this checkout"),
        ("distclean", _distclean, "remove the whole cache: sources, kernels, tools"),
    ):
        commands.add_parser(name, help=text, description=text).set_defaults(run=function)
    forms = commands.add_parser("in-tree-check", help="build and boot the in-tree form")
    forms.add_argument("form", nargs="?", default="", help="only forms whose name begins so")
    forms.set_defaults(run=_in_tree_check)
    checks = commands.add_parser("check", help="run all checks, or some")
    checks.add_argument(
        "steps", nargs="*", metavar="STEP", choices=[*check.STEPS, []],
        help=f"run only these: {', '.join(check.STEPS)}",
    )  # fmt: skip
    checks.add_argument("--tests", default="*", metavar="PATTERN", help="only these kselftest programs")
    checks.set_defaults(run=_check)
    spared = commands.add_parser(
        "c-hazards", help="what the C modules do in the tests that they are spared"
    )
    spared.add_argument("--tests", default="*", metavar="PATTERN", help="only these, of all programs")
    spared.set_defaults(run=_c_hazards)
    leaks = commands.add_parser("leak", help="look for memory that devices and modules leave behind")
    leaks.add_argument("--cycles", type=int, default=0, help="devices made and removed")
    leaks.add_argument("--reloads", type=int, default=0, help="times the modules are loaded")
    leaks.set_defaults(run=_leak)
    soaks = commands.add_parser("soak", help="count the ends of random commands and task management")
    soaks.add_argument("--seconds", type=float, default=600.0, help="time to send (default: 600)")
    soaks.add_argument("--seed", type=int, help="repeats the choices of another run")
    soaks.set_defaults(run=_soak)
    fuzzing = commands.add_parser("fuzz", help="attack the kernel with a hostile daemon")
    fuzzing.add_argument("--count", type=int, default=1_000_000, help="mutated completions")
    fuzzing.add_argument("--seed", type=int, default=1, help="decides all choices")
    fuzzing.add_argument("--seconds", type=int, default=14400, help="end after so many at the latest")
    fuzzing.add_argument(
        "--fabric", choices=fuzz.FABRICS, default=fuzz.FABRICS[0],
        help="commands are given up by iSCSI initiators (default), by the kernel's SCSI layer on "
        "loopback ports, or by both",
    )  # fmt: skip
    fuzzing.add_argument("options", nargs="*", help="more options of 'tcmu-fuzz run', after --")
    fuzzing.set_defaults(run=_fuzz)
    killing = commands.add_parser("kills", help="kill daemons under verified input and output")
    killing.add_argument("--count", type=int, default=500, help="daemons killed (default: 500)")
    killing.add_argument("--seed", type=int, default=1, help="decides when, and how another takes over")
    killing.set_defaults(run=_kills)
    machine = commands.add_parser("vm", help="run a script, or a shell, in the virtual machine")
    machine.add_argument("--script", help="executable to run in the guest (default: a shell)")
    machine.add_argument("--flavour", choices=list(FLAVOURS), help="which kernel (default: FLAVOUR)")
    machine.add_argument("--impl", choices=("rust", "c", "none"), help="modules to load (default: IMPL)")
    machine.add_argument(
        "--timeout", type=float, default=300.0, metavar="S",
        help="seconds for the script, without booting (default: 300)",
    )  # fmt: skip
    machine.add_argument("arguments", nargs="*", help="arguments of the script")
    machine.set_defaults(run=_vm)
    return parser


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    vm.stop_all()
    raise KeyboardInterrupt


def main(argv: list[str]) -> int:
    """Runs one sub-command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        return int(arguments.run(arguments))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
