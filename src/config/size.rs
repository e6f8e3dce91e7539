//! Parses and formats sizes in bytes.

/// The lowest memory limit of a stage, in bytes: a shell needs about that much.
pub(crate) const LEAST_MEMORY: u64 = 1 << 20;

const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Parses `1000000` as bytes, and `64MiB`, `1.5GiB` or `10 KiB`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    bytes(text.trim()).ok_or_else(|| {
        format!("`{text}` is not a size; write bytes, as 1000000, or 512KiB, 64MiB, 2GiB")
    })
}

/// Formats a size in the largest unit of which it is a whole number. [`parse`] reads it.
pub(crate) fn write(size: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| size != 0 && size.is_multiple_of(*factor);
    let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
    format!("{}{unit}", size / factor)
}

fn bytes(text: &str) -> Option<u64> {
    let with_unit = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)));
    let (number, factor) = with_unit.unwrap_or((text, 1));
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    // Only digits and a decimal point are accepted: not "inf", not "1e3".
    let is_decimal = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let size = number.parse::<f64>().ok().filter(|_| is_decimal)? * factor as f64;
    let fits = size.fract() == 0.0 && size < u64::MAX as f64;
    fits.then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bytes_and_units() {
        for (text, size) in [
            ("1000000", 1_000_000),
            ("64MiB", 64 << 20),
            ("2GiB", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("10 KiB", 10 << 10),
            ("7B", 7),
            ("0", 0),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn refuses_invalid_sizes() {
        for text in [
            "",
            "-1",
            "MiB",
            "1.5",
            "64MB",
            "64mib",
            "1e3",
            "inf",
            "NaN",
            "1.2.3KiB",
            "18446744073709551616",
            "99999999TiB",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn formatted_sizes_are_parsed_again() {
        for (size, text) in [
            (0, "0B"),
            (1000, "1000B"),
            (64 << 20, "64MiB"),
            (3 << 29, "1536MiB"),
            (u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(write(size), text);
            assert_eq!(parse(text), Ok(size));
        }
    }
}
