//! Shows the effective settings as a TOML file.

use std::fmt::Write as _;

use super::{Effective, checks, sections};

impl Effective {
    /// A TOML file with these settings and their origins. Settings without a value or without
    /// an effect are comments.
    pub(crate) fn to_toml(&self) -> String {
        let mut draft = self.draft.clone();
        let mut text = String::new();
        for section in sections() {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}# {}", section.heading);
            for setting in &section.settings {
                let name = setting.name;
                let origin = match self.origins.get(name) {
                    // A path may contain a line break, which would end the comment.
                    Some(origin) => origin.to_string().replace(char::is_control, "?"),
                    None => "default".to_owned(),
                };
                let missing = setting
                    .needs
                    .and_then(|needed| checks::missing(needed, &mut draft, &self.origins));
                let _ = match (setting.show(&mut draft), missing) {
                    (None, _) => {
                        let example = toml::Value::from(setting.example);
                        writeln!(text, "# {name} is unset; it could be {example}")
                    }
                    (Some(value), None) => writeln!(text, "{name} = {value} # {origin}"),
                    (Some(value), Some(why)) => {
                        writeln!(text, "# {name} = {value} # {origin}; no effect {why}")
                    }
                };
            }
        }
        text
    }
}
