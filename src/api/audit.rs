use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use parking_lot::Mutex;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::auth::{Authority, Peer};

use super::{access, status::shown};

/// Tells the log, under the target `audit`, of each change that somebody asked for:
/// who, what, of what, from where, and what came of it. Stands inside the layer that
/// finds out who calls.
#[derive(Clone, Copy, Debug)]
pub struct AuditLayer;

/// What a change is about; its handler says so.
#[derive(Clone, Default)]
struct Subjects(Arc<Mutex<Vec<String>>>);

/// Notes what a call is about. Nothing, if the call is not audited.
pub(super) struct Audit(Option<Subjects>);

impl Audit {
    /// Of a call.
    pub(super) fn of<M>(request: &tonic::Request<M>) -> Self {
        Self(request.extensions().get::<Subjects>().cloned())
    }

    /// Notes one thing: its kind and its name or id. These come before anything else is
    /// known of the call: a caller who may do nothing cannot fill the log with them.
    pub(super) fn about(&self, kind: &str, name: &str) {
        if let Some(subjects) = &self.0 {
            subjects.0.lock().push(format!("{kind} {}", shown(name)));
        }
    }

    /// Notes that a call only checks what it asks for, and changes nothing.
    pub(super) fn only_checks(&self, validate_only: bool) {
        if validate_only {
            self.about("validate_only", "true");
        }
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Audited<S> {
        Audited { inner }
    }
}

/// The service that [`AuditLayer`] makes.
#[derive(Clone)]
pub struct Audited<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Audited<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(method) = access::method(request.uri().path()).filter(|row| row.is_audited) else {
            return Box::pin(self.inner.call(request));
        };
        let subjects = Subjects::default();
        let extensions = request.extensions_mut();
        extensions.insert(subjects.clone());
        let principal = extensions.get::<Authority>().map(|it| it.principal.clone());
        let peer = extensions.get::<Peer>().map(|peer| peer.address);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            let refused = Status::from_header_map(response.headers());
            let code = refused.map_or(Code::Ok, |status| status.code());
            let (_, name) = method.path.rsplit_once('/').unwrap_or_default();
            tracing::info!(
                target: "audit",
                // Names and ids are the caller's: quoted, so that none looks like a line.
                principal = ?principal.as_ref().map_or("", |principal| &principal.name),
                method = name,
                subject = ?subjects.0.lock().join(", "),
                peer = %peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string()),
                outcome = ?code,
                "audit"
            );
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_is_about_is_cut() {
        let audit = Audit(Some(Subjects::default()));
        audit.about("job", "a");
        audit.about("pipeline", &"\u{1b}".repeat(4 * 1024 * 1024));
        let Audit(Some(Subjects(subjects))) = audit else {
            unreachable!("it was made with them");
        };
        let subjects = subjects.lock();
        assert_eq!(subjects[0], "job a");
        assert!(subjects[1].len() < 300 && subjects[1].ends_with("..."));
    }
}
