/// The longest prefix of a text that has at most `max` bytes and ends at a character boundary.
pub fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("€€", 5), "€");
        assert_eq!(cut("€€", 6), "€€");
        assert_eq!(cut("", 0), "");
    }
}
