//! Converts comments and tables to GitHub's Markdown.

/// A comment's paragraphs and lists. They are valid Markdown once special characters are
/// escaped.
pub(crate) fn block(comment: &str) -> String {
    let lines = comment.lines().map(|line| {
        // The text of a line begins after the space that follows `//`.
        escape(line.strip_prefix(' ').unwrap_or(line).trim_end())
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// A comment on one line, as a table cell requires.
pub(crate) fn cell(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        let lines = paragraph.lines().map(str::trim);
        escape(&lines.collect::<Vec<_>>().join(" "))
    });
    let cell = paragraphs.collect::<Vec<_>>().join("<br><br>");
    cell.replace('|', r"\|").trim().to_owned()
}

/// The lines of a table.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&title| title.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows = rows.into_iter().map(|cells| line(&cells));
    line(&head) + &rule + &rows.collect::<String>()
}

/// Escapes asterisks and angle brackets outside of code.
fn escape(text: &str) -> String {
    let escaped = |(index, part): (usize, &str)| match index % 2 {
        0 => part.replace('*', r"\*").replace('<', "&lt;"),
        _ => format!("`{part}`"),
    };
    text.split('`').enumerate().map(escaped).collect()
}

/// The anchor that GitHub generates for a heading.
pub(crate) fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
    let kept = heading.chars().filter(kept);
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_keep_their_shape() {
        let comment = " Does it.\n\n 1. A list of `a*`\n    and *.\n";
        assert_eq!(block(comment), "Does it.\n\n1. A list of `a*`\n   and \\*.");
        assert_eq!(
            cell(" One\n line, `a|b`.\n\n Two.\n"),
            r"One line, `a\|b`.<br><br>Two."
        );
    }

    #[test]
    fn anchors_are_those_of_github() {
        assert_eq!(slug("Job.State"), "jobstate");
        assert_eq!(slug("Putting load on it"), "putting-load-on-it");
        assert_eq!(slug("`request_id`s, twice"), "request_ids-twice");
    }
}
