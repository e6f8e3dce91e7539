//! Tables for people.

use comfy_table::{Table, presets};
use console::measure_text_width;

use crate::{
    cli::present::{labels, out, text},
    proto::v1,
};

/// Space between two columns.
const GAP: usize = 2;
/// The width to which a column may be shortened.
const LEAST_WIDTH: usize = 9;
/// Columns whose cells are copied into other commands, so that they are never shortened.
const IDS: [&str; 2] = ["ID", "JOB"];

/// Rows under a header, without borders; cells are sanitized for the terminal, and shortened
/// if a row does not fit on a line.
pub(crate) fn table<const N: usize>(
    header: [&'static str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    self::rows(header, rows.map(Vec::from))
}

/// As [`table`], with a number of columns that is known only at run time.
pub(crate) fn rows(
    header: impl IntoIterator<Item = &'static str>,
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let header: Vec<_> = header.into_iter().collect();
    let clean = |row: Vec<String>| row.iter().map(|cell| text::one_line(cell)).collect();
    fitted(&header, rows.map(clean).collect(), out::width())
}

fn fitted(header: &[&str], mut rows: Vec<Vec<String>>, width: Option<usize>) -> String {
    if let Some(width) = width {
        let widths = widths(header, &rows, width);
        for row in &mut rows {
            for (cell, width) in row.iter_mut().zip(&widths) {
                *cell = text::shorten(cell, *width);
            }
        }
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.trim_fmt();
    match width {
        Some(width) => {
            let lines = text.lines().map(|line| text::shorten(line, width));
            lines.collect::<Vec<_>>().join("\n")
        }
        None => text,
    }
}

/// The width of each column: the widest are shortened until a row fits, or no more can be.
fn widths(header: &[&str], rows: &[Vec<String>], most: usize) -> Vec<usize> {
    let width = |(column, name): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| measure_text_width(cell));
        cells.chain([measure_text_width(name)]).max().unwrap_or(0)
    };
    let mut widths: Vec<_> = header.iter().enumerate().map(width).collect();
    let gaps = GAP * header.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > most {
        let columns = widths.iter_mut().zip(header);
        let shortened = columns.filter(|(width, name)| {
            **width > LEAST_WIDTH.max(measure_text_width(name)) && !IDS.contains(name)
        });
        match shortened.max_by_key(|(width, _)| **width) {
            Some((widest, _)) => *widest -= 1,
            None => break,
        }
    }
    widths
}

/// The stage runs of a job, one per line.
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 4] = ["ID", "STAGE", "STATE", "DETAIL"];

    fn shown(width: Option<usize>) -> String {
        let row = |stage: &str, state: &str, detail: &str| {
            let id = "0190b2f0-0000-7000-8000-000000000001";
            [id, stage, state, detail].map(str::to_owned).to_vec()
        };
        let rows = vec![
            row(&"integration-".repeat(4), "succeeded", ""),
            row("b", "pending", "another job of the pipeline is active"),
            row("日本語のステージ", "queued", "no runner"),
        ];
        fitted(&HEADER, rows, width)
    }

    #[test]
    fn rows_fit_on_a_line_of_the_terminal_and_ids_stay_whole() {
        insta::assert_snapshot!(shown(Some(80)));
        for width in 40..200 {
            let shown = shown(Some(width));
            assert_eq!(shown.lines().count(), 4, "{shown}");
            for line in shown.lines() {
                assert!(measure_text_width(line) <= width, "{width}: {line}");
            }
            let whole = shown
                .matches("0190b2f0-0000-7000-8000-000000000001")
                .count();
            assert_eq!(whole, 3, "{width}: {shown}");
        }
    }

    #[test]
    fn nothing_is_shortened_where_no_terminal_is() {
        let shown = shown(None);
        assert!(!shown.contains('…'), "{shown}");
        assert_eq!(shown, super::tests::shown(Some(200)));
    }
}
