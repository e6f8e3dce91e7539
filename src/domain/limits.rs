//! The limits of client requests. Each error message names the limit that was exceeded.

use std::time::Duration;

/// Stages of a pipeline.
pub const MAX_STAGES: usize = 200;
/// Characters of a pipeline's name.
pub const MAX_PIPELINE_NAME: usize = 128;
/// Characters of a stage's name.
pub const MAX_STAGE_NAME: usize = 64;
/// Bytes of a stage's command: 64 KiB.
pub const MAX_COMMAND: usize = 64 * 1024;
/// Shortest timeout of a stage.
pub const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest timeout of a stage: 24 h.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Timeout of a stage that sets none: 600 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// Variables of a pipeline, of a stage or of a trigger.
pub const MAX_VARIABLES: usize = 256;
/// Bytes of one variable's value: 32 KiB.
pub const MAX_VARIABLE_VALUE: usize = 32 * 1024;
/// Bytes of all secret variables of a pipeline, names and values: 64 KiB. The automaton that
/// masks them in a log is many times as large.
pub const MAX_SECRET_VARIABLES: usize = 64 * 1024;
/// Bytes of all variables of a trigger, names and values, secret ones too: 64 KiB.
pub const MAX_TRIGGER_VARIABLES: usize = 64 * 1024;
/// Bytes of all annotations, keys and values: 16 KiB.
pub const MAX_ANNOTATIONS: usize = 16 * 1024;
/// Characters of a project's description.
pub const MAX_DESCRIPTION: usize = 1_024;
/// Labels of a runner, or labels that a stage requires.
pub const MAX_LABELS: usize = 64;
/// Characters of a label's key or value.
pub const MAX_LABEL: usize = 63;
/// Actions that a runner may offer.
pub const MAX_ACTIONS: usize = 64;
/// Characters of a runner's name.
pub const MAX_RUNNER_NAME: usize = 128;
/// Characters of the version of a runner's program.
pub const MAX_RUNNER_VERSION: usize = 64;
/// Stages that a runner may run concurrently.
pub const MAX_CAPACITY: i32 = 10_000;
/// Jobs of which a runner may report a workspace.
pub const MAX_HELD_JOBS: usize = 10_000;
/// Longest time that a call for work may wait.
pub const MAX_WORK_WAIT: Duration = Duration::from_secs(50);
/// Bytes of one append to a log: 256 KiB.
pub const MAX_LOG_CHUNK: usize = 256 * 1024;
/// Bytes of a log, those that are missing included: 8 PiB, more than a stage can write in
/// its longest time, and what every client can count exactly.
pub const MAX_LOG_SIZE: u64 = 1 << 53;
/// Exit statuses of a command.
pub const EXIT_CODES: std::ops::RangeInclusive<i32> = 0..=255;
/// Bytes of a git ref.
pub const MAX_GIT_REF: usize = 1024;
/// Bytes of a repository's URL.
pub const MAX_GIT_REPOSITORY: usize = 2048;
/// Bytes of a stage's working directory.
pub const MAX_WORKING_DIRECTORY: usize = 1024;
/// Lowest priority of a job.
pub const MIN_PRIORITY: i32 = -100;
/// Highest priority of a job.
pub const MAX_PRIORITY: i32 = 100;
/// Characters of the reason of a cancel.
pub const MAX_CANCEL_REASON: usize = 512;
/// Bytes of a failure's message: 2 KiB.
pub const MAX_FAILURE_MESSAGE: usize = 2048;
/// Violations reported for one request; more than about 4 KiB of details break clients.
pub const MAX_VIOLATIONS: usize = 20;
/// Newest revisions of a pipeline that are stored. Revisions of stored jobs are stored in
/// addition.
pub const MAX_REVISIONS: usize = 1_000;
/// How often runners may release a stage without starting it before it fails.
pub const MAX_RETURNS: u8 = 5;
/// Attempts at a stage whose runner is lost. A DEPLOY stage has only one attempt.
pub const MAX_ATTEMPTS: u32 = 2;
