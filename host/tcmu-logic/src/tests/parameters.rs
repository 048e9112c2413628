// SPDX-License-Identifier: GPL-2.0

//! Options of the file `control` and the sizes of a device.

use crate::logic::parameters::{options, Clamped, ControlOption, Invalid, Sizes, CONFIG_LEN};
use proptest::prelude::*;

fn parse(text: &str) -> Vec<Result<ControlOption<'_>, Invalid>> {
    options(text.as_bytes()).map(|(_, option)| option).collect()
}

#[test]
fn every_option_is_read() {
    assert_eq!(
        parse(
            "dev_config=file//a b=c,dev_size=0x100000,hw_block_size=512\nhw_max_sectors=128,\
             nl_reply_supported=-1,max_data_area_mb=8,data_pages_per_blk=2,cmd_ring_size_mb=1\n"
        ),
        [
            Ok(ControlOption::DevConfig(b"file//a b=c")),
            Ok(ControlOption::DevSize(0x10_0000)),
            Ok(ControlOption::HwBlockSize(512)),
            Ok(ControlOption::HwMaxSectors(128)),
            Ok(ControlOption::NlReplySupported(-1)),
            Ok(ControlOption::MaxDataAreaMb(8)),
            Ok(ControlOption::DataPagesPerBlk(2)),
            Ok(ControlOption::CmdRingSizeMb(1)),
        ]
    );
    assert_eq!(parse(""), []);
    assert_eq!(parse(",\n,,"), []);
}

#[test]
fn options_are_named_as_they_stand() {
    let text = b"dev_size=5x,foo=1";
    let named: Vec<_> = options(text).collect();
    assert_eq!(
        named,
        [
            (&b"dev_size=5x"[..], Err(Invalid::Syntax)),
            (&b"foo=1"[..], Ok(ControlOption::Unknown(b"foo=1"))),
        ]
    );
    assert_eq!(parse("dev_size"), [Ok(ControlOption::Unknown(b"dev_size"))]);
    assert_eq!(parse("=1"), [Ok(ControlOption::Unknown(b"=1"))]);
}

#[test]
fn bad_values_are_refused() {
    for name in [
        "hw_block_size",
        "hw_max_sectors",
        "max_data_area_mb",
        "data_pages_per_blk",
        "cmd_ring_size_mb",
    ] {
        for (value, error) in [
            ("0", Invalid::Value),
            ("-1", Invalid::Value),
            ("2147483648", Invalid::Range),
            ("-2147483649", Invalid::Range),
            ("", Invalid::Syntax),
            ("1k", Invalid::Syntax),
            ("1 ", Invalid::Syntax),
        ] {
            assert_eq!(
                parse(&format!("{name}={value}")),
                [Err(error)],
                "{name}={value}"
            );
        }
        assert!(parse(&format!("{name}=2147483647"))[0].is_ok());
    }
    assert_eq!(parse("dev_size=-1"), [Err(Invalid::Syntax)]);
    assert_eq!(
        parse("dev_size=18446744073709551616"),
        [Err(Invalid::Range)]
    );
    assert_eq!(parse("nl_reply_supported=x"), [Err(Invalid::Syntax)]);
    assert_eq!(
        parse("nl_reply_supported=4294967296"),
        [Err(Invalid::Range)]
    );
}

#[test]
fn configuration_must_leave_room_for_nul() {
    let long = "a".repeat(CONFIG_LEN);
    assert_eq!(parse("dev_config="), [Err(Invalid::Value)]);
    assert_eq!(parse(&format!("dev_config={long}")), [Err(Invalid::Value)]);
    assert_eq!(
        parse(&format!("dev_config={}", &long[1..])),
        [Ok(ControlOption::DevConfig(&long.as_bytes()[1..]))]
    );
    assert_eq!(CONFIG_LEN, 256);
}

/// The pages that machines have: 4, 16 and 64 KiB.
const PAGE_SHIFTS: [u32; 3] = [12, 14, 16];

/// The sizes of a new device on a machine with pages of 4 KiB.
fn sizes() -> Sizes {
    Sizes::new(12)
}

#[test]
fn sizes_of_a_new_device() {
    let sizes = sizes();
    assert_eq!(sizes.ring_mb(), 8);
    assert_eq!(sizes.data_area_mb(), 1024);
    assert_eq!(sizes.pages_per_block(), 1);
    assert_eq!(sizes.data_offset(), 8 << 20);
    assert_eq!(sizes.region_size(), 1032 << 20);
    let config = sizes.config();
    assert_eq!(config.ring_size, (8 << 20) - 128);
    assert_eq!((config.blocks, config.block_size), (1024 << 8, 4096));
}

