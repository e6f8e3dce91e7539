//! How much a caller may call: so many calls at once, so many in a second.

use std::{
    borrow::Cow,
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use dashmap::DashMap;
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tonic::Status;
use tower::{Layer, Service};

use crate::auth::{Authority, Peer, network};

use super::{limited::Limit, reason::Reason};

/// How often callers are forgotten who have not called since the last time.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Refuses what a principal calls beyond its quota. Belongs inside the layer that
/// tells who calls; those who need not be known have one quota an address.
#[derive(Clone)]
pub struct QuotaLayer {
    quotas: Arc<Quotas>,
}

impl QuotaLayer {
    /// A layer that allows every principal so many calls at once and in a second.
    pub fn new(max_open: usize, per_second: Option<u32>) -> Self {
        let quotas = Quotas {
            max_open,
            per_second: per_second.and_then(NonZeroU32::new),
            callers: DashMap::new(),
            forgot: Mutex::new(Instant::now()),
        };
        Self {
            quotas: Arc::new(quotas),
        }
    }
}

impl<S> Layer<S> for QuotaLayer {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        Counting {
            inner,
            quotas: Arc::clone(&self.quotas),
        }
    }
}

struct Quotas {
    max_open: usize,
    per_second: Option<NonZeroU32>,
    callers: DashMap<String, Arc<Calls>>,
    forgot: Mutex<Instant>,
}

/// The calls of a caller.
struct Calls {
    open: AtomicUsize,
    rate: Option<DefaultDirectRateLimiter>,
    /// Whether there was one since it was last thought of forgetting them.
    is_recent: AtomicBool,
}

impl Quotas {
    /// A place for one more call of a caller.
    fn admit(&self, caller: &str) -> Result<Place, Status> {
        let calls = self.calls_of(caller);
        calls.is_recent.store(true, Ordering::Relaxed);
        if let Some(rate) = &calls.rate
            && let Err(early) = rate.check()
        {
            let wait = early.wait_time_from(DefaultClock::default().now());
            return Err(self.too_many_requests(caller, wait));
        }
        // Counted first, so that no two take the last place.
        let place = Place(calls);
        if place.0.open.fetch_add(1, Ordering::Relaxed) >= self.max_open {
            return Err(self.too_many_streams(caller));
        }
        Ok(place)
    }

    fn calls_of(&self, caller: &str) -> Arc<Calls> {
        if let Some(calls) = self.callers.get(caller) {
            return Arc::clone(&calls);
        }
        self.forget(Instant::now());
        let entry = self.callers.entry(caller.to_owned());
        let calls = entry.or_insert_with(|| {
            let rate = self.per_second.map(Quota::per_second);
            Arc::new(Calls {
                open: AtomicUsize::new(0),
                rate: rate.map(RateLimiter::direct),
                is_recent: AtomicBool::new(true),
            })
        });
        Arc::clone(&calls)
    }

    /// Forgets who has no call open and made none for a while. A bucket is full again
    /// after a second, so nothing is lost. Nobody can be in between finding theirs
    /// and taking a place in it: whoever has found it holds it.
    fn forget(&self, now: Instant) {
        let mut forgot = self.forgot.lock();
        if now.duration_since(*forgot) < FORGET_EVERY {
            return;
        }
        *forgot = now;
        self.callers.retain(|_, calls| {
            let was_recent = calls.is_recent.swap(false, Ordering::Relaxed);
            was_recent || Arc::strong_count(calls) > 1
        });
    }

    fn too_many_streams(&self, caller: &str) -> Status {
        let limit = Limit {
            reason: Reason::TooManyStreams,
            setting: "max_streams_per_principal",
            limit: self.max_open as u64,
        };
        let message = format!("at most {} calls may be open at once", self.max_open);
        limit.refuse(caller, &message)
    }

    fn too_many_requests(&self, caller: &str, wait: Duration) -> Status {
        let per_second = self.per_second.map_or(0, NonZeroU32::get);
        let limit = Limit {
            reason: Reason::TooManyRequests,
            setting: "max_requests_per_second",
            limit: per_second.into(),
        };
        let message = format!("at most {per_second} calls may be made in a second");
        limit.refuse_for(caller, &message, wait)
    }
}

/// The place of one call among the open ones.
struct Place(Arc<Calls>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The service that [`QuotaLayer`] makes.
#[derive(Clone)]
pub struct Counting<S> {
    inner: S,
    quotas: Arc<Quotas>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Counting<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<Counted<ResBody>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let place = match caller(&request).map(|of| self.quotas.admit(&of)) {
            None => None,
            Some(Ok(place)) => Some(place),
            Some(Err(refusal)) => return Box::pin(async move { Ok(refusal.into_http()) }),
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|inner| Counted { inner, place }))
        })
    }
}

/// Under which name a call is counted. No principal has a space in its name.
fn caller<B>(request: &Request<B>) -> Option<Cow<'_, str>> {
    let extensions = request.extensions();
    match extensions.get::<Authority>() {
        Some(authority) => Some(Cow::Borrowed(&authority.principal.name)),
        None => {
            let peer = extensions.get::<Peer>()?;
            let network = network(peer.address.ip());
            Some(Cow::Owned(format!("address {network}")))
        }
    }
}

/// A response that holds its call's place until it has ended.
#[derive(Default)]
pub struct Counted<B> {
    inner: B,
    place: Option<Place>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        // Before the client can know of the end, as its next call may come at once.
        match &polled {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {}
            Poll::Ready(_) => this.place = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_are_forgotten_and_the_busy_are_not() {
        let quotas = QuotaLayer::new(2, Some(10)).quotas;
        let busy = quotas.admit("busy").ok();
        drop(quotas.admit("idle").ok());
        let mut now = Instant::now();
        for expected in [2, 1] {
            now += FORGET_EVERY;
            quotas.forget(now);
            assert_eq!(quotas.callers.len(), expected);
        }
        drop(busy);
        quotas.forget(now + FORGET_EVERY);
        assert!(quotas.callers.is_empty());
    }

    #[test]
    fn a_place_is_free_again_when_its_call_ends() {
        let quotas = QuotaLayer::new(1, None).quotas;
        let first = quotas.admit("a").ok();
        assert!(quotas.admit("a").is_err());
        assert!(quotas.admit("b").is_ok());
        drop(first);
        assert!(quotas.admit("a").is_ok());
    }
}
