//! Writes a table and a plot of each group, in docs/PERFORMANCE.md and beside it.

use std::fs;

use crate::{machine, report::number};

use super::{Group, plot};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
const BEGIN: &str = "<!-- growth: begin -->";
const END: &str = "<!-- growth: end -->";

pub(super) fn write(groups: &[Group]) {
    let mut sections = String::new();
    fs::create_dir_all(format!("{DOCS}/performance")).unwrap();
    for group in groups {
        let Group { name, grows, .. } = group;
        fs::write(format!("{DOCS}/performance/{name}.svg"), plot::draw(group)).unwrap();
        sections += &section(group);
        sections += &format!("\n![Cost by the number of {grows}](performance/{name}.svg)\n\n");
    }
    let path = format!("{DOCS}/PERFORMANCE.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let machine = machine::words();
    fs::write(
        path,
        format!("{before}{BEGIN}\n{machine}\n\n{sections}{END}{after}"),
    )
    .unwrap();
}

pub(super) fn section(group: &Group) -> String {
    let sizes = group
        .sizes
        .iter()
        .map(|size| format!(" {} |", number(*size as f64)));
    let mut table = format!(
        "| {} |{} most of least |\n",
        group.grows,
        sizes.collect::<String>()
    );
    table += &format!("|---|{}---|\n", "---|".repeat(group.sizes.len()));
    for series in &group.series {
        let points = series.points.iter();
        let cells =
            points.map(|cost| format!(" {} µs, {}/s |", number(cost.cpu), number(cost.per_second)));
        let cells = cells.collect::<String>();
        let growth = growth(series.points.iter().map(|cost| cost.cpu));
        table += &format!("| {} |{cells} {growth} |\n", series.what);
    }
    let memory = group
        .memory
        .iter()
        .map(|bytes| format!(" {} B |", number(*bytes)));
    let each = memory.collect::<String>();
    table
        + &format!(
            "| memory of each |{each} {} |\n",
            growth(group.memory.iter().copied())
        )
}

fn growth(values: impl Iterator<Item = f64> + Clone) -> String {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    format!("{:.1} ×", values.fold(0.0, f64::max) / least)
}
