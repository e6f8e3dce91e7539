//! Describes the machine of the measurement.

use std::fs;

/// A description in one paragraph.
pub(crate) fn words() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    // Those of the machine: this process has pinned itself to one core.
    let cores = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model
        .unwrap_or_default()
        .trim_start_matches([' ', '\t', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let versions: Vec<_> = ["tonic", "h2", "tokio"].iter().map(locked).collect();
    format!(
        "{cores} cores, {model}, Linux {}; {}.",
        kernel.trim(),
        versions.join(", ")
    )
}

/// A crate with its version in Cargo.lock.
fn locked(name: &&str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let begin = format!("name = \"{name}\"\nversion = \"");
    let version = lock
        .split_once(&begin)
        .and_then(|(_, after)| after.split_once('"'));
    format!("{name} {}", version.map_or("", |(version, _)| version))
}
