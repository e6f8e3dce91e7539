//! The trace that this command is part of, from its environment.
//!
//! <https://www.w3.org/TR/trace-context/>, and TRACEPARENT and TRACESTATE as the names by
//! which CI services pass it to processes.

use std::env;

use tonic::metadata::{Ascii, MetadataValue};

/// Members that a `tracestate` may have.
const MEMBERS: usize = 32;

/// The headers that propagate a trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// `traceparent`.
    pub(crate) parent: Option<MetadataValue<Ascii>>,
    /// `tracestate`; never without a parent.
    pub(crate) state: Option<MetadataValue<Ascii>>,
}

impl Trace {
    /// The trace of the environment; none if it is not valid.
    pub(crate) fn of_environment() -> Self {
        let read = |name| env::var(name).ok();
        Self::new(
            read("TRACEPARENT").as_deref(),
            read("TRACESTATE").as_deref(),
        )
    }

    fn new(parent: Option<&str>, state: Option<&str>) -> Self {
        let parent = checked("TRACEPARENT", parent, is_parent);
        let state = parent
            .as_ref()
            .and_then(|_| checked("TRACESTATE", state, is_state));
        Self { parent, state }
    }
}

fn checked(
    name: &str,
    value: Option<&str>,
    is_valid: fn(&str) -> bool,
) -> Option<MetadataValue<Ascii>> {
    let value = value?;
    if !is_valid(value) {
        // An error of another program, and no reason to refuse the command.
        tracing::debug!(name, "ignored: it is not valid");
        return None;
    }
    value.parse().ok()
}

/// `00-<trace id>-<span id>-<flags>`.
fn is_parent(value: &str) -> bool {
    let fields: Vec<&str> = value.split('-').collect();
    let [version, trace, span, flags] = fields[..] else {
        return false;
    };
    let is_id = |id: &str, length| is_hex(id, length) && id.bytes().any(|digit| digit != b'0');
    version == "00" && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2)
}

fn is_hex(text: &str, length: usize) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == length && text.bytes().all(is_digit)
}

/// A comma-separated list of `key=value`, one per vendor.
fn is_state(value: &str) -> bool {
    let mut members = value.split(',').map(str::trim);
    members.clone().count() <= MEMBERS
        && members.any(|member| !member.is_empty())
        && value
            .split(',')
            .map(str::trim)
            .all(|member| member.is_empty() || is_member(member))
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let in_key =
        |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let in_value = |byte| matches!(byte, b' '..=b'~') && byte != b'=';
    (1..=256).contains(&key.len())
        && key.bytes().all(in_key)
        && (1..=256).contains(&value.len())
        && value.bytes().all(in_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn parents_by_the_letter_of_the_standard() {
        assert!(is_parent(PARENT));
        for wrong in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!is_parent(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_state_that_is_wrong_does_not_cost_the_parent() {
        let trace = |state| Trace::new(Some(PARENT), Some(state));
        for state in [
            "a=1",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "t@v=x y, b=2",
        ] {
            assert!(trace(state).state.is_some(), "{state}");
        }
        for state in ["", ",", "a", "A=1", "a=", "a=b=c", "a=\u{e4}", "a=1\n"] {
            let trace = trace(state);
            assert!(trace.parent.is_some() && trace.state.is_none(), "{state}");
        }
        assert!(trace(&["a=1"; 33].join(",")).state.is_none());
    }

    #[test]
    fn a_state_alone_says_nothing() {
        assert!(Trace::new(None, Some("a=1")).state.is_none());
        assert!(Trace::new(Some("nonsense"), Some("a=1")).state.is_none());
    }
}
