// SPDX-License-Identifier: GPL-2.0

//! Numbers as users write them into configfs files (`kstrtoull()`, mostly with base 0).

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// Not a number.
    Syntax,
    /// Not in the range that is asked for.
    Range,
}

/// Reads an unsigned number: decimal, octal with leading `0` or hexadecimal with leading `0x`; one
/// newline may follow.
pub(crate) fn unsigned(text: &[u8], max: u64) -> Result<u64, NumberError> {
    let text = without_frame(text);
    match text {
        [b'0', b'x' | b'X', digits @ ..] => number(digits, 16, max),
        [b'0', digits @ ..] if !digits.is_empty() => number(digits, 8, max),
        digits => number(digits, 10, max),
    }
}

/// Reads an unsigned number that is decimal whatever it begins with (base 10).
pub(crate) fn decimal(text: &[u8], max: u64) -> Result<u64, NumberError> {
    number(without_frame(text), 10, max)
}

/// The text without its last newline and its plus sign.
fn without_frame(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_prefix(b"+").unwrap_or(text)
}

fn number(digits: &[u8], radix: u32, max: u64) -> Result<u64, NumberError> {
    if digits.is_empty() {
        return Err(NumberError::Syntax);
    }
    let mut value: u64 = 0;
    let mut in_64_bits = true;
    for &digit in digits {
        let Some(digit) = char::from(digit).to_digit(radix) else {
            // As in C: what comes before counts first.
            return Err(if in_64_bits {
                NumberError::Syntax
            } else {
                NumberError::Range
            });
        };
        match value
            .checked_mul(radix.into())
            .and_then(|value| value.checked_add(digit.into()))
        {
            Some(next) => value = next,
            None => in_64_bits = false,
        }
    }
    if in_64_bits && value <= max {
        Ok(value)
    } else {
        Err(NumberError::Range)
    }
}

/// Reads a signed number; see [`unsigned`].
pub(crate) fn signed(text: &[u8], min: i64, max: i64) -> Result<i64, NumberError> {
    let value = match text {
        [b'-', b'+', ..] => return Err(NumberError::Syntax),
        [b'-', magnitude @ ..] => {
            let magnitude = unsigned(magnitude, i64::MIN.unsigned_abs())?;
            0i64.checked_sub_unsigned(magnitude)
                .ok_or(NumberError::Range)?
        }
        _ => i64::try_from(unsigned(text, u64::MAX)?).map_err(|_| NumberError::Range)?,
    };
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(NumberError::Range)
    }
}
