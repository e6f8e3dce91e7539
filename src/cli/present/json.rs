//! Messages as canonical proto JSON, which `jq` and every protobuf library read.

use std::{fmt::Write as _, sync::LazyLock};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde::Serialize;

use crate::proto;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the build encoded the descriptors")
});

/// The message `pipewright.v1.{name}`, indented.
pub(crate) fn pretty(name: &str, message: &impl Message) -> String {
    escape(&format!("{:#}", value(name, &message.encode_to_vec())))
}

/// The message `pipewright.v1.{name}` on one line.
pub(crate) fn compact(name: &str, message: &impl Message) -> String {
    escape(&value(name, &message.encode_to_vec()).to_string())
}

/// A value that is no message of the contract, indented. Its keys must be strings.
pub(crate) fn pretty_value(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).expect("its names are text");
    escape(&format!("{value:#}"))
}

/// Maps of a dynamic message are unordered. A JSON value sorts all keys, so that equal
/// messages print as equal text.
fn value(name: &str, encoded: &[u8]) -> serde_json::Value {
    let descriptor = POOL
        .get_message_by_name(&format!("pipewright.v1.{name}"))
        .expect("the caller names a message of the contract");
    let message = DynamicMessage::decode(descriptor, encoded)
        .expect("the generated types and the descriptors come of the same files");
    serde_json::to_value(message).expect("every message of the contract has a JSON form")
}

/// A value that is no message of the contract, on one line. Its keys must be strings.
pub(crate) fn compact_value(value: &impl Serialize) -> String {
    escape(&serde_json::to_string(value).expect("its names are text"))
}

/// JSON does not escape DEL and the C1 controls, which a terminal would interpret.
fn escape(json: &str) -> String {
    json.chars().fold(String::new(), |mut text, c| {
        match c {
            '\u{7f}'..='\u{9f}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    #[test]
    fn is_canonical_and_without_controls() {
        let pipeline = v1::Pipeline {
            name: "CI\u{9b}2J\x1b".into(),
            git_repository: "https://example.com/r.git".into(),
            revision: 3,
            variables: ["C", "A", "B"].map(|name| (name.into(), "1".into())).into(),
            stages: vec![v1::Stage {
                name: "test".into(),
                r#type: v1::stage::Type::Run.into(),
                timeout: Some(prost_types::Duration {
                    seconds: 500,
                    nanos: 0,
                }),
                ..Default::default()
            }],
            ..Default::default()
        };
        insta::assert_snapshot!(pretty("Pipeline", &pipeline));
        assert_eq!(compact("Pipeline", &pipeline).lines().count(), 1);
    }
}
