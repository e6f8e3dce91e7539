//! Tables for people.

use comfy_table::{Table, presets};

use crate::{
    cli::present::{labels, text},
    proto::v1,
};

/// Rows under a header, without lines; cells are made fit for the terminal.
pub(crate) fn table<const N: usize>(
    header: [&'static str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    self::rows(header, rows.map(Vec::from))
}

/// As [`table`], with columns that are counted as the program runs.
pub(crate) fn rows(
    header: impl IntoIterator<Item = &'static str>,
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.into_iter().collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.iter().map(|cell| text::one_line(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Pipelines, one a line.
pub(crate) fn pipelines(pipelines: &[v1::Pipeline]) -> String {
    let row = |pipeline: &v1::Pipeline| {
        [
            pipeline.id.clone(),
            pipeline.project.clone(),
            pipeline.name.clone(),
            pipeline.stages.len().to_string(),
            pipeline.revision.to_string(),
            labels::moment(pipeline.update_time),
        ]
    };
    let header = ["ID", "PROJECT", "NAME", "STAGES", "REVISION", "UPDATED"];
    table(header, pipelines.iter().map(row))
}

/// A pipeline and its stages.
pub(crate) fn pipeline(pipeline: &v1::Pipeline) -> String {
    let row = |stage: &v1::Stage| {
        let action = match &stage.action {
            Some(v1::stage::Action::Command(command)) => first_line(command),
            None => String::new(),
        };
        [
            stage.name.clone(),
            labels::stage_type(stage.r#type()),
            stage.needs.join(", "),
            action,
        ]
    };
    let header = ["STAGE", "TYPE", "NEEDS", "COMMAND"];
    let stages = table(header, pipeline.stages.iter().map(row));
    let mut text = format!("{}\n\n{stages}", pipelines(std::slice::from_ref(pipeline)));
    if !pipeline.secret_variable_names.is_empty() {
        let names = text::one_line(&pipeline.secret_variable_names.join(", "));
        text = format!("{text}\n\nSecret variables: {names}");
    }
    text
}

fn first_line(command: &str) -> String {
    let mut lines = command.lines();
    let first = lines.next().unwrap_or_default();
    match lines.next() {
        Some(_) => format!("{first} …"),
        None => first.to_owned(),
    }
}

/// Jobs, one a line.
pub(crate) fn jobs(jobs: &[v1::Job]) -> String {
    let row = |job: &v1::Job| {
        [
            job.id.clone(),
            job.pipeline_name.clone(),
            job.number.to_string(),
            labels::job_state(job.state()),
            format!("{}%", job.progress_percent),
            labels::moment(job.create_time),
            labels::elapsed(job.start_time, job.end_time),
        ]
    };
    let header = [
        "ID", "PIPELINE", "NUMBER", "STATE", "DONE", "CREATED", "TIME",
    ];
    table(header, jobs.iter().map(row))
}

/// A job and its stage runs.
pub(crate) fn job(job: &v1::Job) -> String {
    let mut text = jobs(std::slice::from_ref(job));
    if !job.stage_runs.is_empty() {
        text = format!("{text}\n\n{}", stage_runs(job));
    }
    let detail = labels::job_detail(job);
    if !detail.is_empty() {
        text = format!("{text}\n\n{detail}");
    }
    text
}

/// The stage runs of a job, one a line.
pub(crate) fn stage_runs(job: &v1::Job) -> String {
    let row = |run: &v1::StageRun| {
        [
            labels::run_name(run),
            labels::stage_type(run.r#type()),
            labels::run_state(run.state()),
            labels::elapsed(run.start_time, run.end_time),
            labels::run_detail(run),
        ]
    };
    let header = ["STAGE", "TYPE", "STATE", "TIME", "DETAIL"];
    table(header, job.stage_runs.iter().map(row))
}

/// Runners, one a line.
pub(crate) fn runners(runners: &[v1::Runner]) -> String {
    let row = |runner: &v1::Runner| {
        [
            runner.id.clone(),
            runner.display_name.clone(),
            labels::runner_state(runner),
            format!("{} of {}", runner.stages.len(), runner.capacity),
            labels::labels(&runner.labels),
            labels::moment(runner.last_seen_time),
        ]
    };
    let header = ["ID", "NAME", "STATE", "STAGES", "LABELS", "SEEN"];
    table(header, runners.iter().map(row))
}

/// A runner, what it can do and the stages that it runs.
pub(crate) fn runner(runner: &v1::Runner) -> String {
    let actions = if runner.actions.is_empty() {
        "none that the service knows".to_owned()
    } else {
        text::one_line(&runner.actions.join(", "))
    };
    let text = format!(
        "{}\n\nActions: {actions}",
        runners(std::slice::from_ref(runner))
    );
    if runner.stages.is_empty() {
        return text;
    }
    let row = |stage: &v1::runner::RunningStage| {
        [
            stage.job_id.clone(),
            stage.stage_name.clone(),
            stage.attempt.to_string(),
            labels::elapsed(stage.start_time, None),
        ]
    };
    let header = ["JOB", "STAGE", "ATTEMPT", "TIME"];
    let stages = table(header, runner.stages.iter().map(row));
    format!("{text}\n\n{stages}")
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn run(name: &str, state: v1::stage_run::State) -> v1::StageRun {
        v1::StageRun {
            stage_name: name.into(),
            attempt: 1,
            r#type: v1::stage::Type::Run.into(),
            state: state.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_failed_job() {
        use v1::stage_run::{SkipReason, State};
        let failure = v1::Failure {
            message: "the command exited with status 3\x1b[2J\nsee its log".into(),
            stage_name: "test".into(),
            ..Default::default()
        };
        let failed = v1::StageRun {
            exit_code: Some(3),
            failure: Some(failure.clone()),
            start_time: at(1_700_000_000),
            end_time: at(1_700_000_065),
            attempt: 2,
            ..run("test", State::Failed)
        };
        let skipped = v1::StageRun {
            skip_reason: SkipReason::NeedsFailed.into(),
            ..run("ship", State::Skipped)
        };
        let told = job(&v1::Job {
            id: "0190b2f0-0000-7000-8000-000000000001".into(),
            pipeline_name: "evil\x1b]0;title\x07 name".into(),
            number: 7,
            state: v1::job::State::Failed.into(),
            progress_percent: 50,
            create_time: at(1_700_000_000),
            start_time: at(1_700_000_000),
            end_time: at(1_700_000_066),
            stage_runs: vec![run("build", State::Succeeded), failed, skipped],
            failure: Some(failure),
            ..Default::default()
        });
        insta::assert_snapshot!(told);
    }

    #[test]
    fn a_runner_at_work() {
        let told = runner(&v1::Runner {
            id: "0190b2f0-0000-7000-8000-000000000001".into(),
            display_name: "evil\x1b]0;title\x07 name".into(),
            labels: [("os", "linux"), ("gpu", "")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            capacity: 4,
            version: "1.2.3".into(),
            state: v1::runner::State::Online.into(),
            draining: true,
            stages: vec![v1::runner::RunningStage {
                job_id: "0190b2f0-0000-7000-8000-000000000002".into(),
                stage_name: "build".into(),
                attempt: 2,
                start_time: None,
            }],
            register_time: at(1_700_000_000),
            last_seen_time: at(1_700_000_060),
            actions: vec!["command".into()],
        });
        insta::assert_snapshot!(told);
    }

    #[test]
    fn a_pipeline_with_its_stages() {
        let told = pipeline(&v1::Pipeline {
            id: "0190b2f0-0000-7000-8000-000000000001".into(),
            project: "default".into(),
            name: "ci".into(),
            revision: 2,
            update_time: at(1_700_000_000),
            secret_variable_names: vec!["KEY".into(), "TOKEN".into()],
            stages: vec![v1::Stage {
                name: "build".into(),
                action: Some(v1::stage::Action::Command("make\nmake check".into())),
                needs: vec!["a".into(), "b".into()],
                ..Default::default()
            }],
            ..Default::default()
        });
        insta::assert_snapshot!(told);
    }
}
