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
    /// Names a pipeline. A UUIDv7, so that ids sort by time of creation.
    PipelineId
}
id! {
    /// Names a job. A UUIDv7, so that ids sort by time of creation.
    JobId
}
id! {
    /// Names a lease. A UUIDv7.
    LeaseId
}
id! {
    /// Names a runner. A UUIDv7.
    RunnerId
}
id! {
    /// Names a process of a runner. A UUID of its own choice.
    SessionId
}

/// Goes up with every lease that is handed out; a write under an older one is
/// refused, so that a runner that was thought dead cannot change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FencingToken(pub i64);
