// SPDX-License-Identifier: GPL-2.0

//! What is written to the file `control`, and numbers in other files.

use crate::logic::{
    decimal, options, signed, unsigned, ControlOption, Invalid, NumberError, Sizes, CONFIG_LEN,
};

/// A number as the standard library reads it, in the syntax of `kstrtoull()`.
fn expected(text: &[u8], base: Option<u32>) -> Result<u64, NumberError> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let (radix, digits) = match (base, text) {
        (Some(radix), digits) => (radix, digits),
        (None, [b'0', b'x' | b'X', digits @ ..]) => (16, digits),
        (None, [b'0', digits @ ..]) if !digits.is_empty() => (8, digits),
        (None, digits) => (10, digits),
    };
    let valid = digits
        .iter()
        .take_while(|&&digit| char::from(digit).is_digit(radix))
        .count();
    let (number, rest) = digits.split_at(valid);
    let number = std::str::from_utf8(number).unwrap_or_default();
    match (number.is_empty(), u64::from_str_radix(number, radix)) {
        (true, _) => Err(NumberError::Syntax),
        (_, Err(_)) => Err(NumberError::Range),
        (_, Ok(_)) if !rest.is_empty() => Err(NumberError::Syntax),
        (_, Ok(number)) => Ok(number),
    }
}

fn limited(number: Result<u64, NumberError>, max: u64) -> Result<u64, NumberError> {
    number.and_then(|number| (number <= max).then_some(number).ok_or(NumberError::Range))
}

fn check_number(text: &[u8]) {
    for max in [0, 255, i32::MAX as u64, u64::MAX] {
        assert_eq!(unsigned(text, max), limited(expected(text, None), max));
        assert_eq!(decimal(text, max), limited(expected(text, Some(10)), max));
    }
    let (min, max) = (i64::from(i32::MIN), i64::from(i32::MAX));
    match (text, signed(text, min, max)) {
        ([b'-', magnitude @ ..], Ok(number)) => {
            assert!((min..=0).contains(&number));
            assert_eq!(expected(magnitude, None), Ok(number.unsigned_abs()));
        }
        ([b'-', ..], Err(_)) => {}
        (_, number) => {
            let number = number.map(|number| number as u64);
            assert_eq!(number, limited(expected(text, None), max as u64));
        }
    }
}

/// The sizes fit each other and the types that the driver puts them into.
fn check_sizes(sizes: &Sizes) {
    assert!((1..=8).contains(&sizes.ring_mb()));
    assert!((1..=1 << 20).contains(&sizes.data_area_mb()));
    let (config, area) = (sizes.config(), u64::from(sizes.data_area_mb()) << 20);
    assert!(config.ring_size > 0 && config.ring_size % 8 == 0);
    assert!(config.blocks > 0 && config.block_size > 0);
    let used = u64::from(config.blocks) * u64::from(config.block_size);
    assert!(used <= area && area - used < config.block_size.into());
    assert_eq!(sizes.region_size(), u64::from(sizes.data_offset()) + area);
}

/// Takes an option as the driver does, and checks what became of it.
fn take(sizes: &mut Sizes, option: &ControlOption<'_>, limit: u32) -> Result<(), Invalid> {
    match *option {
        ControlOption::MaxDataAreaMb(mb) => {
            let clamped = sizes.set_data_area_mb(mb, limit)?;
            assert_eq!(clamped.is_none(), sizes.data_area_mb() == mb);
            assert!(sizes.data_area_mb() <= limit.max(1));
        }
        ControlOption::DataPagesPerBlk(count) => {
            sizes.set_pages_per_block(count)?;
            assert_eq!(sizes.pages_per_block(), count);
        }
        ControlOption::CmdRingSizeMb(mb) => {
            let clamped = sizes.set_ring_mb(mb);
            assert_eq!(clamped.is_none(), sizes.ring_mb() == mb);
        }
        ControlOption::DevConfig(text) => assert!((1..CONFIG_LEN).contains(&text.len())),
        ControlOption::HwBlockSize(number) | ControlOption::HwMaxSectors(number) => {
            assert!((1..=i32::MAX as u32).contains(&number));
        }
        ControlOption::DevSize(_)
        | ControlOption::NlReplySupported(_)
        | ControlOption::Unknown(_) => {}
    }
    Ok(())
}

/// Reads `data` as a text of options and as a number; its first two bytes are the limit of data areas
/// in MiB.
pub fn control_parameters(data: &[u8]) {
    let (limit, text) = match data {
        [low, high, text @ ..] => (u32::from(*low) << 4 | u32::from(*high) << 12, text),
        text => (2048, text),
    };
    for page_shift in [12, 14, 16] {
        check_options(Sizes::new(page_shift), text, limit);
    }
    check_number(text);
}

/// Takes all options of `text`, on a device with the sizes `sizes`.
fn check_options(mut sizes: Sizes, text: &[u8], limit: u32) {
    let mut end = 0;
    for (name, option) in options(text) {
        // Each is a part of the text, in order, and together they are all of it but separators.
        let at = name.as_ptr() as usize - text.as_ptr() as usize;
        assert!(at >= end && !name.is_empty());
        assert!(text[end..at].iter().all(|byte| b",\n".contains(byte)));
        assert!(!name.iter().any(|byte| b",\n".contains(byte)));
        end = at + name.len();
        let before = sizes;
        if let Ok(option) = &option {
            if take(&mut sizes, option, limit).is_err() {
                assert_eq!(sizes, before, "a refused option changes nothing");
            }
        }
        check_sizes(&sizes);
        if let Some(equals) = name.iter().position(|&byte| byte == b'=') {
            check_number(&name[equals + 1..]);
        }
    }
    assert!(text[end..].iter().all(|byte| b",\n".contains(byte)));
}
