//! The flags that contain and limit stages.

use clap::{Args, ValueEnum, builder::PossibleValue, value_parser};

use crate::config::{Guard, Supervision, size};

/// How the processes of a stage are held together, and what they may use.
#[derive(Args, Debug)]
pub(crate) struct GuardArgs {
    /// How the processes of a stage are contained; a guard that does not work here is refused
    #[arg(long, default_value = "auto")]
    guard: Guard,
    /// Maximum number of processes and threads of a stage, where cgroups are writable
    #[arg(long, default_value_t = 4_096, value_parser = value_parser!(u64).range(1..))]
    max_stage_processes: u64,
    /// Maximum memory of a stage, such as 512MiB, where cgroups are writable
    /// [default: unlimited]
    #[arg(long, value_name = "SIZE", value_parser = stage_memory)]
    max_stage_memory: Option<u64>,
}

impl From<GuardArgs> for Supervision {
    fn from(args: GuardArgs) -> Self {
        Self {
            program: None,
            guard: args.guard,
            max_processes: args.max_stage_processes,
            max_memory: args.max_stage_memory,
        }
    }
}

impl ValueEnum for Guard {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

fn stage_memory(text: &str) -> Result<u64, String> {
    let size = size::parse(text)?;
    if size < size::LEAST_MEMORY {
        Err(format!(
            "a stage has to have at least {}",
            size::write(size::LEAST_MEMORY)
        ))
    } else {
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_needs_some_memory() {
        assert_eq!(stage_memory("1MiB"), Ok(1 << 20));
        assert_eq!(stage_memory("1.5GiB"), Ok(3 << 29));
        for too_little in ["0", "1", "1023KiB", "nothing"] {
            assert!(stage_memory(too_little).is_err(), "{too_little}");
        }
    }
}
