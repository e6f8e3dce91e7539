//! Services with TLS, and the errors of a wrong TLS setup.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
};

use rustix::process::Signal;

use crate::{
    binary::{Ran, Running, assert_shown, pipewright, run},
    recorder::{Authority, Recorder, Wants},
};

/// Writes a file into the directory of the test, and returns its path.
fn put(directory: &Path, name: &str, text: &str) -> String {
    let file = directory.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

fn health(server: &str, arguments: &[&str]) -> Ran {
    run(&[&["health", "--server", server], arguments].concat())
}

#[test]
fn tls_errors_have_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (authority, untrusted) = (Authority::new("ours"), Authority::new("theirs"));
    let ca = put(directory, "ca.pem", &authority.pem);
    let other_ca = put(directory, "other.pem", &untrusted.pem);
    let plain = Recorder::start(Wants::Nothing);
    let tls = Recorder::start_tls(authority.tls("127.0.0.1"));
    let named = Recorder::start_tls(authority.tls("ci.test"));
    let https = |address: SocketAddr| format!("https://{address}");
    let mut transcript = Vec::new();
    let mut record = |what: &str, server: &str, arguments: &[&str]| {
        let ran = health(server, arguments);
        let shown = ran
            .shown()
            .replace(directory.to_str().unwrap(), "[directory]");
        transcript.push(format!("{what}\n{shown}"));
    };
    record(
        "its authority is known",
        &https(tls.address),
        &["--ca-cert", &ca],
    );
    record(
        "its authority is not known",
        &https(tls.address),
        &["--ca-cert", &other_ca],
    );
    record(
        "it has another name",
        &https(named.address),
        &["--ca-cert", &ca],
    );
    let names = ["--ca-cert", &ca, "--server-name", "ci.test"];
    record(
        "it has another name, which is given",
        &https(named.address),
        &names,
    );
    record("it has no TLS", &https(plain.address), &["--ca-cert", &ca]);
    record(
        "the file is none",
        &https(tls.address),
        &["--ca-cert", "Cargo.toml"],
    );
    record(
        "the file is absent",
        &https(tls.address),
        &["--ca-cert", "absent.pem"],
    );
    record(
        "half an identity",
        &https(tls.address),
        &["--ca-cert", &ca, "--client-cert", &ca],
    );
    record(
        "no TLS is asked for",
        &plain_address(plain.address),
        &["--ca-cert", &ca],
    );
    assert_shown!(transcript.join("\n\n"));
    // The response to bytes that the server does not understand may be lost with the
    // connection.
    for not_plain_grpc in [tls.address, http_1()] {
        let refused = health(&plain_address(not_plain_grpc), &[]);
        assert_eq!(refused.code, Some(7), "{refused:?}");
        let hint = "is it an https:// address, or another service?";
        assert!(refused.stderr.contains(hint), "{refused:?}");
    }
    // Other commands fail as quickly, and print the error once.
    let list = run(&[
        "pipeline",
        "list",
        "--server",
        &https(tls.address),
        "--ca-cert",
        &other_ca,
    ]);
    assert_eq!(list.code, Some(7), "{list:?}");
    assert_eq!(list.stderr.matches("--ca-cert").count(), 1, "{list:?}");
}

#[test]
fn the_systems_authorities_are_trusted_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let service = Recorder::start_tls(authority.tls("127.0.0.1"));
    let server = format!("https://{}", service.address);
    let empty = put(directory.path(), "empty.pem", "");
    let ca = put(directory.path(), "ca.pem", &authority.pem);
    let asked = |roots: &str| {
        let mut command = pipewright(&["health", "--server", &server]);
        command
            .env("SSL_CERT_FILE", roots)
            .env_remove("SSL_CERT_DIR");
        Ran::of(command.output().unwrap())
    };
    assert_eq!(asked(&ca).ok(), "SERVING\n");
    let without = asked(&empty);
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("--ca-cert"), "{without:?}");
}

fn plain_address(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Responds to any input like an HTTP/1 server that does not understand it.
fn http_1() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            // Closing immediately would send a reset for the unread input, which overtakes the
            // response.
            thread::spawn(move || std::io::copy(&mut connection, &mut std::io::sink()));
        }
    });
    address
}

#[test]
fn a_client_with_a_certificate_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (authority, untrusted) = (Authority::new("ours"), Authority::new("theirs"));
    let service = Recorder::start_tls(authority.mutual_tls("127.0.0.1"));
    let server = format!("https://{}", service.address);
    let ca = put(directory, "ca.pem", &authority.pem);
    let identity = |name: &str, authority: &Authority| {
        let (certificate, key) = authority.sign("client.test");
        let certificate = put(directory, &format!("{name}.pem"), &certificate);
        (certificate, put(directory, &format!("{name}.key"), &key))
    };
    let (mine, my_key) = identity("mine", &authority);
    let (theirs, their_key) = identity("theirs", &untrusted);
    let with = |certificate: &str, key: &str| {
        let identity = ["--client-cert", certificate, "--client-key", key];
        health(&server, &[&["--ca-cert", &ca], &identity[..]].concat())
    };
    assert_eq!(with(&mine, &my_key).ok(), "SERVING\n");
    let anonymous = health(&server, &["--ca-cert", &ca]);
    assert_eq!(anonymous.code, Some(7), "{anonymous:?}");
    assert!(
        anonymous
            .stderr
            .contains(" a client certificate (--client-cert and"),
        "{anonymous:?}"
    );
    let refused = with(&theirs, &their_key);
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert!(
        refused.stderr.contains("not accept the client certificate"),
        "{refused:?}"
    );
    let mixed = with(&mine, &their_key);
    assert_eq!(mixed.code, Some(2), "{mixed:?}");
    let expected = "theirs.key is not the key of the certificate";
    assert!(mixed.stderr.contains(expected), "{mixed:?}");
}

#[test]
fn a_runner_registers_over_tls_with_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let service = Recorder::start_tls(authority.tls("127.0.0.1"));
    let ca = put(directory.path(), "ca.pem", &authority.pem);
    let token = put(directory.path(), "token", "of-runner\n");
    let server = format!("https://{}", service.address);
    let mut command = pipewright(&["runner", "--server", &server]);
    command
        .args(["--ca-cert", &ca, "--token-file", &token, "--workspace-dir"])
        .arg(directory.path().join("workspaces"));
    let mut runner = Running::start(&mut command);
    runner.until_stderr("registered");
    let seen = service.take("authorization");
    assert!(!seen.is_empty());
    for sent in seen {
        assert_eq!(sent.as_deref(), Some("Bearer of-runner"));
    }
    runner.signal(Signal::TERM);
    runner.until_stderr("stopping");
    runner.signal(Signal::TERM);
    runner.wait();
}

#[test]
fn a_runner_logs_tls_errors_and_waits() {
    let directory = tempfile::tempdir().unwrap();
    let service = Recorder::start_tls(Authority::new("theirs").tls("127.0.0.1"));
    let ca = put(directory.path(), "ca.pem", &Authority::new("ours").pem);
    let server = format!("https://{}", service.address);
    let mut command = pipewright(&["runner", "--server", &server, "--ca-cert", &ca]);
    command
        .arg("--workspace-dir")
        .arg(directory.path().join("workspaces"));
    let mut runner = Running::start(&mut command);
    let line = runner.until_stderr("could not register");
    assert!(
        line.contains("name the authority's with --ca-cert") && line.contains(&server),
        "{line}"
    );
}
