//! Separates the generated parts of the page from the handwritten prose.

use regex::Regex;

const REGION: &str = r"(?s)(<!-- generated: (\w+) -->\n).*?(<!-- end -->)";

/// The page with its generated parts regenerated.
pub(crate) fn fill(page: &str, generate: impl Fn(&str) -> String) -> String {
    let fill = |found: &regex::Captures<'_>| {
        let text = generate(&found[2]);
        format!("{}\n{}\n\n{}", &found[1], text.trim(), &found[3])
    };
    region().replace_all(page, fill).into_owned()
}

/// The page with each handwritten part replaced by the result of `change`.
pub(crate) fn map_prose(page: &str, mut change: impl FnMut(&str) -> String) -> String {
    let mut changed = String::new();
    let mut done = 0;
    for generated in region().find_iter(page) {
        changed.push_str(&change(&page[done..generated.start()]));
        changed.push_str(generated.as_str());
        done = generated.end();
    }
    changed.push_str(&change(&page[done..]));
    changed
}

/// The names of the generated parts, in the order of the page.
pub(crate) fn names(page: &str) -> Vec<String> {
    let region = region();
    let names = region.captures_iter(page).map(|found| found[2].to_owned());
    names.collect()
}

/// All generated parts, concatenated.
pub(crate) fn generated(page: &str) -> String {
    let generated = region();
    generated
        .find_iter(page)
        .map(|found| found.as_str())
        .collect()
}

fn region() -> Regex {
    Regex::new(REGION).unwrap()
}
