//! Connections and HTTP: connection limits, TLS, allowed hosts and origins, gRPC-Web and the
//! plain HTTP pages. This layer does not know what a call does.

mod accept;
mod admission;
mod certificates;
mod connection;
mod deferred;
mod expiry;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
mod inline;
mod open_files;
mod origin;
mod plain;
mod protocol;
mod refusal;
mod response;
mod router;
mod scheduler;
mod socket;
mod tls;

pub use accept::{Settings, serve};
pub use certificates::Certificates;
pub use plain::Page;
pub use refusal::{Refusal, Refuse, Rule};
pub use response::AnyBody;
pub use router::Calls;
pub use tls::TlsError;
