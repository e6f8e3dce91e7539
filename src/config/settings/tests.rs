//! The table as a whole, and all sources together.

use std::{collections::HashMap, ffi::OsString, fs, path::Path};

use super::*;

/// What the three sources say.
#[derive(Default)]
struct Said<'a> {
    file: Option<&'a str>,
    environment: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
}

/// The settings, or the mistakes a line each, in which the file is `pipewright.toml`.
fn load_of(said: &Said<'_>) -> Result<Effective, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipewright.toml");
    if let Some(text) = said.file {
        fs::write(&path, text).unwrap();
    }
    let variables: HashMap<&str, &str> = said.environment.iter().copied().collect();
    let flags: Vec<Flag> = said
        .flags
        .iter()
        .map(|(name, value)| flag(name, value))
        .collect();
    let loaded = load(Source {
        file: said.file.map(|_| path.as_path()),
        environment: &|name| variables.get(name).map(OsString::from),
        flags: &flags,
    });
    loaded.map_err(|mistakes| shown(&mistakes, directory.path()))
}

fn flag(name: &str, value: &str) -> Flag {
    let setting = settings().find(|setting| setting.name == name).unwrap();
    let values = vec![value.into()];
    Flag { setting, values }
}

fn shown(mistakes: &[Problem], directory: &Path) -> String {
    let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    lines
        .join("\n")
        .replace(&format!("{}/", directory.display()), "")
}

/// An effective setting is compared by all that it leads to.
fn all_of(effective: Effective) -> String {
    format!("{:?}", effective.into_config())
}

fn from_file(text: &str) -> String {
    let file = Some(text);
    all_of(
        load_of(&Said {
            file,
            ..Said::default()
        })
        .unwrap(),
    )
}

/// The example as a line of a file.
fn line(setting: &Setting) -> String {
    let value = match setting.takes() {
        Takes::Nothing | Takes::Negation => setting.example.to_owned(),
        Takes::Value(_) => toml::Value::from(setting.example).to_string(),
        Takes::Values(_) => {
            let items: Vec<_> = setting.example.split(',').collect();
            toml::Value::from(items).to_string()
        }
    };
    format!("{} = {value}\n", setting.name)
}

