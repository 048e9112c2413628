// SPDX-License-Identifier: GPL-2.0

//! Numbers in configfs files.

use crate::logic::number::NumberError::{Range, Syntax};
use crate::logic::number::{decimal, signed, unsigned};
use proptest::prelude::*;

#[test]
fn all_notations() {
    for (text, value) in [
        ("0", 0),
        ("7", 7),
        ("+7", 7),
        ("42\n", 42),
        ("0x2a", 42),
        ("0X2A\n", 42),
        ("052", 42),
        ("00", 0),
        ("18446744073709551615", u64::MAX),
        ("0xffffffffffffffff", u64::MAX),
        ("01777777777777777777777", u64::MAX),
    ] {
        assert_eq!(unsigned(text.as_bytes(), u64::MAX), Ok(value), "{text}");
    }
}

#[test]
fn what_is_no_number() {
    for text in [
        "", "\n", "+", "-", "x", "0x", "08", "0x1g", "1 ", " 1", "1\n\n", "++1", "+-1", "-1", "1a",
        "1.5", "0b1", "1_000", "\u{0661}",
    ] {
        assert_eq!(unsigned(text.as_bytes(), u64::MAX), Err(Syntax), "{text:?}");
    }
    for text in ["", "-", "+", "--1", "-+1", "+-1", "-x", "-\n"] {
        assert_eq!(
            signed(text.as_bytes(), i64::MIN, i64::MAX),
            Err(Syntax),
            "{text:?}"
        );
    }
    // What overflows before the wrong character counts first, what is merely too large does not.
    assert_eq!(unsigned(b"99999999999999999999x", u64::MAX), Err(Range));
    assert_eq!(unsigned(b"256x", 255), Err(Syntax));
}

#[test]
fn decimal_numbers() {
    for (text, value) in [("0", 0), ("010", 10), ("08\n", 8), ("+9", 9)] {
        assert_eq!(decimal(text.as_bytes(), u64::MAX), Ok(value), "{text}");
    }
    for text in ["", "0x1", "0X1f", "1a", "-1", "-0", " 1"] {
        assert_eq!(decimal(text.as_bytes(), u64::MAX), Err(Syntax), "{text:?}");
    }
    assert_eq!(decimal(b"256", 255), Err(Range));
}

#[test]
fn limits() {
    assert_eq!(unsigned(b"18446744073709551616", u64::MAX), Err(Range));
    assert_eq!(unsigned(b"0x10000000000000000", u64::MAX), Err(Range));
    assert_eq!(
        unsigned(b"99999999999999999999999999", u64::MAX),
        Err(Range)
    );
    assert_eq!(unsigned(b"8", 8), Ok(8));
    assert_eq!(unsigned(b"9", 8), Err(Range));
    assert_eq!(
        signed(b"-9223372036854775808", i64::MIN, i64::MAX),
        Ok(i64::MIN)
    );
    assert_eq!(
        signed(b"-9223372036854775809", i64::MIN, i64::MAX),
        Err(Range)
    );
    assert_eq!(
        signed(b"9223372036854775808", i64::MIN, i64::MAX),
        Err(Range)
    );
    assert_eq!(signed(b"-2\n", -1, 1), Err(Range));
    assert_eq!(signed(b"-1", -1, 1), Ok(-1));
    assert_eq!(signed(b"-0", -1, 1), Ok(0));
    assert_eq!(signed(b"-0x10", -16, 0), Ok(-16));
}

proptest! {
    #[test]
    fn every_number_is_read(value: u64, small: i64, newline: bool) {
        let end = if newline { "\n" } else { "" };
        for text in [format!("{value}{end}"), format!("{value:#x}{end}"), format!("0{value:o}{end}")] {
            prop_assert_eq!(unsigned(text.as_bytes(), u64::MAX), Ok(value));
        }
        let text = format!("{small}{end}");
        prop_assert_eq!(signed(text.as_bytes(), i64::MIN, i64::MAX), Ok(small));
    }

    #[test]
    fn no_text_is_too_much(text in prop::collection::vec(any::<u8>(), 0..40), max: u64) {
        if let Ok(value) = unsigned(&text, max) {
            prop_assert!(value <= max);
            prop_assert!(text.iter().any(u8::is_ascii_hexdigit));
        }
        if let Ok(value) = signed(&text, -5, 5) {
            prop_assert!((-5..=5).contains(&value));
        }
    }
}
