//! Why calls are refused: the one table of what a program can match on. Every refusal
//! takes its reason and its code from here, and docs/API.md shows the rows.

use tonic::Code;

macro_rules! reasons {
    ($($variant:ident = $name:literal, $code:expr, $meaning:literal;)+) => {
        /// The reason of a refusal, as its `ErrorInfo` tells it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)+
        }

        impl Reason {
            /// All that there are.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// What a program matches on.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The code of a status with this reason; none where it is the one that came
            /// from below.
            pub const fn code(self) -> Option<Code> {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What it means, and what to do about it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

reasons! {
    InvalidFields = "INVALID_FIELDS", Some(Code::InvalidArgument),
        "Fields of the request are wrong; `BadRequest` has each with what is wrong. Mend the request.";
    RequestIdReused = "REQUEST_ID_REUSED", Some(Code::InvalidArgument),
        "The `request_id` was used for another request. Make a new UUID for each request, and keep it for its retries.";
    PageTokenMismatch = "PAGE_TOKEN_MISMATCH", Some(Code::InvalidArgument),
        "The page token is of a list with other filters. Begin with an empty one.";
    MessageMalformed = "MESSAGE_MALFORMED", Some(Code::InvalidArgument),
        "The bytes are no message of the method. Generate the client anew.";
    TimeoutMalformed = "TIMEOUT_MALFORMED", Some(Code::InvalidArgument),
        "The header `grpc-timeout` cannot be read. Only a client made by hand gets this.";
    Unauthenticated = "UNAUTHENTICATED", Some(Code::Unauthenticated),
        "There are no credentials, or none that are good: what is wrong with them is not told. Send good ones.";
    CredentialsEnded = "CREDENTIALS_ENDED", Some(Code::Unauthenticated),
        "The credentials were taken away, changed or have expired while the call was open. Call with good ones.";
    RoleRequired = "ROLE_REQUIRED", Some(Code::PermissionDenied),
        "The caller lacks the role that the message names. Somebody has to give it.";
    HostNotAllowed = "HOST_NOT_ALLOWED", Some(Code::PermissionDenied),
        "The service is not to be called by this name. Use another, or add it to `allowed_hosts`.";
    OriginNotAllowed = "ORIGIN_NOT_ALLOWED", Some(Code::PermissionDenied),
        "Pages of this origin may not call. Add it to `allowed_origins`.";
    ProjectNotFound = "PROJECT_NOT_FOUND", Some(Code::NotFound),
        "The caller may see no project of that name, or there is none.";
    PipelineNotFound = "PIPELINE_NOT_FOUND", Some(Code::NotFound),
        "The caller may see no such pipeline, or there is none.";
    RevisionNotFound = "REVISION_NOT_FOUND", Some(Code::NotFound),
        "The pipeline has no such revision.";
    JobNotFound = "JOB_NOT_FOUND", Some(Code::NotFound),
        "The caller may see no such job, there is none, or it has expired.";
    StageNotFound = "STAGE_NOT_FOUND", Some(Code::NotFound),
        "The job has no such stage, or no such attempt at it.";
    RunnerNotFound = "RUNNER_NOT_FOUND", Some(Code::NotFound),
        "There is no such runner, or it went away more than an hour ago.";
    RunnerNotRegistered = "RUNNER_NOT_REGISTERED", Some(Code::NotFound),
        "The service does not know this session of the runner: it may have started anew. Register again.";
    PipelineNameTaken = "PIPELINE_NAME_TAKEN", Some(Code::AlreadyExists),
        "The project has a pipeline of that name. Choose another, or update that one.";
    ProjectExists = "PROJECT_EXISTS", Some(Code::AlreadyExists),
        "There is a project of that name. Choose another, or update that one.";
    Contended = "CONTENDED", Some(Code::Aborted),
        "Others changed the same thing at the same time, eight times in a row. Try again.";
    EtagMismatch = "ETAG_MISMATCH", Some(Code::Aborted),
        "It was changed since it was read. Read it again, and decide again.";
    ProjectNotEmpty = "PROJECT_NOT_EMPTY", Some(Code::FailedPrecondition),
        "The project has pipelines or jobs. Delete the pipelines, and wait until the jobs expire.";
    ProjectPermanent = "PROJECT_PERMANENT", Some(Code::FailedPrecondition),
        "The project `default` is always there and cannot be deleted.";
    PipelineHasActiveJobs = "PIPELINE_HAS_ACTIVE_JOBS", Some(Code::FailedPrecondition),
        "Jobs of the pipeline are active. Wait for them, or set `force`.";
    JobEnded = "JOB_ENDED", Some(Code::FailedPrecondition),
        "The job has ended, so there is nothing to cancel.";
    JobNotEnded = "JOB_NOT_ENDED", Some(Code::FailedPrecondition),
        "Only an ended job can be retried. Cancel it, or wait for its end.";
    PipelineDeleted = "PIPELINE_DELETED", Some(Code::FailedPrecondition),
        "The pipeline of the job is gone, so the job cannot be retried.";
    NoStageToRun = "NO_STAGE_TO_RUN", Some(Code::FailedPrecondition),
        "No stage of the job failed or was cancelled. Retry all of them with `SCOPE_ALL_STAGES`.";
    LeaseLost = "LEASE_LOST", Some(Code::FailedPrecondition),
        "The lease is over, or the fencing token is not its own. Kill the stage, and do not try again.";
    OffsetPastEnd = "OFFSET_PAST_END", Some(Code::OutOfRange),
        "The log is shorter than the offset. Read from its present end.";
    LogIncomplete = "LOG_INCOMPLETE", Some(Code::OutOfRange),
        "Bytes of the log are missing. Send them from `committed_offset` in the metadata on.";
    TooManyActiveJobs = "TOO_MANY_ACTIVE_JOBS", Some(Code::ResourceExhausted),
        "The pipeline has as many active jobs as it may have. Wait for one to end; the setting is `max_active_jobs`.";
    QueueFull = "QUEUE_FULL", Some(Code::ResourceExhausted),
        "As many stages wait for a runner as may. Try again later, or add runners; the setting is `max_queued_stages`.";
    TooManyRunners = "TOO_MANY_RUNNERS", Some(Code::ResourceExhausted),
        "As many runners are known as may be; the setting is `max_runners`. One that went away is forgotten after an hour.";
    TooManyRequests = "TOO_MANY_REQUESTS", Some(Code::ResourceExhausted),
        "The caller makes too many calls in a second. Wait as long as `RetryInfo` says.";
    TooManyStreams = "TOO_MANY_STREAMS", Some(Code::ResourceExhausted),
        "The caller has too many calls open. End one first.";
    TooManyConnections = "TOO_MANY_CONNECTIONS", Some(Code::ResourceExhausted),
        "Too many connections are open, in all or from this address. Use one for many calls.";
    TooManyFailedLogins = "TOO_MANY_FAILED_LOGINS", Some(Code::ResourceExhausted),
        "Too many wrong credentials came from this address. Wait as long as `RetryInfo` says.";
    MessageTooLarge = "MESSAGE_TOO_LARGE", Some(Code::ResourceExhausted),
        "The message is larger than the method takes; the metadata has the `limit` in bytes.";
    LoginBusy = "LOGIN_BUSY", Some(Code::Unavailable),
        "Too many passwords are being checked. Wait as long as `RetryInfo` says, or use a token.";
    ServerStopping = "SERVER_STOPPING", Some(Code::Unavailable),
        "The service is being stopped. Try again; resume streams where they ended.";
    StreamAged = "STREAM_AGED", Some(Code::Unavailable),
        "The stream is as old as streams become. Resume it on a new one.";
    DeadlineExceeded = "DEADLINE_EXCEEDED", Some(Code::DeadlineExceeded),
        "The call took longer than its deadline. Whether it did anything is not known: repeat it with its `request_id`.";
    RequestTooSlow = "REQUEST_TOO_SLOW", Some(Code::DeadlineExceeded),
        "The request did not arrive in time; the setting is `message_timeout`.";
    EncodingUnsupported = "ENCODING_UNSUPPORTED", Some(Code::Unimplemented),
        "The message is compressed, and the service takes none that is. Send it as it is.";
    MethodUnknown = "METHOD_UNKNOWN", Some(Code::Unimplemented),
        "There is no such method. The client is newer than the service, or calls something else.";
    StoreFailed = "STORE_FAILED", Some(Code::Internal),
        "The store did not do what it has to. The service's log has more.";
    LogUnreadable = "LOG_UNREADABLE", Some(Code::Internal),
        "The log of the stage cannot be read. The service's log has more.";
    LeaseCallFailed = "LEASE_CALL_FAILED", Some(Code::Internal),
        "The service could not do what the runner asked. The service's log has more; try again while the lease lives.";
    Transport = "TRANSPORT", None,
        "Refused below the services, with the code that was given there; the message has more.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_reasons_have_one_name() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
