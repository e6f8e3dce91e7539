/// The position in a distributed trace, as the headers of W3C Trace Context
/// (<https://www.w3.org/TR/trace-context/>) encode it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    parent: String,
    state: String,
}

/// Most bytes of a state that is passed on.
const MAX_STATE: usize = 512;

impl TraceContext {
    /// Parses the headers `traceparent` and `tracestate`. None if `traceparent` is invalid:
    /// the specification then requires both to be ignored.
    pub fn read(parent: &str, state: &str) -> Option<Self> {
        let parts: Vec<&str> = parent.split('-').collect();
        let [version, trace, span, flags, later @ ..] = parts.as_slice() else {
            return None;
        };
        let is_hex = |text: &str, digits| {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == digits && text.bytes().all(hex)
        };
        let is_set = |id: &str| id.bytes().any(|byte| byte != b'0');
        let is_valid = is_hex(version, 2)
            && *version != "ff"
            // A later version may have more fields; the known ones are read.
            && (later.is_empty() || *version != "00")
            && is_hex(trace, 32)
            && is_set(trace)
            && is_hex(span, 16)
            && is_set(span)
            && is_hex(flags, 2);
        let is_plain = state.len() <= MAX_STATE
            && state
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic());
        is_valid.then(|| Self {
            parent: format!("00-{trace}-{span}-{flags}"),
            state: if is_plain {
                state.to_owned()
            } else {
                String::new()
            },
        })
    }

    /// The value of `traceparent`.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The value of `tracestate`, which may be empty.
    pub fn state(&self) -> &str {
        &self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_context_is_passed_on_unchanged() {
        let context = TraceContext::read(PARENT, "vendor=a, other=b").unwrap();
        assert_eq!(context.parent(), PARENT);
        assert_eq!(context.state(), "vendor=a, other=b");
    }

    #[test]
    fn a_later_version_is_read_as_version_00() {
        let later = PARENT.replacen("00", "cc", 1) + "-what-the-future-will-be";
        assert_eq!(TraceContext::read(&later, "").unwrap().parent(), PARENT);
    }

    #[test]
    fn an_invalid_traceparent_is_ignored() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n",
        ] {
            assert_eq!(TraceContext::read(wrong, ""), None, "{wrong}");
        }
    }

    #[test]
    fn a_tracestate_that_is_too_long_or_not_plain_is_dropped() {
        for wrong in ["a=\n", &"x".repeat(513)] {
            assert_eq!(TraceContext::read(PARENT, wrong).unwrap().state(), "");
        }
    }
}
