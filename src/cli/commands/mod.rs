//! A module per command, with what only commands share: pipeline files, flags, following a job.

pub(crate) mod admin;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod data;
pub(crate) mod file;
pub(crate) mod flat;
pub(crate) mod follow;
pub(crate) mod guard;
pub(crate) mod health;
pub(crate) mod input;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod pipeline;
pub(crate) mod project;
pub(crate) mod run;
pub(crate) mod runner;
pub(crate) mod secret_vars;
pub(crate) mod serve;
pub(crate) mod service_command;
pub(crate) mod settings;
