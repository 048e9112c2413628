# SPDX-License-Identifier: GPL-2.0
"""Configures and builds a kernel, and installs its modules into the cache."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import kconfig
from .base import Cache, LabError, file_name, key, say
from .run import jobs, locked, logged, output, remember_steps, steps_of_build
from .sources import KernelSource
from .tools import build_environment, toolchain

#: Written into a build folder when everything in it is complete.
_STAMP = ".lab-complete"


@dataclass(frozen=True)
class Kernel:
    """A kernel that was built, ready to be booted and to build modules against."""

    source: Path
    build: Path
    flavour: str
    release: str
    #: ``lib/modules/<release>`` of the stock modules.
    modules: Path

    @property
    def image(self) -> Path:
        """The bootable image."""
        return self.build / "arch/x86/boot/bzImage"

    @property
    def key(self) -> str:
        """Name that tells this kernel from all others in the cache."""
        return self.build.name


def make_command(source: Path, build: Path, *arguments: str) -> list[str]:
    """A make that works in the kernel tree `source` with output in `build`."""
    return ["make", "-C", str(source), f"O={build}", "LLVM=1", f"-j{jobs()}", *arguments]


def ensure(cache: Cache, source: KernelSource, rust_library: Path, flavour: str) -> Kernel:
    """The kernel of `flavour`, built unless the cache has it."""
    wanted = kconfig.fragments(flavour)
    settings = kconfig.settings(wanted)
    # Neither comments nor the order of the fragments change what is built.
    said = "\n".join(f"{symbol}={value}" for symbol, value in sorted(settings.items()))
    name = f"{flavour}-{key(source.identity, said, str(rust_library), *toolchain())}"
    build = cache.root / "build" / name
    if not source.users and not build.exists():
        with locked(cache, "kernel-build"):
            _take_over(build, flavour, source, settings)
    # Under its first name: it is part of the keys of all that is built against it.
    build = build.resolve()
    installed = cache.root / "installed" / build.name
    stamp = build / _STAMP
    if source.users or not stamp.is_file():
        with locked(cache, "kernel-build"):
            if source.users or not stamp.is_file():
                build_tree(cache, source.path, rust_library, flavour, wanted, build, installed)
    release = stamp.read_text(encoding="utf-8").strip()
    return Kernel(source.path, build, flavour, release, installed / "lib/modules" / release)


def _take_over(build: Path, flavour: str, source: KernelSource, settings: dict[str, str]) -> None:
    """Makes `build` a link to a complete build of the same things under another name.

    The cache has such builds from before names were made from the settings alone.
    """
    if build.exists():
        return
    compilers = toolchain()
    for other in sorted(build.parent.glob(f"{flavour}-*")):
        try:
            asked = kconfig.parse((other / "lab.config").read_text(encoding="utf-8"))
            config = (other / ".config").read_text(encoding="utf-8")
            makefile = (other / "Makefile").read_text(encoding="utf-8")
        except OSError:
            continue
        same = asked == settings and f"{source.path}/Makefile" in makefile
        if same and (other / _STAMP).is_file() and all(f'"{text}"' in config for text in compilers):
            build.symlink_to(other.name)
            return


def build_tree(
    cache: Cache,
    source: Path,
    rust_library: Path,
    flavour: str,
    wanted: Sequence[Path],
    build: Path,
    installed: Path,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Builds `source` with the configuration `wanted` in the folder `build`, as far as stale.

    `wanted` has the fragments of `flavour`, perhaps with additions. The modules go to the
    folder `installed`. `on_line` sees every line of the compilation's output. Returns the release.
    """
    env = build_environment(cache)
    logs = cache.folder("log")
    build.mkdir(parents=True, exist_ok=True)
    counted = steps_of_build(cache, flavour, build, build / _STAMP)
    (build / _STAMP).unlink(missing_ok=True)
    if (source / ".config").exists() or (source / "include/config").exists():
        raise LabError(
            f"{source} was built in place, which a separate build folder cannot follow; "
            "run 'make mrproper' there (save your .config first) or take another tree"
        )
    if not (build / ".config").is_file() or _differs(build, wanted):
        _configure(logs, env, source, rust_library, wanted, build)
    say(
        f"building the kernel in {build} (from nothing: 5 to 12 minutes on two processors, "
        "40 if they are busy with other things)"
    )
    logged(
        f"kernel {build.name}",
        make_command(source, build, f"RUST_LIB_SRC={rust_library}", "bzImage", "modules"),
        logs / f"kernel-{build.name}.log",
        env,
        on_line=on_line,
        steps=counted,
    )
    remember_steps(cache, flavour, counted)
    shutil.rmtree(installed, ignore_errors=True)
    logged(
        "installing the stock modules",
        make_command(source, build, f"INSTALL_MOD_PATH={installed}", "modules_install"),
        logs / f"modules-install-{build.name}.log",
        env,
    )
    release = (build / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    # Links back to source and build folder: depmod and the guest need neither.
    for link in ("build", "source"):
        (installed / "lib/modules" / release / link).unlink(missing_ok=True)
    (build / _STAMP).write_text(release + "\n", encoding="utf-8")
    return release


def _differs(build: Path, wanted: Sequence[Path]) -> bool:
    config = (build / ".config").read_text(encoding="utf-8")
    return bool(kconfig.not_in_effect(kconfig.settings(wanted), config))


def _configure(
    logs: Path,
    env: dict[str, str],
    source: Path,
    rust_library: Path,
    wanted: Sequence[Path],
    build: Path,
) -> None:
    say(f"configuring {build.name}")
    copies = build / "lab-config"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    merged = [copies / f"{number}-{path.name}" for number, path in enumerate(wanted)]
    for copy, path in zip(merged, wanted, strict=True):
        copy.write_text(kconfig.text(path), encoding="utf-8")
    rust = f"RUST_LIB_SRC={rust_library}"
    # It calls make, which takes these from the environment.
    settings = {"LLVM": "1", "RUST_LIB_SRC": str(rust_library)}
    logged(
        "configuring the kernel",
        ["scripts/kconfig/merge_config.sh", "-n", "-O", str(build), *map(str, merged)],
        logs / f"configure-{file_name(build.name)}.log",
        {**env, **settings},
        cwd=source,
    )
    config = build / ".config"
    if wrong := kconfig.not_in_effect(kconfig.settings(wanted), config.read_text(encoding="utf-8")):
        config.unlink()
        reason = ""
        if any(line.startswith("CONFIG_RUST_INLINE_HELPERS:") for line in wrong):
            reason = (
                "\nRUST_INLINE_HELPERS needs a rustc and a clang of the same LLVM version; have:\n    "
                + "\n    ".join(toolchain())
            )
        if any(line.startswith("CONFIG_RUST:") for line in wrong):
            reason += "\nmake rustavailable says:\n" + _rust_available(env, source, build, rust)
        raise LabError(
            "these lines of lab/config and selftests/*/config did not take effect in this "
            "kernel:\n    "
            + "\n    ".join(wrong)
            + reason
        )


def _rust_available(env: dict[str, str], source: Path, build: Path, rust: str) -> str:
    done = subprocess.run(
        make_command(source, build, rust, "rustavailable"),
        env=env, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout.strip()


def module_depends(module: Path) -> list[str]:
    """The kernel's names of the modules that `module` needs, from its own modinfo section."""
    # It has those of the files, which may have dashes.
    names = output(["modinfo", "-F", "depends", str(module)]).replace("-", "_").split(",")
    return [name for name in names if name]
