use std::{fmt, str::FromStr};

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// A UUIDv7, so that ids sort by creation time.
    PipelineId
}
id! {
    /// A UUIDv7, so that ids sort by creation time.
    JobId
}
id! {
    /// A UUIDv7.
    LeaseId
}
id! {
    /// A UUIDv7.
    RunnerId
}
id! {
    /// Identifies a runner process. A UUID that the process chooses.
    SessionId
}

/// Increases with every lease that is issued. Writes with an older token are refused, so
/// that a runner that was considered lost cannot change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FencingToken(pub i64);
