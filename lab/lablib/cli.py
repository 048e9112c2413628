# SPDX-License-Identifier: GPL-2.0
"""The command line: one sub-command for each thing the top-level Makefile offers."""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from . import check, files, intreecheck, project, runs, subsystem, vm
from .base import LAB, Cache, LabError, say
from .env import Lab, implementation_from_environment
from .kconfig import FLAVOURS
from .run import clean_environment, output


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


def _vm(arguments: argparse.Namespace) -> int:
    lab = Lab.from_environment()
    if arguments.flavour:
        lab.flavour = arguments.flavour
    implementation = arguments.impl or implementation_from_environment()
    if arguments.script is None:
        return _shell(lab, runs.make_guest(lab, implementation))
    script = Path(arguments.script).resolve()
    guest = runs.make_guest(lab, implementation, subsystem.of(script))
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
    script = f"{vm.exports(guest.variables(lab.cache))}. {LAB}/guest-init.sh\n"
    setup.write_text(script, encoding="utf-8")
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


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.name:
        print(runs.listing())
        return 0
    lab = Lab.from_environment()
    return runs.main(lab, arguments.name, arguments.arguments, arguments.timeout)


def _in_tree_check(arguments: argparse.Namespace) -> int:
    return intreecheck.main(Lab.from_environment(), arguments.form)


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
    program = commands.add_parser(
        "run", help="run a program in the virtual machine that ends with a verdict",
        description="Runs a program beside the selftests in the virtual machine. Without a name it "
        "lists what there is. An option that is listed can also be given as a variable, "
        "NAME_OPTION= or OPTION=.",
    )  # fmt: skip
    program.add_argument("name", nargs="?", help="which; nothing lists them")
    program.add_argument("--timeout", type=float, metavar="S", help="seconds for each guest")
    program.add_argument("arguments", nargs="*", help="options of the program, after --")
    program.set_defaults(run=_run)
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
    # All behind the first "--" is for what is run, further ones included.
    end = argv.index("--") if "--" in argv else len(argv)
    arguments = _parser().parse_args(argv[:end])
    if argv[end + 1 :]:
        if not hasattr(arguments, "arguments"):
            print("lab: nothing takes the arguments after '--'", file=sys.stderr)
            return 2
        arguments.arguments += argv[end + 1 :]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        return int(arguments.run(arguments))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
