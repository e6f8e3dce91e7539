//! Doors for `fuzz/`.

use http::{HeaderMap, Request};

use super::{Refusal, host::Hosts, origin::Origins};

/// Checks under which name a request calls the service; `open` is access without
/// credentials.
///
/// # Errors
/// If none may call it so.
pub fn check_host(listed: &[String], open: bool, request: &Request<()>) -> Result<(), Refusal> {
    Hosts::new(listed, open).check(request)
}

/// Checks of which pages a request is.
///
/// # Errors
/// If those may not call.
pub fn check_origin(allowed: &[String], headers: &HeaderMap) -> Result<(), Refusal> {
    Origins::new(allowed).check(headers)
}
