//! The table of all settings. A row here is all that a new setting needs.

mod access;
mod connections;
mod stages;
mod work;

use std::{ops::RangeInclusive, sync::LazyLock, time::Duration};

use super::{Section, Setting};

static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    vec![
        access::listening(),
        access::tls(),
        access::encryption(),
        access::web(),
        stages::embedded_runner(),
        stages::runs(),
        work::jobs(),
        work::memory(),
        work::storage(),
        work::logs(),
        connections::messages(),
        connections::callers(),
    ]
});

/// All settings, by what they are about.
pub(crate) fn sections() -> &'static [Section] {
    &SECTIONS
}

/// All settings.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    sections().iter().flat_map(|section| &section.settings)
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Bounds in seconds.
fn seconds(bounds: RangeInclusive<u64>) -> RangeInclusive<Duration> {
    Duration::from_secs(*bounds.start())..=Duration::from_secs(*bounds.end())
}
