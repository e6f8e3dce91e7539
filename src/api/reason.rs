//! The table of error reasons that programs can match on. Every error response takes its
//! reason and its status code from here. docs/API.md lists the rows.

use tonic::Code;

macro_rules! reasons {
    ($($variant:ident = $name:literal, $code:expr, $meaning:literal;)+) => {
        /// The reason of an error response, as sent in its `ErrorInfo`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)+
        }

        impl Reason {
            /// All reasons, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The `reason` in the `ErrorInfo`, which programs match on.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The status code of an error with this reason; none if the transport determines
            /// the code.
            pub const fn code(self) -> Option<Code> {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What the reason means, and what to do about it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

reasons! {
    InvalidFields = "INVALID_FIELDS", Some(Code::InvalidArgument),
        "Fields of the request are invalid. `BadRequest` lists each field with its error. Fix the request.";
    RequestIdReused = "REQUEST_ID_REUSED", Some(Code::InvalidArgument),
        "The `request_id` was used for a different request. Generate a new UUID for each request, and reuse it only for retries of that request.";
    PageTokenMismatch = "PAGE_TOKEN_MISMATCH", Some(Code::InvalidArgument),
        "The page token belongs to a list with other filters. Start again with an empty token.";
    MessageMalformed = "MESSAGE_MALFORMED", Some(Code::InvalidArgument),
        "The request body is not one message of the method: it is cut, empty, badly encoded or compressed, has several messages, or bytes that are no such message. The message says which. Regenerate the client, or look for a proxy that changes bodies.";
    TimeoutMalformed = "TIMEOUT_MALFORMED", Some(Code::InvalidArgument),
        "The header `grpc-timeout` cannot be parsed. Only hand-written clients get this error.";
    Unauthenticated = "UNAUTHENTICATED", Some(Code::Unauthenticated),
        "The call has no credentials or no valid ones; the error does not say what is wrong with them. Send valid credentials.";
    CredentialsEnded = "CREDENTIALS_ENDED", Some(Code::Unauthenticated),
        "The credentials were revoked or changed, or expired, while the call was open. Call again with valid credentials.";
    RoleRequired = "ROLE_REQUIRED", Some(Code::PermissionDenied),
        "The caller lacks the role that the message names. An administrator has to grant it.";
    HostNotAllowed = "HOST_NOT_ALLOWED", Some(Code::PermissionDenied),
        "The service does not accept calls under this host name. Use another name, or add it to `allowed_hosts`.";
    OriginNotAllowed = "ORIGIN_NOT_ALLOWED", Some(Code::PermissionDenied),
        "Web pages of this origin are not allowed to call the service. Add the origin to `allowed_origins`.";
    ProjectNotFound = "PROJECT_NOT_FOUND", Some(Code::NotFound),
        "The project does not exist, or the caller cannot see it.";
    PipelineNotFound = "PIPELINE_NOT_FOUND", Some(Code::NotFound),
        "The pipeline does not exist, or the caller cannot see it.";
    RevisionNotFound = "REVISION_NOT_FOUND", Some(Code::NotFound),
        "The pipeline has no such revision, or the revision is no longer retained.";
    JobNotFound = "JOB_NOT_FOUND", Some(Code::NotFound),
        "The job does not exist, has expired, or the caller cannot see it.";
    StageNotFound = "STAGE_NOT_FOUND", Some(Code::NotFound),
        "The job has no such stage, or the stage has no such attempt.";
    RunnerNotFound = "RUNNER_NOT_FOUND", Some(Code::NotFound),
        "The runner does not exist, or went offline more than an hour ago.";
    RunnerNotRegistered = "RUNNER_NOT_REGISTERED", Some(Code::NotFound),
        "The service does not know this session of the runner; the service may have restarted. Register again.";
    PipelineNameTaken = "PIPELINE_NAME_TAKEN", Some(Code::AlreadyExists),
        "The project has a pipeline of that name. The metadata has its ID as `existing_id`. Choose another name, or update that pipeline.";
    ProjectExists = "PROJECT_EXISTS", Some(Code::AlreadyExists),
        "A project of that name exists. The metadata has its ID, which is its name, as `existing_id`. Choose another name, or update that project.";
    Contended = "CONTENDED", Some(Code::Aborted),
        "The call lost eight version conflicts in a row to concurrent changes of the same resource. Retry.";
    EtagMismatch = "ETAG_MISMATCH", Some(Code::Aborted),
        "The resource has changed since it was read. Read it again, and decide again.";
    ProjectNotEmpty = "PROJECT_NOT_EMPTY", Some(Code::FailedPrecondition),
        "The project has pipelines or jobs. Delete the pipelines, and wait until the jobs expire.";
    ProjectPermanent = "PROJECT_PERMANENT", Some(Code::FailedPrecondition),
        "The project `default` always exists and cannot be deleted.";
    PipelineHasActiveJobs = "PIPELINE_HAS_ACTIVE_JOBS", Some(Code::FailedPrecondition),
        "The pipeline has active jobs. Wait until they end, or set `force`.";
    JobEnded = "JOB_ENDED", Some(Code::FailedPrecondition),
        "The job has ended, so there is nothing to cancel.";
    JobNotEnded = "JOB_NOT_ENDED", Some(Code::FailedPrecondition),
        "Only an ended job can be retried. Cancel the job, or wait until it ends.";
    PipelineDeleted = "PIPELINE_DELETED", Some(Code::FailedPrecondition),
        "The job cannot be retried, because its pipeline was deleted.";
    NoStageToRun = "NO_STAGE_TO_RUN", Some(Code::FailedPrecondition),
        "No stage of the job failed or was cancelled, or all that did would be skipped by their conditions. Use `SCOPE_ALL_STAGES` to run all stages again.";
    EncryptionKeyRequired = "ENCRYPTION_KEY_REQUIRED", Some(Code::FailedPrecondition),
        "The request has secrets, and the service stores data on disk but has no encryption key. Create one with `pipewright key generate`, and start the service with it; the setting is `encryption_key_file`.";
    LeaseLost = "LEASE_LOST", Some(Code::FailedPrecondition),
        "The lease is over, or the fencing token is not that of the lease. Kill the stage; do not retry.";
    OffsetPastEnd = "OFFSET_PAST_END", Some(Code::OutOfRange),
        "The offset is past the end of the log. Read from the current end.";
    LogIncomplete = "LOG_INCOMPLETE", Some(Code::OutOfRange),
        "Bytes of the log are missing. Resend from the `committed_offset` in the metadata.";
    TooManyActiveJobs = "TOO_MANY_ACTIVE_JOBS", Some(Code::ResourceExhausted),
        "The pipeline has the maximum number of active jobs. Wait until one ends; the setting is `max_active_jobs`.";
    QueueFull = "QUEUE_FULL", Some(Code::ResourceExhausted),
        "The maximum number of stages is waiting for runners. Retry later, or add runners; the setting is `max_queued_stages`.";
    MemoryBudgetExceeded = "MEMORY_BUDGET_EXCEEDED", Some(Code::ResourceExhausted),
        "The memory budget of the whole service, of the project or of the caller is used up, and evicting ended jobs and old revisions did not free enough. The metadata has the `budget` (`store`, `project` or `caller`), its `limit_bytes` and `used_bytes`. Cancel queued jobs or delete pipelines; the settings are `max_memory`, `max_project_memory` and `max_caller_memory`.";
    TooManyRunners = "TOO_MANY_RUNNERS", Some(Code::ResourceExhausted),
        "The maximum number of runners is registered; the setting is `max_runners`. A runner that went offline is forgotten after an hour.";
    TooManyRequests = "TOO_MANY_REQUESTS", Some(Code::ResourceExhausted),
        "The caller exceeds its limit of calls per second. Wait for the delay in `RetryInfo`.";
    TooManyStreams = "TOO_MANY_STREAMS", Some(Code::ResourceExhausted),
        "The caller has too many open calls. End one first.";
    TooManyConnections = "TOO_MANY_CONNECTIONS", Some(Code::ResourceExhausted),
        "Too many connections are open, in total or from this address. Use one connection for many calls.";
    TooManyFailedLogins = "TOO_MANY_FAILED_LOGINS", Some(Code::ResourceExhausted),
        "Too many invalid credentials came from this address. Wait for the delay in `RetryInfo`.";
    MessageTooLarge = "MESSAGE_TOO_LARGE", Some(Code::ResourceExhausted),
        "The message is larger than the method accepts. The metadata has the `limit` in bytes.";
    LoginBusy = "LOGIN_BUSY", Some(Code::Unavailable),
        "Too many password checks are in progress. Wait for the delay in `RetryInfo`, or use a token.";
    ServerStopping = "SERVER_STOPPING", Some(Code::Unavailable),
        "The service is stopping. Retry; resume streams where they ended.";
    StreamAged = "STREAM_AGED", Some(Code::Unavailable),
        "The stream has reached its maximum age. Resume on a new stream.";
    DeadlineExceeded = "DEADLINE_EXCEEDED", Some(Code::DeadlineExceeded),
        "The call exceeded its deadline and may or may not have taken effect. Retry with the same `request_id`.";
    RequestTooSlow = "REQUEST_TOO_SLOW", Some(Code::DeadlineExceeded),
        "The request did not arrive in time; the setting is `message_timeout`.";
    EncodingUnsupported = "ENCODING_UNSUPPORTED", Some(Code::Unimplemented),
        "The message is compressed with an encoding that the service does not support. Use gzip, or send it uncompressed.";
    MethodUnknown = "METHOD_UNKNOWN", Some(Code::Unimplemented),
        "The method does not exist. The client is newer than the service, or calls another API.";
    StorageFull = "STORAGE_FULL", Some(Code::ResourceExhausted),
        "The disk of the service is full, or almost. Nothing was changed; reads go on. Retry once there is space.";
    StoreFailed = "STORE_FAILED", Some(Code::Internal),
        "The store failed. See the service's log.";
    LogUnreadable = "LOG_UNREADABLE", Some(Code::Internal),
        "The log of the stage cannot be read. See the service's log.";
    LeaseCallFailed = "LEASE_CALL_FAILED", Some(Code::Internal),
        "The service failed to process the runner's call. See the service's log. Retry while the lease is live.";
    Transport = "TRANSPORT", None,
        "The call was rejected by the transport, with the status code of the transport. See the message.";
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
