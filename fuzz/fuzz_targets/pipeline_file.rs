//! Pipeline files: any text is read, or refused with a position, and a valid file
//! has the same meaning after every conversion.
#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use pipewright::{
    domain::{Pipeline, PipelineId, PipelineSpec, Secrets},
    fuzzing::cli::{pipeline_file, printed},
    proto::{pipeline_from_proto, pipeline_to_proto, v1},
};
use uuid::Uuid;

fuzz_target!(|text: &str| {
    let (message, _) = match pipeline_file(text, "file.yaml") {
        Ok(read) => read,
        Err(message) => return check_error(&message, text),
    };
    let Ok(draft) = pipeline_from_proto(message) else {
        return;
    };
    let id = PipelineId(Uuid::nil());
    let now = SystemTime::UNIX_EPOCH;
    let Ok(pipeline) = Pipeline::new(id, "p".into(), draft.spec, "alice".into(), now) else {
        return;
    };

    let sent = pipeline_to_proto(&pipeline);
    assert_eq!(spec(sent.clone()), without_secrets(&pipeline.spec));

    // Printed pipelines can be edited and sent back.
    let json = printed(&sent);
    let (read, mask) =
        pipeline_file(&json, "-").unwrap_or_else(|message| panic!("{message}\n{json}"));
    assert_eq!(spec(read), without_secrets(&pipeline.spec));
    assert_eq!(mask, ["*"]);
});

fn spec(message: v1::Pipeline) -> PipelineSpec {
    let draft = pipeline_from_proto(message).expect("what was valid is read again");
    draft.spec
}

/// They are never returned.
fn without_secrets(spec: &PipelineSpec) -> PipelineSpec {
    PipelineSpec {
        secret_variables: Secrets::default(),
        ..spec.clone()
    }
}

/// The error names the file, and a position only if it is in the file.
fn check_error(message: &str, text: &str) {
    assert!(
        message.contains("file.yaml") || message.contains("line"),
        "{message}"
    );
    let first = message.lines().next().unwrap_or_default();
    let Some((line, column)) = place(first) else {
        return;
    };
    // A file without a final line ending ends on that line, and YAML has more than one
    // line ending.
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    let longest = lines.iter().map(|line| line.chars().count()).max();
    let column_is_there = column <= longest.unwrap_or_default() + 1;
    assert!(
        (1..=lines.len() + 1).contains(&line) && column_is_there,
        "{message}"
    );
}

/// `line 2 column 1`, with a comma or without.
fn place(message: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.split_once("line ")?;
    let (line, rest) = rest.split_once(' ')?;
    let column = rest.strip_prefix("column ")?;
    let digits = column.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((
        line.trim_end_matches(',').parse().ok()?,
        digits.parse().ok()?,
    ))
}