#[test]
fn sizes_with_larger_pages() {
    for (shift, per_mb) in [(12, 256), (14, 64), (16, 16)] {
        let mut sizes = Sizes::new(shift);
        let config = sizes.config();
        assert_eq!(
            (config.blocks, config.block_size),
            (1024 * per_mb, 1 << shift)
        );
        assert_eq!(sizes.region_size(), 1032 << 20);
        // A block is at most the data area, and its size fits 32 bits.
        assert_eq!(sizes.set_pages_per_block(1024 * per_mb), Ok(()));
        assert_eq!(
            (sizes.config().blocks, sizes.config().block_size),
            (1, 1 << 30)
        );
        assert_eq!(
            sizes.set_pages_per_block(1024 * per_mb + 1),
            Err(Invalid::Value)
        );
        assert_eq!(sizes.set_data_area_mb(4096, 4096), Ok(None));
        assert_eq!(sizes.set_pages_per_block(2048 * per_mb), Ok(()));
        assert_eq!(
            (sizes.config().blocks, sizes.config().block_size),
            (2, 1 << 31)
        );
        assert_eq!(
            sizes.set_pages_per_block(2048 * per_mb + 1),
            Err(Invalid::Value)
        );
        assert_eq!(sizes.set_data_area_mb(1, 4096), Err(Invalid::Value));
        assert_eq!(sizes.set_pages_per_block(per_mb), Ok(()));
        assert_eq!(sizes.set_data_area_mb(1, 4096), Ok(None));
        assert_eq!(sizes.config().blocks, 1);
    }
}

#[test]
fn large_sizes_are_clamped() {
    let mut sizes = sizes();
    assert_eq!(sizes.set_ring_mb(1), None);
    assert_eq!(sizes.ring_mb(), 1);
    assert_eq!(sizes.set_ring_mb(9), Some(Clamped(8)));
    assert_eq!(sizes.ring_mb(), 8);
    assert_eq!(sizes.set_data_area_mb(2048, 2048), Ok(None));
    assert_eq!(
        sizes.set_data_area_mb(u32::MAX, 2048),
        Ok(Some(Clamped(2048)))
    );
    assert_eq!(sizes.data_area_mb(), 2048);
    assert_eq!(sizes.region_size(), 2056 << 20);
}

#[test]
fn block_must_fit_data_area() {
    let mut sizes = sizes();
    assert_eq!(sizes.set_data_area_mb(1, 2048), Ok(None));
    assert_eq!(sizes.set_pages_per_block(256), Ok(()));
    assert_eq!(sizes.config().blocks, 1);
    assert_eq!(sizes.set_pages_per_block(257), Err(Invalid::Value));
    assert_eq!(sizes.set_data_area_mb(2, 2048), Ok(None));
    assert_eq!(sizes.set_pages_per_block(257), Ok(()));
    assert_eq!(sizes.set_data_area_mb(1, 2048), Err(Invalid::Value));
    assert_eq!((sizes.data_area_mb(), sizes.pages_per_block()), (2, 257));
    assert_eq!(
        sizes.config().blocks,
        1,
        "the rest of the area is too small"
    );
}

proptest! {
    #[test]
    fn sizes_always_fit(
        page_shift in prop::sample::select(&PAGE_SHIFTS[..]),
        steps in prop::collection::vec((0..3u32, 1..=i32::MAX as u32, 0..31u32), 1..20),
    ) {
        let mut sizes = Sizes::new(page_shift);
        for (which, value, shift) in steps {
            let value = (value >> shift).max(1);
            let before = sizes;
            let result = match which {
                0 => {
                    sizes.set_ring_mb(value);
                    Ok(())
                }
                1 => sizes.set_data_area_mb(value, 2048).map(drop),
                _ => sizes.set_pages_per_block(value),
            };
            if result.is_err() {
                prop_assert_eq!(sizes, before);
            }
            let config = sizes.config();
            prop_assert!(config.blocks >= 1 && config.block_size >= 1 << page_shift);
            prop_assert!(config.ring_size >= (1 << 20) - 128 && config.ring_size % 8 == 0);
            let area = u64::from(config.blocks) * u64::from(config.block_size);
            prop_assert!(u64::from(sizes.data_offset()) + area <= sizes.region_size());
            prop_assert_eq!(config.ring_size + 128, sizes.data_offset());
        }
    }

    #[test]
    fn any_text_is_split(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let kept: usize = options(&text).map(|(option, _)| option.len()).sum();
        let separators = text.iter().filter(|&&byte| byte == b',' || byte == b'\n').count();
        prop_assert_eq!(kept + separators, text.len());
    }
}
