//! What browsers may do.

/// What browsers and other HTTP clients may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Origins whose pages may call, such as `https://ci.example.com`; `*` for any.
    pub allowed_origins: Vec<String>,
    /// Names under which the service may be called, without ports; `*` for any. When
    /// empty: any with credentials; without them IP addresses and `localhost` only,
    /// so that no page of a browser reaches the service by a name of its own.
    pub allowed_hosts: Vec<String>,
}
