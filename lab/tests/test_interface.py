# SPDX-License-Identifier: GPL-2.0
"""Files of the module and their ABI entries: what is read of each, and what differs."""

import unittest

from lablib import interface
from lablib.errors import LabError

ATTRIBUTES = """
pub(crate) fn attrib() -> Result<AttributeTable> {
    AttributeTable::passthrough()?
        .with::<Tcmu, DevSize>()?
        .with::<Tcmu, RingMb>()
}

pub(crate) fn action() -> Result<AttributeTable> {
    AttributeTable::new()?.with::<Tcmu, ResetRing>()
}

#[vtable]
impl Attribute<Tcmu> for DevSize {
    const NAME: &'static CStr = c"dev_size";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
    }
}

size_attribute! {
    /// The ring.
    RingMb, c"ring_mb", ring_mb
}

#[vtable]
impl Attribute<Tcmu> for ResetRing {
    const NAME: &'static CStr = c"reset_ring";
    const GROUP: Group = Group::Action;

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
    }
}
"""

OPTIONS = """
fn parse(option: &[u8]) -> Result<ControlOption<'_>, Invalid> {
    Ok(match name {
        b"dev_config" if value.is_empty() => {
            return Err(Invalid::Value);
        }
        b"dev_config" => ControlOption::DevConfig(value),
        b"dev_size" => ControlOption::DevSize(unsigned(value, u64::MAX)?),
        _ => ControlOption::Unknown(option),
    })
}
"""

PARAMETERS = """
impl Parameter for BlockNetlink {
    const MODE: u16 = 0o644;
}
impl Parameter for ResetNetlink {
    const MODE: u16 = 0o200;
}
module_parameter!(
    "target_core_user",
    "block_netlink",
    BlockNetlink,
    "Block it."
);
module_parameter!(
    "target_core_user",
    "reset_netlink",
    ResetNetlink,
    "Reset it."
);
"""

CORE = """
CONFIGFS_ATTR_RO(, hw_block_size);
CONFIGFS_ATTR(, pgr_support);
CONFIGFS_ATTR(, emulate_tpu);
struct configfs_attribute *passthrough_attrib_attrs[] = {
	&attr_hw_block_size,
	NULL,
};
struct configfs_attribute *passthrough_pr_attrib_attrs[] = {
	&attr_pgr_support,
	NULL,
};
CONFIGFS_ATTR_RO(target_dev_, info);
CONFIGFS_ATTR_WO(target_dev_, control);
CONFIGFS_ATTR(target_dev_, enable);
"""


def entry(what: str, mode: str, *lines: str) -> str:
    """An entry as in Documentation/ABI."""
    text = f"What:\t\t{what}\nDate:\t\tMay 2026\nDescription:\n\t\t({mode}) Text.\n"
    return text + "".join(f"\t\t{line}\n" for line in lines)


DEVICE = "/sys/kernel/config/target/core/user_<hba>/<device>"
PARAMETER = "/sys/module/target_core_user/parameters"


class SourceTest(unittest.TestCase):
    """What is found in the sources."""

    def test_attributes(self) -> None:
        wanted = {"attrib/dev_size": "RW", "attrib/ring_mb": "RO", "action/reset_ring": "WO"}
        self.assertEqual(interface.attributes(ATTRIBUTES), wanted)

    def test_attribute_that_is_not_registered(self) -> None:
        text = ATTRIBUTES.replace("        .with::<Tcmu, DevSize>()?\n", "")
        self.assertNotIn("attrib/dev_size", interface.attributes(text))

    def test_attribute_in_another_form(self) -> None:
        text = ATTRIBUTES.replace("impl Attribute<Tcmu> for DevSize", "attribute! DevSize")
        with self.assertRaisesRegex(LabError, "DevSize"):
            interface.attributes(text)

    def test_options(self) -> None:
        wanted = {"control/dev_config": "", "control/dev_size": ""}
        self.assertEqual(interface.options(OPTIONS), wanted)

    def test_parameters(self) -> None:
        wanted = {"parameters/block_netlink": "RW", "parameters/reset_netlink": "WO"}
        self.assertEqual(interface.parameters(PARAMETERS), wanted)

    def test_core(self) -> None:
        wanted = {
            "attrib/hw_block_size": "RO", "attrib/pgr_support": "RW",
            "control": "WO", "enable": "RW", "info": "RO",
        }  # fmt: skip
        self.assertEqual(interface.core(CORE), wanted)

    def test_sources_that_are_not_understood(self) -> None:
        for read in (interface.attributes, interface.options, interface.parameters, interface.core):
            with self.subTest(read=read.__name__), self.assertRaisesRegex(LabError, "no longer"):
                read("something else\n")


class DocumentTest(unittest.TestCase):
    """What is found in Documentation/ABI."""

    def test_entries(self) -> None:
        text = entry(
            f"{DEVICE}/control", "WO", "", "dev_size=<bytes>", "\tOf no a=<b>."
        )
        text += entry(f"{DEVICE}/attrib/dev_size", "RW") + entry(f"{PARAMETER}/reset_netlink", "WO")
        wanted = {
            "control": "WO", "control/dev_size": "", "attrib/dev_size": "RW",
            "parameters/reset_netlink": "WO",
        }  # fmt: skip
        self.assertEqual(interface.documented(text), wanted)

    def test_malformed(self) -> None:
        good = entry(f"{DEVICE}/enable", "RW")
        for bad, message in (
            (entry("/sys/other/file", "RW"), "not in one of the folders"),
            (good.replace("(RW) ", ""), "does not begin"),
            (good + good, "twice"),
        ):
            with self.subTest(message=message), self.assertRaisesRegex(LabError, message):
                interface.documented(bad)


class DifferencesTest(unittest.TestCase):
    """Each kind of difference is seen, and no other."""

    files = {"attrib/a": "RW", "control/b": "", "parameters/c": "WO"}
    page = "``a`` ``b`` ``c``"

    def test_equal(self) -> None:
        self.assertEqual(interface.differences(self.files, dict(self.files), self.page), [])

    def test_missing_entry(self) -> None:
        for name in self.files:
            document = {other: mode for other, mode in self.files.items() if other != name}
            wrong = interface.differences(self.files, document, self.page)
            self.assertEqual(wrong, [f"{name}: has no entry in Documentation/ABI"])

    def test_entry_without_a_file(self) -> None:
        wrong = interface.differences(self.files, {**self.files, "attrib/d": "RW"}, self.page)
        self.assertEqual(wrong, ["attrib/d: documented, but not in the sources"])

    def test_other_mode(self) -> None:
        wrong = interface.differences(self.files, {**self.files, "attrib/a": "RO"}, self.page)
        self.assertEqual(wrong, ["attrib/a: is RW, documented as RO"])

    def test_file_that_is_not_in_the_page(self) -> None:
        wrong = interface.differences(self.files, self.files, "``a`` b ``c``")
        self.assertEqual(wrong, ["control/b: is not in Documentation/target/tcmu-configfs.rst"])


if __name__ == "__main__":
    unittest.main()
