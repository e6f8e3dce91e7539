//! Entry points for `fuzz/`.

use http::{HeaderMap, Request};

use super::{Refusal, host::Hosts, origin::Origins};

/// Checks the host of a request; `open` is access without credentials.
///
/// # Errors
/// If the host is not allowed.
pub fn check_host(listed: &[String], open: bool, request: &Request<()>) -> Result<(), Refusal> {
    Hosts::new(listed, open).check(request)
}

/// Checks the origin of a request.
///
/// # Errors
/// If the origin is not allowed.
pub fn check_origin(allowed: &[String], headers: &HeaderMap) -> Result<(), Refusal> {
    Origins::new(allowed).check(headers)
}
