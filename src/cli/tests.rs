//! The command line as a whole.

use clap::CommandFactory;

use super::*;

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

fn help(path: &[&str]) -> String {
    let mut command = Cli::command();
    command.build();
    let mut command = &mut command;
    for name in path {
        command = command.find_subcommand_mut(name).unwrap();
    }
    command.render_long_help().to_string()
}

#[test]
fn help_texts() {
    insta::assert_snapshot!("help", help(&[]));
    insta::assert_snapshot!("help_serve", help(&["serve"]));
    insta::assert_snapshot!("help_config", help(&["config"]));
    insta::assert_snapshot!("help_run", help(&["run"]));
    insta::assert_snapshot!("help_key", help(&["key"]));
    insta::assert_snapshot!("help_key_generate", help(&["key", "generate"]));
    insta::assert_snapshot!("help_key_rotate", help(&["key", "rotate"]));
    insta::assert_snapshot!("help_backup", help(&["backup"]));
    insta::assert_snapshot!("help_backup_create", help(&["backup", "create"]));
    insta::assert_snapshot!("help_backup_restore", help(&["backup", "restore"]));
    insta::assert_snapshot!("help_store", help(&["store"]));
    insta::assert_snapshot!("help_store_check", help(&["store", "check"]));
    insta::assert_snapshot!("help_health", help(&["health"]));
    insta::assert_snapshot!("help_pipeline", help(&["pipeline"]));
    insta::assert_snapshot!("help_job", help(&["job"]));
    for name in ["create", "get", "list", "update", "delete", "trigger"] {
        insta::assert_snapshot!(format!("help_pipeline_{name}"), help(&["pipeline", name]));
    }
    insta::assert_snapshot!("help_runner", help(&["runner"]));
    for name in ["list", "get", "drain", "resume"] {
        insta::assert_snapshot!(format!("help_runner_{name}"), help(&["runner", name]));
    }
    insta::assert_snapshot!("help_project", help(&["project"]));
    for name in ["create", "get", "list", "update", "delete"] {
        insta::assert_snapshot!(format!("help_project_{name}"), help(&["project", name]));
    }
    insta::assert_snapshot!("help_admin", help(&["admin"]));
    insta::assert_snapshot!("help_admin_tasks", help(&["admin", "tasks"]));
    for (kind, commands) in [
        (
            "user",
            &["add", "list", "remove", "set-password", "set-roles"][..],
        ),
        ("token", &["create", "rotate", "list", "revoke"]),
        ("certificate", &["add", "list", "remove"]),
    ] {
        insta::assert_snapshot!(format!("help_{kind}"), help(&[kind]));
        for name in commands {
            insta::assert_snapshot!(format!("help_{kind}_{name}"), help(&[kind, name]));
        }
    }
    for name in JSON_COMMANDS {
        insta::assert_snapshot!(format!("help_{name}"), help(&[name]));
    }
    insta::assert_snapshot!("help_context", help(&["context"]));
    for name in ["set", "use", "list", "show", "remove"] {
        insta::assert_snapshot!(format!("help_context_{name}"), help(&["context", name]));
    }
    for name in ["get", "list", "watch", "log", "cancel", "retry"] {
        insta::assert_snapshot!(format!("help_job_{name}"), help(&["job", name]));
    }
}

#[test]
fn arguments_that_are_refused() {
    let refused = [
        "serve --worker 0",
        "serve --insecure=yes",
        "serve --workers 1 --workers 2",
        "run pipeline.yaml --var NAME",
        "pipeline create",
        "pipeline create --data {} --file x",
        "pipeline update ci --mask name",
        "pipeline trigger ci --priority 101",
        "project create",
        "project update shop --annotation team",
        "admin",
        "job get",
        "job list --state done",
        "job list --all --limit 3",
        "health --server ftp://ci.test",
        "health --token s --username me",
        "context set a/b",
        "context set a --password-stdin",
        "context set a --client-cert c",
        "runner --capacity 0",
        "runner --capacity 10001",
        "runner --labels gpu",
        "runner --capacity 3 list",
        "runner --guard subreaper list",
        "run pipeline.yaml --ref main",
        "create-pipeline",
        "get-pipeline --data {}",
        "update-pipeline --pipeline-id p",
        "trigger-pipeline",
        "delete-pipeline --pipeline-id p --data {}",
        "user add ada",
        "user add a/b --role viewer",
        "user add local --role viewer",
        "user add ada --role boss",
        "user add ada --role Shop=viewer",
        "user set-roles ada --role shop=runner",
        "token create ci --role viewer --expires 90",
        "token create ci --role viewer --expires 0s",
        "token create ci --role viewer --expires soon",
        "certificate add seven --role runner",
        "certificate add seven --role runner --san x --cn y",
    ];
    let report: Vec<_> = refused
        .iter()
        .map(|line| {
            let args = ["pipewright"].into_iter().chain(line.split(' '));
            let error = Cli::try_parse_from(args).unwrap_err();
            assert_eq!(error.exit_code(), Exit::Usage as i32);
            format!("$ pipewright {line}\n{error}")
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn options_of_all_runner_commands_may_stand_before_the_command() {
    for line in [
        "pipewright runner -o json list",
        "pipewright -o json runner list",
        "pipewright runner --server ci.test:1 list",
        "pipewright runner -o json",
    ] {
        assert!(parsed(line).is_ok(), "{line}");
    }
}

/// Errors have the requested format, even if the other arguments are not valid.
#[test]
fn the_form_is_known_of_arguments_that_are_wrong() {
    for (line, expected) in [
        ("pipewright job get", Format::Table),
        ("pipewright job get -o json", Format::Json),
        ("pipewright -o json job get", Format::Json),
        ("pipewright job -o=json get --nonsense", Format::Json),
        ("pipewright job get --nonsense -ojson", Format::Json),
        ("pipewright --output json nonsense", Format::Json),
        ("pipewright --output=json", Format::Json),
        ("pipewright job get -o", Format::Table),
        ("pipewright job get -o table", Format::Table),
        ("pipewright create-pipeline", Format::Json),
        ("pipewright -o table create-pipeline", Format::Json),
        (
            "pipewright pipeline get create-pipeline --nonsense",
            Format::Table,
        ),
        ("pipewright", Format::Table),
    ] {
        let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(format_of(&arguments), expected, "{line}");
    }
}

#[test]
fn what_is_wrong_with_arguments_is_one_line() {
    for (line, expected) in [
        (
            "pipewright create-pipeline",
            "the following required arguments were not provided: --data <JSON>",
        ),
        ("pipewright nonsense", "unrecognized subcommand 'nonsense'"),
        (
            "pipewright runner --capacity 1 list",
            "the subcommand 'list' cannot be used with '--capacity <CAPACITY>'",
        ),
    ] {
        assert_eq!(
            usage_message(&parsed(line).unwrap_err()),
            expected,
            "{line}"
        );
    }
}
