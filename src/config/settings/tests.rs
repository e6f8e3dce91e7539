//! Tests of the table and of all sources together.

use std::{collections::HashMap, ffi::OsString, fs, path::Path};

use secrecy::ExposeSecret;

use super::*;
use crate::config::EncryptionKeys;

/// The values of the three sources.
#[derive(Default)]
struct Inputs<'a> {
    file: Option<&'a str>,
    environment: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
}

/// The settings, or the problems, one per line. The file is named `pipewright.toml`.
fn load_of(inputs: &Inputs<'_>) -> Result<Effective, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipewright.toml");
    if let Some(text) = inputs.file {
        fs::write(&path, text).unwrap();
    }
    let variables: HashMap<&str, &str> = inputs.environment.iter().copied().collect();
    let flags: Vec<Flag> = inputs
        .flags
        .iter()
        .map(|(name, value)| flag(name, value))
        .collect();
    let loaded = load(Source {
        file: inputs.file.map(|_| path.as_path()),
        environment: &|name| variables.get(name).map(OsString::from),
        flags: &flags,
    });
    loaded.map_err(|problems| shown(&problems, directory.path()))
}

fn flag(name: &str, value: &str) -> Flag {
    let setting = settings().find(|setting| setting.name == name).unwrap();
    let values = vec![value.into()];
    Flag { setting, values }
}

fn shown(problems: &[Problem], directory: &Path) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines
        .join("\n")
        .replace(&format!("{}/", directory.display()), "")
}

/// The whole resulting configuration, for comparison.
fn all_of(effective: Effective) -> String {
    format!("{:?}", effective.into_config())
}

fn from_file(text: &str) -> String {
    let file = Some(text);
    all_of(
        load_of(&Inputs {
            file,
            ..Inputs::default()
        })
        .unwrap(),
    )
}

/// A setting's example as a line of a file.
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

/// A setting, the setting that it needs to have an effect, what that one needs, and so on.
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
fn without_sources_the_settings_are_the_defaults() {
    let (listen, config) = load_of(&Inputs::default()).unwrap().into_config();
    assert_eq!(listen.to_string(), "127.0.0.1:50051");
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn every_setting_has_a_unique_name_and_help() {
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
    let default = all_of(load_of(&Inputs::default()).unwrap());
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
        let in_environment = load_of(&Inputs {
            environment,
            ..Inputs::default()
        })
        .map(all_of);
        let flags: Vec<_> = all.iter().map(|s| (s.name, s.example)).collect();
        let flags = &flags;
        let in_flags = load_of(&Inputs {
            flags,
            ..Inputs::default()
        })
        .map(all_of);
        assert_eq!(in_environment.as_ref(), Ok(&in_file), "{setting:?}");
        assert_eq!(in_flags.as_ref(), Ok(&in_file), "{setting:?}");
        // `insecure` only allows other settings; it is not part of the configuration.
        if setting.name != "insecure" {
            assert_ne!(in_file, default, "{setting:?}: its example is its default");
        }
    }
}

#[test]
fn shown_settings_are_loaded_again_unchanged() {
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
        let shown = load_of(&Inputs {
            file,
            ..Inputs::default()
        })
        .unwrap()
        .to_toml();
        assert_eq!(from_file(&shown), from_file(text), "{shown}");
    }
}

