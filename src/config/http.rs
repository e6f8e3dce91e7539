//! Allowed origins and hosts.

/// Allowed origins and hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Origins whose pages may call, such as `https://ci.example.com`; `*` for any.
    pub allowed_origins: Vec<String>,
    /// Host names under which the service may be called, without ports; `*` for any. If
    /// empty: any with credentials; without credentials, only IP addresses and `localhost`,
    /// so that no web page reaches the service by a name of its own (DNS rebinding).
    pub allowed_hosts: Vec<String>,
}
