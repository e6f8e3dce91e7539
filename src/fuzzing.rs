//! Doors for `fuzz/` to what is private. There only when it is built for fuzzing.

pub use crate::{
    api::fuzzing as api, auth::fuzzing as auth, cli::fuzzing as cli, http::fuzzing as http,
    runner::fuzzing as runner,
};
