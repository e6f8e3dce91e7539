//! A progress bar for each running stage.

use std::{collections::HashMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    cli::present::{labels, out, text},
    proto::v1::{self, stage_run::State},
};

const MAX_UPDATES_PER_SECOND: u8 = 30;
const TICK: Duration = Duration::from_millis(100);
const WITH_PROGRESS: &str = "{spinner} {prefix} {bar:24} {pos:>3}% {elapsed}";
/// For a stage that has reported no progress: 0 % would mean that nothing is done.
const WITHOUT_PROGRESS: &str = "{spinner} {prefix} {elapsed}";

/// Bars, by stage name and attempt.
pub(crate) struct Bars {
    all: MultiProgress,
    running: HashMap<(String, i32), ProgressBar>,
}

impl Bars {
    /// Bars that are updated but not drawn.
    pub(crate) fn hidden() -> Self {
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            running: HashMap::new(),
        }
    }

    /// Draws the bars from now on.
    pub(crate) fn show(&self) {
        let target = ProgressDrawTarget::stderr_with_hz(MAX_UPDATES_PER_SECOND);
        self.all.set_draw_target(target);
    }

    /// Removes the bars.
    pub(crate) fn clear(&mut self) {
        for (_, bar) in self.running.drain() {
            bar.finish_and_clear();
        }
        // If standard error is closed, there is no place to report that.
        let _ = self.all.clear();
    }

    /// Hides the bars while `print` writes.
    pub(crate) fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        self.all.suspend(print)
    }

    /// Shows bars for exactly the running stages.
    pub(crate) fn update(&mut self, job: &v1::Job) {
        for run in &job.stage_runs {
            let key = (run.stage_name.clone(), run.attempt);
            if run.state() == State::Running {
                let all = &self.all;
                let bar = self.running.entry(key).or_insert_with(|| bar(all, run));
                let done = u64::try_from(run.progress_percent).unwrap_or(0);
                if bar.position() == 0 && done > 0 {
                    bar.set_style(style(WITH_PROGRESS));
                }
                bar.set_position(done);
            } else if let Some(bar) = self.running.remove(&key) {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
    }
}

fn bar(all: &MultiProgress, run: &v1::StageRun) -> ProgressBar {
    let bar = ProgressBar::new(100).with_elapsed(labels::running_for(run));
    let bar = all.add(bar);
    bar.set_style(style(WITHOUT_PROGRESS));
    bar.set_prefix(text::line_prefix(&labels::run_name(run), out::width()));
    bar.enable_steady_tick(TICK);
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}
