//! Values with more than one spelling: `Run` and `TYPE_RUN`, `500` and `8m`.

use serde::{Deserialize, Deserializer, de::Error};

use crate::{config::duration, proto::v1};

/// Parses a stage's type.
pub(super) fn stage_type<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<v1::stage::Type>, D::Error> {
    read(input, |text| {
        word("TYPE_", text, v1::stage::Type::from_str_name)
            .ok_or_else(|| format!("unknown stage type `{text}`; use Run, Build or Deploy"))
    })
}

/// Parses when a stage runs.
pub(super) fn run_condition<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<v1::RunCondition>, D::Error> {
    read(input, |text| {
        word("RUN_CONDITION_", text, v1::RunCondition::from_str_name).ok_or_else(|| {
            format!("unknown run condition `{text}`; use on_success, on_failure or always")
        })
    })
}

/// Parses what a trigger does while a job is active.
pub(super) fn concurrency_policy<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<v1::ConcurrencyPolicy>, D::Error> {
    read(input, |text| {
        let policy = v1::ConcurrencyPolicy::from_str_name;
        word("CONCURRENCY_POLICY_", text, policy).ok_or_else(|| {
            format!("unknown concurrency policy `{text}`; use allow, queue or cancel_running")
        })
    })
}

/// Parses a stage's timeout.
pub(super) fn timeout<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<prost_types::Duration>, D::Error> {
    read(input, |text| {
        let timeout = duration::parse(text)?;
        prost_types::Duration::try_from(timeout).map_err(|error| error.to_string())
    })
}

/// Parses a scalar of any type as text.
fn read<'de, D: Deserializer<'de>, T>(
    input: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    let value = text.map(|text| parse(&text)).transpose();
    value.map_err(D::Error::custom)
}

/// Finds a name of the contract, with its prefix or without, in any case and
/// with hyphens or underscores.
fn word<T>(prefix: &str, text: &str, named: fn(&str) -> Option<T>) -> Option<T> {
    let upper = text.to_uppercase().replace('-', "_");
    named(&upper).or_else(|| named(&format!("{prefix}{upper}")))
}
