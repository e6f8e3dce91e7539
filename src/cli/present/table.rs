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
