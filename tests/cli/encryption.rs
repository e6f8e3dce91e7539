//! Services with TLS, and all that can be wrong with it.

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

/// A file in a directory of the test, by its path.
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
fn what_is_wrong_with_tls_is_told_with_what_to_try() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let ca = put(directory, "ca.pem", &authority.pem);
    let other_ca = put(directory, "other.pem", &stranger.pem);
    let plain = Recorder::start(Wants::Nothing);
    let tls = Recorder::start_tls(authority.tls("127.0.0.1"));
    let named = Recorder::start_tls(authority.tls("ci.test"));
    let https = |address: SocketAddr| format!("https://{address}");
    let mut story = Vec::new();
    let mut tell = |what: &str, server: &str, arguments: &[&str]| {
        let ran = health(server, arguments);
        let told = ran
            .shown()
            .replace(directory.to_str().unwrap(), "[directory]");
        story.push(format!("{what}\n{told}"));
    };
    tell(
        "its authority is known",
        &https(tls.address),
        &["--ca-cert", &ca],
    );
    tell(
        "its authority is not known",
        &https(tls.address),
        &["--ca-cert", &other_ca],
    );
    tell(
        "it has another name",
        &https(named.address),
        &["--ca-cert", &ca],
    );
    let names = ["--ca-cert", &ca, "--server-name", "ci.test"];
    tell(
        "it has another name, which is given",
        &https(named.address),
        &names,
    );
    tell("it has no TLS", &https(plain.address), &["--ca-cert", &ca]);
    tell(
        "the file is none",
        &https(tls.address),
        &["--ca-cert", "Cargo.toml"],
    );
    tell(
        "the file is absent",
        &https(tls.address),
        &["--ca-cert", "absent.pem"],
    );
    tell(
        "half an identity",
        &https(tls.address),
        &["--ca-cert", &ca, "--client-cert", &ca],
    );
    tell(
        "no TLS is asked for",
        &plain_address(plain.address),
        &["--ca-cert", &ca],
    );
    assert_shown!(story.join("\n\n"));
    // What they answer to what they do not understand may be lost with the connection.
    for not_plain_grpc in [tls.address, http_1()] {
        let told = health(&plain_address(not_plain_grpc), &[]);
        assert_eq!(told.code, Some(7), "{told:?}");
        let hint = "is it an https:// address, or another service?";
        assert!(told.stderr.contains(hint), "{told:?}");
    }
    // Other commands end as soon, and say it once.
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
fn the_systems_authorities_are_trusted_where_none_is_named() {
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

/// Answers whatever comes as an HTTP/1 server does that understands nothing of it.
fn http_1() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            // Closed at once, what came would be answered with a reset that overtakes this.
            thread::spawn(move || std::io::copy(&mut connection, &mut std::io::sink()));
        }
    });
    address
}

#[test]
fn a_client_with_a_certificate_is_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let service = Recorder::start_tls(authority.mutual_tls("127.0.0.1"));
    let server = format!("https://{}", service.address);
    let ca = put(directory, "ca.pem", &authority.pem);
    let identity = |name: &str, authority: &Authority| {
        let (certificate, key) = authority.sign("client.test");
        let certificate = put(directory, &format!("{name}.pem"), &certificate);
        (certificate, put(directory, &format!("{name}.key"), &key))
    };
    let (mine, my_key) = identity("mine", &authority);
    let (theirs, their_key) = identity("theirs", &stranger);
    let with = |certificate: &str, key: &str| {
        let identity = ["--client-cert", certificate, "--client-key", key];
        health(&server, &[&["--ca-cert", &ca], &identity[..]].concat())
    };
    assert_eq!(with(&mine, &my_key).ok(), "SERVING\n");
    let nobody = health(&server, &["--ca-cert", &ca]);
    assert_eq!(nobody.code, Some(7), "{nobody:?}");
    assert!(
        nobody
            .stderr
            .contains(" a client certificate (--client-cert and"),
        "{nobody:?}"
    );
    let refused = with(&theirs, &their_key);
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert!(
        refused.stderr.contains("not accept the client certificate"),
        "{refused:?}"
    );
    let mixed = with(&mine, &their_key);
    assert_eq!(mixed.code, Some(2), "{mixed:?}");
    let told = "theirs.key is not the key of the certificate";
    assert!(mixed.stderr.contains(told), "{mixed:?}");
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
fn a_runner_says_what_is_wrong_with_tls_and_waits() {
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
