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
        ("token", &["create", "list", "revoke"]),
        ("certificate", &["add", "list", "remove"]),
    ] {
        insta::assert_snapshot!(format!("help_{kind}"), help(&[kind]));
        for name in commands {
            insta::assert_snapshot!(format!("help_{kind}_{name}"), help(&[kind, name]));
        }
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
