//! Leases of a service that is reached over the network.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::timeout;
use tonic::{
    Code, Response, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Endpoint,
};
use tonic_types::StatusExt;
use tracing::{info, warn};

use crate::{
    domain::{Outcome, RunnerId, SessionId},
    proto::{
        lease::{
            Acquisition, acquired_from_proto, append_to_proto, appended_from_proto,
            completion_to_proto, deregistration_to_proto, registered_from_proto,
            registration_to_proto, renewal_to_proto, renewed_from_proto, work_request_to_proto,
        },
        runner_v1::lease_service_client::LeaseServiceClient,
    },
    runner::{
        Acquired, Appended, Completion, Directive, Lease, LeaseError, LeaseProof, LeaseRefusal,
        Leases, LogAppend, Registered, Registration, Renewed, Report, WorkRequest,
    },
    transport::CheckedChannel,
};

/// How long an answer may take, beyond the time for which the service may delay it: when
/// the network is cut, none arrives.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a renewal, beyond the time for which it may be held: a connection that
/// died silently has to be given up while there is time for a retry.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(3);
/// How long a runner that stops waits for the answer to its last call.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Stages whose calls share a connection. Each may have four concurrent calls, and the
/// service allows 256 per connection.
const STAGES_PER_CONNECTION: usize = 50;

/// A client of `LeaseService`.
///
/// Calls to a service that is stopping or unreachable are retried: a runner outlives it.
pub struct RemoteLeases<I> {
    address: String,
    clients: Vec<Client<I>>,
    explain: Box<Explain>,
    credentials: CredentialsAdvice,
    /// The service has accepted the credentials of this runner before.
    was_accepted: AtomicBool,
    /// The service refuses them now, and that was logged.
    is_refused: AtomicBool,
}

/// Advice on a runner's credentials, for when the service refuses them.
#[derive(Clone, Debug, Default)]
pub struct CredentialsAdvice {
    /// What to do then, as text that follows a semicolon.
    pub remedy: String,
    /// The credentials may be replaced while the runner runs, so that it keeps retrying.
    pub may_change: bool,
}

/// Explains why a call did not reach the service.
type Explain = dyn Fn(&Status) -> Option<String> + Send + Sync;

type Client<I> = LeaseServiceClient<InterceptedService<CheckedChannel, I>>;

impl<I: Interceptor + Clone + Send + Sync + 'static> RemoteLeases<I> {
    /// A client of the service at `server` for a runner of this capacity; `headers` adds the
    /// credentials to its calls. Connects with the first call, and again whenever a
    /// connection is lost.
    pub fn new(server: &Endpoint, headers: I, capacity: usize) -> Self {
        let endpoint = server
            .clone()
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(false)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let connections = capacity.div_ceil(STAGES_PER_CONNECTION).max(1);
        let connect = || {
            let channel = CheckedChannel::connect_lazy(&endpoint);
            LeaseServiceClient::with_interceptor(channel, headers.clone())
        };
        Self {
            address: server.uri().to_string(),
            clients: std::iter::repeat_with(connect).take(connections).collect(),
            explain: Box::new(|_| None),
            credentials: CredentialsAdvice::default(),
            was_accepted: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        }
    }

    /// Adds advice to the messages about credentials that the service refuses.
    #[must_use]
    pub fn advising(self, credentials: CredentialsAdvice) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// Adds explanations for a service that cannot be reached. They name the service.
    #[must_use]
    pub fn explaining(
        mut self,
        explain: impl Fn(&Status) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.explain = Box::new(explain);
        self
    }

    /// The client for calls without a lease.
    fn client(&self) -> Client<I> {
        self.clients[0].clone()
    }

    /// An answer, if it arrives in time. Logs immediately when the service no longer accepts
    /// credentials that it has accepted before: nothing that follows says why.
    async fn answer<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Status> {
        let answer = within(patience, call).await;
        match &answer {
            Ok(_) => {
                self.was_accepted.store(true, Ordering::Relaxed);
                if self.is_refused.swap(false, Ordering::Relaxed) {
                    info!(
                        server = self.address,
                        "the service accepts the credentials again"
                    );
                }
            }
            Err(status) if self.was_accepted() && are_refused(status) => {
                if !self.is_refused.swap(true, Ordering::Relaxed) {
                    let (reason, remedy) = (told(status), &self.credentials.remedy);
                    warn!(
                        server = self.address,
                        reason,
                        "the service no longer accepts this runner's credentials: it gets no stages, \
                         and those that it runs are killed when their leases end; {remedy}"
                    );
                }
            }
            Err(_) => {}
        }
        answer
    }

    fn was_accepted(&self) -> bool {
        self.was_accepted.load(Ordering::Relaxed)
    }

    /// A refusal that retries would not change; none if the credentials may be replaced.
    fn refused_for_good(&self, status: &Status) -> Option<LeaseError> {
        let is_passing = self.credentials.may_change && self.was_accepted() && are_refused(status);
        refused_for_good(status).filter(|_| !is_passing)
    }

    /// As [`lost`], with the service's address in the message.
    fn lost(&self, status: &Status) -> LeaseError {
        match lost(status) {
            LeaseError::Failed(why) => LeaseError::Failed(format!("{}: {why}", self.address)),
            other => other,
        }
    }

    /// The client for the calls of a lease.
    fn client_of(&self, proof: LeaseProof) -> Client<I> {
        // The last bytes of a lease's id are random.
        let (_, random) = proof.lease_id.0.as_u64_pair();
        let connections = self.clients.len() as u64;
        let index = usize::try_from(random % connections).unwrap_or(0);
        self.clients[index].clone()
    }

    /// Releases a stage that this version cannot run. If that fails, the lease is not
    /// confirmed in time, which has the same effect.
    async fn release_unknown(&self, proof: LeaseProof) {
        warn!(lease.id = %proof.lease_id, "this version cannot run a stage of this kind");
        let completion = Completion {
            outcome: Outcome::Returned,
            exit_code: None,
            message: "the runner's version does not know the stage's action".to_owned(),
            log_size: 0,
            log_incomplete: false,
            commit_id: None,
        };
        let report = Report::default();
        let confirmed = self.renew(proof, report, Directive::Continue, Duration::ZERO);
        if confirmed.await.is_ok()
            && let Err(reason) = self.complete(proof, completion).await
        {
            warn!(%reason, lease.id = %proof.lease_id, "could not give a stage back");
        }
    }
}

