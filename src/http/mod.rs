//! Connections and what HTTP is about: who may connect, TLS, which names and origins
//! are served, gRPC-Web and the few plain pages. What a call does is not known here.

mod accept;
mod admission;
mod answer;
mod at_once;
mod certificates;
mod connection;
mod deferred;
mod expiry;
mod front;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
mod open_files;
mod origin;
mod plain;
mod protocol;
mod refusal;
mod scheduler;
mod socket;
mod tls;

pub use accept::{Settings, serve};
pub use answer::Answer;
pub use certificates::Certificates;
pub use front::Calls;
pub use plain::Page;
pub use refusal::{Refusal, Refuse, Rule};
pub use tls::TlsError;