/// A setting, what it needs to have an effect, what that needs, and so on.
fn with_needs(setting: &'static Setting) -> Vec<&'static Setting> {
    let mut all = vec![setting];
    while let Some(needed) = all.last().unwrap().needs
        && needed != "embedded_runner"
        && !all.iter().any(|setting| setting.name == needed)
    {
        all.extend(settings().find(|setting| setting.name == needed));
    }
    all
}

#[test]
fn without_a_word_the_settings_are_the_defaults_of_the_service() {
    let (listen, config) = load_of(&Said::default()).unwrap().into_config();
    assert_eq!(listen.to_string(), "127.0.0.1:50051");
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn every_setting_is_named_once_and_explained() {
    let mut names = std::collections::HashSet::new();
    for setting in settings() {
        let name = setting.name;
        assert!(names.insert(name), "{name}");
        assert!(
            !setting.help.is_empty() && !setting.help.ends_with('.'),
            "{name}"
        );
        let is_off_by_flag = setting.takes() == Takes::Negation;
        assert_eq!(setting.help_off.is_some(), is_off_by_flag, "{name}");
        let needed = setting.needs.iter();
        let mut known = needed.map(|needed| settings().any(|other| other.name == *needed));
        assert!(known.all(|is_known| is_known), "{name}");
    }
}

#[test]
fn every_setting_means_the_same_in_a_file_a_variable_and_a_flag() {
    let default = all_of(load_of(&Said::default()).unwrap());
    for setting in settings() {
        let all = with_needs(setting);
        let text: String = all.iter().map(|setting| line(setting)).collect();
        let in_file = from_file(&text);
        let variables: Vec<_> = all.iter().map(|s| (s.variable(), s.example)).collect();
        let environment: Vec<_> = variables
            .iter()
            .map(|(name, v)| (name.as_str(), *v))
            .collect();
        let environment = &environment;
        let in_environment = load_of(&Said {
            environment,
            ..Said::default()
        })
        .map(all_of);
        let flags: Vec<_> = all.iter().map(|s| (s.name, s.example)).collect();
        let flags = &flags;
        let in_flags = load_of(&Said {
            flags,
            ..Said::default()
        })
        .map(all_of);
        assert_eq!(in_environment.as_ref(), Ok(&in_file), "{setting:?}");
        assert_eq!(in_flags.as_ref(), Ok(&in_file), "{setting:?}");
        // Alone, what an address needs to be allowed changes nothing of the service.
        if setting.name != "insecure" {
            assert_ne!(in_file, default, "{setting:?}: its example is its default");
        }
    }
}

#[test]
fn what_is_shown_is_read_again_as_the_same() {
    let no_runner = ["embedded_runner"];
    let all: String = settings()
        .filter(|s| !no_runner.contains(&s.name))
        .map(line)
        .collect();
    for text in [
        &all,
        "",
        "embedded_runner = false",
        "max_requests_per_second = 0",
    ] {
        let file = Some(text);
        let shown = load_of(&Said {
            file,
            ..Said::default()
        })
        .unwrap()
        .to_toml();
        assert_eq!(from_file(&shown), from_file(text), "{shown}");
    }
}

#[test]
fn what_is_shown_says_where_it_comes_from() {
    let shown = load_of(&Said {
        file: Some(
            "embedded_runner = false\n\nallowed_origins = [\"https://ci.test\"]\ndrain = 5\n",
        ),
        environment: &[("BUILD_LOG_DIR", "/logs"), ("JOB_WORKERS", "9")],
        flags: &[("max_connections", "7"), ("drain", "90")],
    });
    let shown = shown.unwrap().to_toml();
    insta::with_settings!({ filters => [("# /.*/pipewright.toml", "# pipewright.toml")] }, {
        insta::assert_snapshot!(shown);
    });
}

#[test]
fn later_sources_win() {
    let workers = |said: &Said<'_>| {
        let (_, config) = load_of(said).unwrap().into_config();
        config.runner.unwrap().workers
    };
    let file = Some("workers = 3");
    let both = &[("JOB_WORKERS", "4"), ("PIPEWRIGHT_WORKERS", "5")];
    let alias = &[("JOB_WORKERS", "4"), ("PIPEWRIGHT_WORKERS", "")];
    let flags = &[("workers", "6")];
    let said = Said {
        file,
        ..Said::default()
    };
    assert_eq!(workers(&said), 3);
    assert_eq!(
        workers(&Said {
            environment: alias,
            ..said
        }),
        4
    );
    assert_eq!(
        workers(&Said {
            file,
            environment: both,
            flags: &[]
        }),
        5
    );
    assert_eq!(
        workers(&Said {
            file,
            environment: both,
            flags
        }),
        6
    );
}

#[test]
fn all_mistakes_are_told_with_where_they_were_made() {
    let mistakes = load_of(&Said {
        file: Some(
            "listen = \"0.0.0.0:50051\"\nmax_conections = 7\ngraceful = true\nmax_message = \"1GiB\"\n\
             insecure = \"yes\"\nallowed_hosts = [\"ci.test:443\", 7]\nworkspace_dir = \"/w\"\n\n\
             [limits]\nmax_runners = 3\n",
        ),
        environment: &[
            ("PIPEWRIGHT_EMBEDDED_RUNNER", "false"),
            ("JOB_WORKERS", "4"),
            ("PIPEWRIGHT_MAX_STREAM_AGE", "soon"),
            ("PIPEWRIGHT_ALLOWED_HOSTS", "ci.test:443"),
            ("PIPEWRIGHT_TLS_KEY", "service.key"),
        ],
        flags: &[
            ("max_headers", "1"),
            ("max_runners", "-1"),
            ("max_stage_processes", "0"),
            ("lease_ttl", "1h"),
            ("allowed_origins", "https://CI.test/"),
            ("guard", "strong"),
            ("log_dir", ""),
            ("tls_require_client_certificate", "true"),
        ],
    });
    insta::assert_snapshot!(mistakes.unwrap_err());
}

#[test]
fn a_file_that_is_none_is_one_mistake_with_its_line() {
    for (name, text) in [
        ("no_toml", "workers = 3\nlisten 127.0.0.1\n"),
        ("twice", "workers = 3\n\nworkers = 4\n"),
    ] {
        let file = Some(text);
        // What else is wrong is told, but not what the file may have said.
        let flags = &[("drain", "soon"), ("tls_key", "k")];
        let mistakes = load_of(&Said {
            file,
            flags,
            ..Said::default()
        });
        insta::assert_snapshot!(format!("a_file_that_is_none_{name}"), mistakes.unwrap_err());
    }
    let missing = load(Source {
        file: Some(Path::new("/dev/null/pipewright.toml")),
        environment: &|_| None,
        flags: &[],
    });
    insta::assert_snapshot!(shown(&missing.unwrap_err(), Path::new("/")));
}

#[test]
fn names_that_are_nearly_right_are_suggested() {
    let told = |key: &str| {
        let text = format!("{key} = 1");
        let file = Some(text.as_str());
        load_of(&Said {
            file,
            ..Said::default()
        })
        .unwrap_err()
    };
    for (key, near) in [
        ("max-connections", "max_connections"),
        ("MaxConnections", "max_connections"),
        ("no_reflection", "reflection"),
        ("log_dri", "log_dir"),
    ] {
        let told = told(key);
        assert!(told.ends_with(&format!("did you mean {near}?")), "{told}");
    }
    assert!(!told("graceful").contains("did you mean"));
}

#[test]
fn an_address_that_others_reach_needs_a_word() {
    let refused = |listen: &str, insecure: &str| {
        let flags = &[("listen", listen), ("insecure", insecure)];
        load_of(&Said {
            flags,
            ..Said::default()
        })
        .err()
    };
    assert_eq!(refused("127.0.0.1:1", "false"), None);
    assert_eq!(refused("[::1]:1", "false"), None);
    assert_eq!(refused("0.0.0.0:1", "true"), None);
    insta::assert_snapshot!(refused("0.0.0.0:1", "false").unwrap());
}

/// `examples/pipewright.toml` is all settings with their defaults; with UPDATE_EXAMPLES
/// set it is written anew.
#[test]
fn the_example_has_all_settings_with_their_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipewright.toml");
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        fs::write(&path, example()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        example(),
        "UPDATE_EXAMPLES=1 writes it anew"
    );
    let loaded = load(Source {
        file: Some(&path),
        environment: &|_| None,
        flags: &[],
    });
    assert_eq!(
        all_of(loaded.unwrap()),
        all_of(load_of(&Said::default()).unwrap())
    );
}

fn example() -> String {
    let mut text = "\
# All settings of `pipewright serve`, with their defaults, or with an example if there is none.
# To change a setting, remove the `#` before it. Check the file with:
#
#     pipewright config check --config examples/pipewright.toml
"
    .to_owned();
    for section in sections() {
        text += &format!("\n# {}\n", section.heading);
        for setting in &section.settings {
            let value = match setting.default() {
                Some(value) => format!("{} = {value}\n", setting.name),
                None => line(setting),
            };
            text += &format!("\n# {}\n#{value}", setting.help);
        }
    }
    text
}
