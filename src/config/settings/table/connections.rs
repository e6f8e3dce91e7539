//! What connections and their callers may take.

use std::time::Duration;

use super::{
    super::{
        Section, Setting,
        form::{OrNone, Size, Span, Whole},
    },
    DAY, HOUR, KIB, MIB, seconds,
};

/// A shorter wait would cut off honest clients on slow lines.
const LEAST_WAIT: Duration = Duration::from_millis(100);

pub(super) fn messages() -> Section {
    Section {
        heading: "Messages and waits",
        settings: vec![
            Setting::new(
                "max_message",
                "Maximum size of a request message, 64KiB to 64MiB; some methods accept less",
                "8MiB",
                Size::within(64 * KIB..=64 * MIB),
                |draft| &mut draft.config.limits.max_message,
            ),
            Setting::new(
                "max_headers",
                "Maximum size of the headers of a request, 4KiB to 1MiB",
                "32KiB",
                Size::within(4 * KIB..=MIB),
                |draft| &mut draft.config.limits.max_headers,
            ),
            Setting::new(
                "handshake_timeout",
                "Maximum duration of a TLS handshake",
                "5s",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.handshake_timeout,
            )
            .needs("tls_certificate"),
            Setting::new(
                "request_timeout",
                "Maximum wait for the first request on a connection, and for the headers of each request",
                "5s",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.request_timeout,
            ),
            Setting::new(
                "message_timeout",
                "Maximum wait for the complete request of a call",
                "1m",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.message_timeout,
            ),
            Setting::new(
                "keepalive_interval",
                "Idle time after which a client is sent a keepalive ping",
                "1m",
                Span(seconds(1..=DAY.as_secs())),
                |draft| &mut draft.config.limits.keepalive_interval,
            ),
            Setting::new(
                "keepalive_timeout",
                "Maximum wait for the response to a keepalive ping",
                "5s",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.keepalive_timeout,
            ),
            Setting::new(
                "max_stream_age",
                "Maximum age of a stream; its client resumes on a new one",
                "1h",
                OrNone(Span(seconds(1..=365 * DAY.as_secs()))),
                |draft| &mut draft.config.limits.max_stream_age,
            ),
        ],
    }
}

pub(super) fn callers() -> Section {
    Section {
        heading: "Connections and callers",
        settings: vec![
            Setting::new(
                "max_connections",
                "Maximum number of open connections",
                "500",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_connections,
            ),
            Setting::new(
                "max_connections_per_address",
                "Maximum number of open connections per IP address",
                "20",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_connections_per_address,
            ),
            Setting::new(
                "max_streams_per_connection",
                "Maximum number of open calls per connection; a client waits before it starts another one",
                "64",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_streams_per_connection,
            ),
            Setting::new(
                "max_streams_per_principal",
                "Maximum number of open calls per principal; health checks are counted per IP address",
                "500",
                Whole::within(1..=10_000_000),
                |draft| &mut draft.config.limits.max_streams_per_principal,
            ),
            Setting::new(
                "max_requests_per_second",
                "Maximum number of calls per second and principal, as an average and as a burst; 0 for no limit",
                "50",
                OrNone(Whole::within(1..=1_000_000)),
                |draft| &mut draft.config.limits.max_requests_per_second,
            ),
            Setting::new(
                "max_failed_logins_per_minute",
                "Maximum number of failed logins per minute and IP address, as an average and as a burst",
                "5",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_failed_logins_per_minute,
            )
            .needs("credentials"),
        ],
    }
}
