//! Sizes as people write them.

/// Reads a number of bytes, with `KiB`, `MiB` or `GiB` behind it or nothing.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "not a size; write it like 128MiB or 2GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("128MiB"), Ok(128 * 1024 * 1024));
        assert_eq!(parse("2GiB"), Ok(2 * 1024 * 1024 * 1024));
        for wrong in ["", "0", "MiB", "1.5GiB", "1MB", "-1", "99999999999GiB"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
