use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Ended jobs that are kept; beyond it the oldest are removed first.
    pub retain_jobs: usize,
    /// How long an ended job is kept at least.
    pub retain_jobs_for: Duration,
    /// Time between SIGTERM and SIGKILL of a stage.
    pub kill_grace: Duration,
    /// Lifetime of a lease; a runner renews it after each third of it.
    pub lease_ttl: Duration,
    /// Limit of the active jobs of one pipeline.
    pub max_active_jobs: usize,
    /// Limit of the stages that wait for a runner, in the whole service.
    pub max_queued_stages: usize,
    /// Limit of the registered runners.
    pub max_runners: usize,
    /// What may be stored.
    pub memory: MemoryLimits,
}

/// Bytes of memory that stored pipelines, jobs and records may take; none for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Of the whole service.
    pub total: Option<u64>,
    /// Of one project.
    pub project: Option<u64>,
    /// Of what one caller had stored.
    pub caller: Option<u64>,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            total: Some(512 * MIB),
            project: Some(256 * MIB),
            caller: Some(128 * MIB),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retain_jobs: 10_000,
            retain_jobs_for: Duration::from_secs(60 * 60),
            kill_grace: Duration::from_secs(10),
            lease_ttl: Duration::from_secs(30),
            max_active_jobs: 1_000,
            max_queued_stages: 100_000,
            max_runners: 10_000,
            memory: MemoryLimits::default(),
        }
    }
}
