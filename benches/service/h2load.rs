//! Runs nghttp2's h2load instead of this bench's load generator, to verify its figures.

use std::{fs, io::ErrorKind, process::Command};

use tempfile::NamedTempFile;

use crate::load::{Pace, Plan, Until};

pub(crate) fn is_installed() -> bool {
    match Command::new("h2load").arg("--version").output() {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("h2load: {error}"),
    }
}

/// Whether it can generate a load. It cannot if each call must be different.
pub(crate) fn can(plan: &Plan) -> bool {
    match &plan.messages[..] {
        [message] => Plan::number_at(message).is_none(),
        _ => false,
    }
}

/// The number of calls, and calls per second.
pub(crate) fn run(plan: &Plan) -> (f64, f64) {
    let (
        Pace::Closed {
            streams_per_connection,
        },
        Until::Elapsed(time),
    ) = (plan.pace, plan.until)
    else {
        unreachable!("only loads without a schedule")
    };
    let body = NamedTempFile::new().unwrap();
    let length = u32::try_from(plan.messages[0].len()).unwrap().to_be_bytes();
    fs::write(body.path(), [&[0], &length[..], &plan.messages[0]].concat()).unwrap();
    let mut command = Command::new("h2load");
    command.args(["-t1", "-c", &plan.connections.to_string()]);
    command.args(["-m", &streams_per_connection.to_string()]);
    command.arg(format!("--duration={}", time.as_secs_f64().ceil()));
    command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    if let Some(value) = &plan.authorization {
        command.args(["-H", &format!("authorization: {value}")]);
    }
    command.arg("-d").arg(body.path());
    command.arg(format!("http://{}{}", plan.address, plan.path));
    let output = command.output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    // requests: 90 total, 90 started, 90 done, 90 succeeded, 0 failed, 0 errored, 0 timeout
    let calls = number_before(&output, " done, ");
    assert_eq!(calls, number_before(&output, " succeeded, "), "{output}");
    (calls, number_before(&output, " req/s"))
}

fn number_before(output: &str, words: &str) -> f64 {
    let (before, _) = output.split_once(words).unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}