#[async_trait]
impl<I: Interceptor + Clone + Send + Sync + 'static> Leases for RemoteLeases<I> {
    async fn register(&self, runner: Registration) -> Result<Registered, LeaseError> {
        let mut client = self.client();
        let request = registration_to_proto(runner);
        let answer = self.answer(PATIENCE, client.register_runner(request)).await;
        let answer = answer.map_err(|status| {
            // Only here: a later call comes after one that reached the service.
            let explained = || (self.explain)(&status).map(LeaseError::Failed);
            self.refused_for_good(&status)
                .or_else(explained)
                .unwrap_or_else(|| self.lost(&status))
        })?;
        let registered = registered_from_proto(answer).map_err(LeaseError::Failed)?;
        info!(server = self.address, runner.id = %registered.runner_id, "registered");
        Ok(registered)
    }

    async fn acquire(&self, request: WorkRequest) -> Result<Acquired, LeaseError> {
        let mut client = self.client();
        let patience = request.max_wait + PATIENCE;
        let request = work_request_to_proto(request);
        let answer = self.answer(patience, client.acquire_lease(request)).await;
        let answer = answer.map_err(|status| match refused_for_good(&status) {
            // Its credentials were revoked: registering again shows for certain.
            Some(LeaseError::Refused {
                why: LeaseRefusal::NotKnown | LeaseRefusal::NotAllowed,
                ..
            }) => LeaseError::Unregistered,
            _ => self.lost(&status),
        })?;
        let (offer, ended_jobs) = acquired_from_proto(answer).map_err(LeaseError::Failed)?;
        let lease: Option<Lease> = match offer {
            Acquisition::Nothing => None,
            Acquisition::Stage(lease) => Some(*lease),
            Acquisition::Unknown(proof) => {
                self.release_unknown(proof).await;
                None
            }
        };
        Ok(Acquired { lease, ended_jobs })
    }

    async fn deregister(&self, id: RunnerId, session_id: SessionId) -> Result<(), LeaseError> {
        let mut client = self.client();
        let request = deregistration_to_proto(id, session_id);
        let answer = within(FAREWELL_PATIENCE, client.deregister_runner(request)).await;
        answer.map(drop).map_err(|status| self.lost(&status))
    }

    async fn renew(
        &self,
        proof: LeaseProof,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError> {
        let mut client = self.client_of(proof);
        let request = renewal_to_proto(proof, report, known, max_wait);
        let patience = max_wait + RENEWAL_PATIENCE;
        let answer = self.answer(patience, client.renew_lease(request)).await;
        let answer = answer.map_err(|status| lost(&status))?;
        renewed_from_proto(answer).map_err(LeaseError::Failed)
    }

    async fn append_log(
        &self,
        proof: LeaseProof,
        append: LogAppend,
    ) -> Result<Appended, LeaseError> {
        let mut client = self.client_of(proof);
        let request = append_to_proto(proof, append);
        let answer = self.answer(PATIENCE, client.append_log(request)).await;
        let answer = answer.map_err(|status| lost(&status))?;
        appended_from_proto(answer).map_err(LeaseError::Failed)
    }

    async fn complete(&self, proof: LeaseProof, completion: Completion) -> Result<(), LeaseError> {
        let mut client = self.client_of(proof);
        let request = completion_to_proto(proof, completion);
        let answer = self.answer(PATIENCE, client.complete_lease(request)).await;
        answer.map(drop).map_err(|status| lost(&status))
    }
}

