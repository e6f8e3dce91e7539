//! The HTTP/1 and HTTP/2 settings of a connection.

use hyper_util::{rt::TokioTimer, server::conn::auto::Builder};

use crate::config::Limits;

use super::inline::Inline;

/// Flow control windows. A stalled stream takes at most its window of the connection's.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Bytes of a stream that are buffered for sending; then the service's stream waits.
const SEND_BUFFER: usize = 128 * 1024;
/// Streams that a client reset before they were accepted, and streams that it made the
/// service reset. A connection with more of either is closed (rapid reset attack).
const MAX_PENDING_RESETS: usize = 128;
const MAX_LOCAL_RESETS: usize = 256;
/// The least buffer size that hyper accepts for the headers of HTTP/1.
const MIN_BUFFER: usize = 8_192;
/// Most headers of a request, for HTTP/1.
const MAX_HEADERS: usize = 100;

pub(super) fn builder(limits: &Limits) -> Builder<Inline> {
    let mut builder = Builder::new(Inline);
    let max_headers = usize::try_from(limits.max_headers).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .keep_alive(true)
        .header_read_timeout(limits.request_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(max_headers.max(MIN_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.max_streams_per_connection)
        .max_header_list_size(limits.max_headers)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_send_buf_size(SEND_BUFFER);
    builder
}