#[test]
fn shown_settings_have_their_origins() {
    let shown = load_of(&Inputs {
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
fn later_sources_override_earlier_ones() {
    let workers = |inputs: &Inputs<'_>| {
        let (_, config) = load_of(inputs).unwrap().into_config();
        config.runner.unwrap().workers
    };
    let file = Some("workers = 3");
    let both = &[("JOB_WORKERS", "4"), ("PIPEWRIGHT_WORKERS", "5")];
    let alias = &[("JOB_WORKERS", "4"), ("PIPEWRIGHT_WORKERS", "")];
    let flags = &[("workers", "6")];
    let inputs = Inputs {
        file,
        ..Inputs::default()
    };
    assert_eq!(workers(&inputs), 3);
    assert_eq!(
        workers(&Inputs {
            environment: alias,
            ..inputs
        }),
        4
    );
    assert_eq!(
        workers(&Inputs {
            file,
            environment: both,
            flags: &[]
        }),
        5
    );
    assert_eq!(
        workers(&Inputs {
            file,
            environment: both,
            flags
        }),
        6
    );
}

#[test]
fn all_problems_are_reported_with_their_origins() {
    let problems = load_of(&Inputs {
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
    insta::assert_snapshot!(problems.unwrap_err());
}

#[test]
fn an_invalid_file_is_one_problem_with_its_line() {
    for (name, text) in [
        ("no_toml", "workers = 3\nlisten 127.0.0.1\n"),
        ("twice", "workers = 3\n\nworkers = 4\n"),
    ] {
        let file = Some(text);
        // Other problems are reported, except those that depend on the file's settings.
        let flags = &[("drain", "soon"), ("tls_key", "k")];
        let problems = load_of(&Inputs {
            file,
            flags,
            ..Inputs::default()
        });
        insta::assert_snapshot!(format!("an_invalid_file_{name}"), problems.unwrap_err());
    }
    let missing = load(Source {
        file: Some(Path::new("/dev/null/pipewright.toml")),
        environment: &|_| None,
        flags: &[],
    });
    insta::assert_snapshot!(shown(&missing.unwrap_err(), Path::new("/")));
}

#[test]
fn encryption_keys_are_in_a_file_or_in_the_environment_and_never_shown() {
    let of = |environment: &[(&str, &str)], flags: &[(&str, &str)]| {
        load_of(&Inputs {
            environment,
            flags,
            ..Inputs::default()
        })
    };
    let file = [("encryption_key_file", "encryption.keys")];
    let variable = [("PIPEWRIGHT_ENCRYPTION_KEY", "hunter2-pass")];

    let (_, config) = of(&[], &file).unwrap().into_config();
    assert!(
        matches!(config.encryption_keys, Some(EncryptionKeys::File(path)) if path == Path::new("encryption.keys"))
    );
    let loaded = of(&variable, &[]).unwrap();
    let shown = format!("{} {loaded:?}", loaded.to_toml());
    assert!(!shown.contains("hunter2"), "{shown}");
    let (_, config) = loaded.into_config();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(
        matches!(config.encryption_keys, Some(EncryptionKeys::Text(text)) if text.expose_secret() == "hunter2-pass")
    );
    let unset = of(&[("PIPEWRIGHT_ENCRYPTION_KEY", "")], &file);
    assert!(unset.is_ok(), "{unset:?}");

    assert_eq!(
        of(&variable, &file).unwrap_err(),
        "environment PIPEWRIGHT_ENCRYPTION_KEY: excludes encryption_key_file, which \
         --encryption-key-file sets too; remove one of them"
    );
}

#[test]
fn similar_names_are_suggested() {
    let problem = |key: &str| {
        let text = format!("{key} = 1");
        let file = Some(text.as_str());
        load_of(&Inputs {
            file,
            ..Inputs::default()
        })
        .unwrap_err()
    };
    for (key, near) in [
        ("max-connections", "max_connections"),
        ("MaxConnections", "max_connections"),
        ("no_reflection", "reflection"),
        ("log_dri", "log_dir"),
    ] {
        let problem = problem(key);
        let suggestion = format!("did you mean {near}?");
        assert!(problem.ends_with(&suggestion), "{problem}");
    }
    assert!(!problem("graceful").contains("did you mean"));
}

#[test]
fn an_address_that_others_reach_needs_insecure_or_credentials() {
    let refused = |listen: &str, insecure: &str| {
        let flags = &[("listen", listen), ("insecure", insecure)];
        load_of(&Inputs {
            flags,
            ..Inputs::default()
        })
        .err()
    };
    assert_eq!(refused("127.0.0.1:1", "false"), None);
    assert_eq!(refused("[::1]:1", "false"), None);
    assert_eq!(refused("0.0.0.0:1", "true"), None);
    insta::assert_snapshot!(refused("0.0.0.0:1", "false").unwrap());
}

/// `examples/pipewright.toml` has all settings with their defaults. If UPDATE_EXAMPLES is
/// set, the test writes the file.
#[test]
fn the_example_has_all_settings_with_their_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipewright.toml");
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        fs::write(&path, example()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        example(),
        "UPDATE_EXAMPLES=1 updates it"
    );
    let loaded = load(Source {
        file: Some(&path),
        environment: &|_| None,
        flags: &[],
    });
    assert_eq!(
        all_of(loaded.unwrap()),
        all_of(load_of(&Inputs::default()).unwrap())
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