/// An answer, if it arrives in time.
async fn within<T>(
    patience: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match timeout(patience, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("the service did not answer")),
    }
}

/// The error of a failed call.
fn lost(status: &Status) -> LeaseError {
    match status.code() {
        Code::FailedPrecondition => LeaseError::Lost,
        Code::NotFound => LeaseError::Unregistered,
        Code::OutOfRange => match committed_offset(status) {
            Some(committed) => LeaseError::Hole { committed },
            None => LeaseError::Failed(told(status)),
        },
        _ => LeaseError::Failed(told(status)),
    }
}

/// A refusal that retries would not change.
fn refused_for_good(status: &Status) -> Option<LeaseError> {
    let why = match status.code() {
        Code::InvalidArgument => LeaseRefusal::Invalid,
        Code::Unauthenticated => LeaseRefusal::NotKnown,
        Code::PermissionDenied => LeaseRefusal::NotAllowed,
        Code::Unimplemented => LeaseRefusal::NotSupported,
        _ => return None,
    };
    let message = told(status);
    Some(LeaseError::Refused { why, message })
}

/// Whether the service does not accept the credentials. If they were changed during the call,
/// only the next one shows it.
fn are_refused(status: &Status) -> bool {
    let info = status.get_details_error_info();
    let has_ended = info.is_some_and(|info| info.reason == "CREDENTIALS_ENDED");
    let is_refusal = matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    );
    is_refusal && !has_ended
}

fn committed_offset(status: &Status) -> Option<u64> {
    let info = status.get_details_error_info()?;
    info.metadata.get("committed_offset")?.parse().ok()
}

/// The message or, if it is only the transport's, its innermost cause, such
/// as "connection refused".
fn told(status: &Status) -> String {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(status);
    let mut text = status.message().to_owned();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    format!("{text} ({:?})", status.code())
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn of(code: Code) -> LeaseError {
        lost(&Status::new(code, "why"))
    }

    #[test]
    fn codes_mean_what_the_contract_says() {
        assert!(matches!(of(Code::FailedPrecondition), LeaseError::Lost));
        assert!(matches!(of(Code::NotFound), LeaseError::Unregistered));
        for code in [
            Code::Unavailable,
            Code::Internal,
            Code::DeadlineExceeded,
            Code::OutOfRange,
        ] {
            assert!(matches!(of(code), LeaseError::Failed(_)), "{code:?}");
        }
        let facts = [("committed_offset".to_owned(), "7".to_owned())];
        let details = ErrorDetails::with_error_info("LOG_INCOMPLETE", "pipewright", facts);
        let hole = Status::with_error_details(Code::OutOfRange, "", details);
        assert!(matches!(lost(&hole), LeaseError::Hole { committed: 7 }));
    }

    #[test]
    fn only_some_refusals_are_for_good() {
        let why = |code| match refused_for_good(&Status::new(code, "")) {
            Some(LeaseError::Refused { why, .. }) => Some(why),
            _ => None,
        };
        assert_eq!(why(Code::InvalidArgument), Some(LeaseRefusal::Invalid));
        assert_eq!(why(Code::Unauthenticated), Some(LeaseRefusal::NotKnown));
        assert_eq!(why(Code::PermissionDenied), Some(LeaseRefusal::NotAllowed));
        assert_eq!(why(Code::Unimplemented), Some(LeaseRefusal::NotSupported));
        assert_eq!(why(Code::Unavailable), None);
    }

    #[test]
    fn credentials_that_were_changed_may_be_good_again() {
        let refused = |code, reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "pipewright", []);
            are_refused(&Status::with_error_details(code, "", details))
        };
        assert!(refused(Code::Unauthenticated, "UNAUTHENTICATED"));
        assert!(refused(Code::PermissionDenied, "ROLE_REQUIRED"));
        assert!(!refused(Code::Unauthenticated, "CREDENTIALS_ENDED"));
        assert!(!refused(Code::Unavailable, "LOGIN_BUSY"));
        assert!(are_refused(&Status::unauthenticated("of a proxy")));
    }

    #[tokio::test]
    async fn a_runner_goes_on_only_if_its_credentials_may_change() {
        let endpoint = Endpoint::from_static("http://127.0.0.1:1");
        let unknown = Status::unauthenticated("");
        for (may_change, was_accepted, is_refused) in [
            (false, false, true),
            (false, true, true),
            (true, false, true),
            (true, true, false),
        ] {
            let headers = |request: tonic::Request<()>| Ok(request);
            let leases = RemoteLeases::new(&endpoint, headers, 1).advising(CredentialsAdvice {
                remedy: String::new(),
                may_change,
            });
            leases.was_accepted.store(was_accepted, Ordering::Relaxed);
            let refused = leases.refused_for_good(&unknown);
            assert_eq!(refused.is_some(), is_refused, "{may_change} {was_accepted}");
        }
    }
}
