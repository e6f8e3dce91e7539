//! Who has the last word, as a table.

use secrecy::ExposeSecret;

use super::*;

/// Reads `server=.. token=.. user=.. password=.. ca=.. cert=..`.
fn given(text: &str) -> ConnectionOptions {
    let mut given = ConnectionOptions::default();
    for (key, value) in text
        .split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
    {
        match key {
            "server" => given.server = Some(value.parse().unwrap()),
            "token" => given.token = Some(value.into()),
            "file" => given.token_file = Some(value.into()),
            "user" => given.username = Some(value.to_owned()),
            "password" => given.password = Some(value.into()),
            "ca" => given.tls.ca_cert = Some(value.into()),
            "cert" => given.tls.client_cert = Some(value.into()),
            "key" => given.tls.client_key = Some(value.into()),
            "name" => given.tls.server_name = Some(value.to_owned()),
            _ => panic!("{key}"),
        }
    }
    given
}

fn shown(caller: &Caller) -> String {
    match caller {
        Caller::Anonymous => "anonymous".to_owned(),
        Caller::Token(token) => format!("token {}", token.expose_secret()),
        Caller::TokenFile(file) => format!("file {}", file.display()),
        Caller::User(name, Some(password)) => format!("{name}:{}", password.expose_secret()),
        Caller::User(name, None) => format!("{name}?"),
    }
}

fn settled(flags: &str, environment: &str, context: &str) -> String {
    let context = (!context.is_empty()).then(|| ("prod", given(context)));
    match settle(given(flags), given(environment), context) {
        Ok(target) => format!("{} {}", target.server, shown(&target.caller)),
        Err(error) => error,
    }
}

#[test]
fn each_option_is_the_flags_then_the_environments_then_the_contexts() {
    let local = "http://127.0.0.1:50051";
    for (flags, environment, context, expected) in [
        ("", "", "", format!("{local} anonymous")),
        (
            "",
            "",
            "server=b:1 token=c",
            "http://b:1 token c".to_owned(),
        ),
        ("", "", "token=c", format!("{local} token c")),
        ("token=f", "token=e", "token=c", format!("{local} token f")),
        ("file=f", "token=e", "token=c", format!("{local} file f")),
        ("", "token=e", "token=c", format!("{local} token e")),
        ("", "", "file=c", format!("{local} file c")),
        // A user sets a token of a later place aside, and the other way round.
        ("user=f", "token=e", "token=c", format!("{local} f?")),
        ("user=f password=g", "", "token=c", format!("{local} f:g")),
        (
            "token=f",
            "user=e password=e",
            "",
            format!("{local} token f"),
        ),
        (
            "",
            "token=e",
            "user=c password=c",
            format!("{local} token e"),
        ),
        ("", "user=e", "token=c", format!("{local} e?")),
        // A password may come from elsewhere, a context's only for its own user.
        ("user=f", "password=e", "", format!("{local} f:e")),
        ("password=f", "user=e", "", format!("{local} e:f")),
        (
            "password=f",
            "",
            "user=c password=d",
            format!("{local} c:f"),
        ),
        (
            "",
            "password=e",
            "user=c password=d",
            format!("{local} c:e"),
        ),
        ("user=c", "", "user=c password=d", format!("{local} c:d")),
        ("user=f", "", "user=c password=d", format!("{local} f?")),
        // One that goes with nothing is nothing.
        ("", "password=e", "token=c", format!("{local} token c")),
        ("", "password=e", "", format!("{local} anonymous")),
        (
            "password=f",
            "",
            "",
            "--password needs --username".to_owned(),
        ),
        // The context's credentials are for its own server.
        (
            "server=b:1",
            "",
            "server=b:1 token=c",
            "http://b:1 token c".to_owned(),
        ),
        (
            "server=b:2",
            "",
            "server=b:1 token=c",
            "http://b:2 anonymous".to_owned(),
        ),
        (
            "",
            "server=b:2",
            "server=b:1 token=c",
            "http://b:2 anonymous".to_owned(),
        ),
        (
            "server=https://b:1",
            "",
            "server=b:1 token=c",
            "https://b:1 anonymous".to_owned(),
        ),
        (
            "server=b:2 user=c",
            "",
            "server=b:1 user=c password=d",
            "http://b:2 c?".to_owned(),
        ),
        (
            "server=b:2",
            "",
            "token=c",
            "http://b:2 anonymous".to_owned(),
        ),
        (
            "server=a:1",
            "server=b:1",
            "server=c:1",
            "http://a:1 anonymous".to_owned(),
        ),
    ] {
        let told = settled(flags, environment, context);
        assert_eq!(told, expected, "{flags} | {environment} | {context}");
    }
}

#[test]
fn two_callers_at_one_place_are_refused() {
    assert!(settled("token=a user=b", "", "").contains("both given"));
    assert!(settled("", "token=a user=b", "").contains("both set"));
    // The command line has decided it.
    assert!(settled("user=f", "token=a user=b", "").contains("f?"));
}

#[test]
fn credentials_that_are_not_sent_are_reported_if_none_replace_them() {
    let notice = |flags: &str, context: &str| {
        let settled = settle(
            given(flags),
            ConnectionOptions::default(),
            Some(("prod", given(context))),
        );
        settled.unwrap().notice
    };
    let told = "the credentials of context `prod` are for http://b:1 and not sent to http://b:2";
    for context in ["token=secret", "user=u", "cert=c key=k"] {
        let context = format!("server=b:1 {context}");
        assert_eq!(notice("server=b:2", &context).as_deref(), Some(told));
        assert_eq!(notice("server=b:2 token=t", &context), None);
        assert_eq!(notice("server=b:1", &context), None);
    }
    assert_eq!(notice("server=b:2", "server=b:1"), None);
}

#[test]
fn a_key_comes_with_its_certificate_and_trust_with_its_server() {
    let tls = |flags: &str, context: &str| {
        settle(
            given(flags),
            ConnectionOptions::default(),
            Some(("prod", given(context))),
        )
        .unwrap()
        .tls
    };
    let context = "server=https://b cert=c key=k ca=a name=n";
    assert_eq!(tls("", context), given(context).tls);
    let settled = tls("cert=f key=g", context);
    assert_eq!(settled, given("cert=f key=g ca=a name=n").tls);
    assert_eq!(
        tls("ca=x name=y", context),
        given("cert=c key=k ca=x name=y").tls
    );
    assert_eq!(tls("server=https://d", context), TlsFiles::default());
}
