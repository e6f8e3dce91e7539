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
                "Bytes of a request message, 64KiB to 64MiB; some methods take less",
                "8MiB",
                Size::within(64 * KIB..=64 * MIB),
                |draft| &mut draft.config.limits.max_message,
            ),
            Setting::new(
                "max_headers",
                "Bytes of a request's headers, 4KiB to 1MiB",
                "32KiB",
                Size::within(4 * KIB..=MIB),
                |draft| &mut draft.config.limits.max_headers,
            ),
            Setting::new(
                "handshake_timeout",
                "Longest TLS handshake",
                "5s",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.handshake_timeout,
            )
            .needs("tls_certificate"),
            Setting::new(
                "request_timeout",
                "Longest wait for a connection's first request, and for the headers of any",
                "5s",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.request_timeout,
            ),
            Setting::new(
                "message_timeout",
                "Longest wait for the whole of a call's request",
                "1m",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.message_timeout,
            ),
            Setting::new(
                "keepalive_interval",
                "Silence after which a client has to answer",
                "1m",
                Span(seconds(1..=DAY.as_secs())),
                |draft| &mut draft.config.limits.keepalive_interval,
            ),
            Setting::new(
                "keepalive_timeout",
                "Longest wait for that answer",
                "5s",
                Span(LEAST_WAIT..=HOUR),
                |draft| &mut draft.config.limits.keepalive_timeout,
            ),
            Setting::new(
                "max_stream_age",
                "How long a stream may stay open; its reader resumes",
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
                "Open connections",
                "500",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_connections,
            ),
            Setting::new(
                "max_connections_per_address",
                "Open connections of one IP address",
                "20",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_connections_per_address,
            ),
            Setting::new(
                "max_streams_per_connection",
                "Open calls of one connection; a client waits before it begins another one",
                "64",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_streams_per_connection,
            ),
            Setting::new(
                "max_streams_per_principal",
                "Open calls of one principal; health checks are of one IP address",
                "500",
                Whole::within(1..=10_000_000),
                |draft| &mut draft.config.limits.max_streams_per_principal,
            ),
            Setting::new(
                "max_requests_per_second",
                "Calls of one principal in a second, on average and at once; 0 for no limit",
                "50",
                OrNone(Whole::within(1..=1_000_000)),
                |draft| &mut draft.config.limits.max_requests_per_second,
            ),
            Setting::new(
                "max_failed_logins_per_minute",
                "Wrong credentials of one IP address in a minute, on average and at once",
                "5",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_failed_logins_per_minute,
            )
            .needs("credentials"),
        ],
    }
}
