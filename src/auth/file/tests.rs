//! The file as users and commands write it.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::SystemTime};

use super::{read::entries, *};
use crate::auth::{Grants, NewToken, PasswordHash, Principal, Proof, Token};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn a_file_of_all_kinds() {
    let sha256 = "ab".repeat(32);
    let text = format!(
        r#"
        [[users]]
        name = "ada"
        password = "{HASH}"
        roles = {{ shop = ["developer", "deployer"], "*" = "viewer" }}
        [[tokens]]
        name = "ci"
        id = "0a1b"
        sha256 = "{sha256}"
        create_time = "2026-11-21T10:00:00Z"
        expire_time = 2027-11-21T10:00:00Z
        [tokens.roles]
        shop = "admin"
        [[certificates]]
        name = "runner-7"
        subject_alt_name = "spiffe://ci.test/runner/7"
        roles = {{ "*" = ["runner"] }}
        [[certificates]]
        name = "runner-8"
        common_name = "runner 8"
        roles = {{ "*" = ["runner"] }}
        "#
    );
    let entries = entries(&text).unwrap();
    insta::assert_debug_snapshot!(entries);
    assert!(!format!("{entries:?}").contains("AAAA"));
}

#[test]
fn all_errors_are_reported_with_their_lines_and_no_hash() {
    let weak = HASH.replace("m=19456", "m=16");
    let text = format!(
        r#"[[users]]
name = "ada"
password = "{weak}"
roles = {{ shop = ["boss"], "Shop!" = "viewer" }}
[[users]]
name = "local"
pasword = "{HASH}"
roles = {{ shop = "runner", bank = [] }}
[[tokens]]
name = "ada"
id = "a_b"
sha256 = "abcd"
expire_time = "tomorrow"
roles = "{HASH}"
[[certificates]]
name = "a b"
common_name = "x"
subject_alt_name = "y"
roles = {{ }}
[[certificates]]
name = 7
common_name = ""
[user]
[tokens2]
"#
    );
    let told = entries(&text).unwrap_err().to_string();
    assert!(!told.contains("AAAA"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_toml_syntax_error_is_reported_with_its_line_and_no_hash() {
    let told = entries(&format!("[[users]]\nname = \"ada\"\npassword = {HASH}\n")).unwrap_err();
    assert!(!told.to_string().contains("AAAA"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn names_ids_and_subjects_are_unique() {
    let token = |name: &str| {
        let sha256 = "ab".repeat(32);
        format!("[[tokens]]\nname='{name}'\nid='x'\nsha256='{sha256}'\nroles={{'*'='viewer'}}\n")
    };
    let certificate = |name: &str| {
        format!("[[certificates]]\nname='{name}'\ncommon_name='x'\nroles={{'*'='viewer'}}\n")
    };
    let text = [
        token("a"),
        token("b"),
        certificate("c"),
        certificate("d"),
        certificate("a"),
    ]
    .concat();
    insta::assert_snapshot!(entries(&text).unwrap_err());
}

struct Place {
    directory: tempfile::TempDir,
    file: CredentialsFile,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let file = CredentialsFile::new(directory.path().join("made/credentials.toml"));
    Place { directory, file }
}

fn grants(text: &str) -> Grants {
    text.split(' ')
        .map(|grant| grant.parse().unwrap())
        .collect()
}

fn user(name: &str) -> Entry {
    let name = name.to_owned();
    let grants = grants("shop=developer viewer");
    Entry {
        principal: Principal { name, grants },
        proof: Proof::Password(PasswordHash::parse(HASH).unwrap()),
    }
}

fn certificate(name: &str, subject: &str) -> Entry {
    let proof = Proof::Certificate(Subject::AltName(subject.to_owned()));
    Entry {
        proof,
        ..user(name)
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn added_entries_are_read_back() {
    let Place { file, .. } = place();
    let new = NewToken::random();
    let token = Token {
        id: new.id,
        hash: new.hash,
        create_time: Some(SystemTime::UNIX_EPOCH),
        expire_time: Some(SystemTime::UNIX_EPOCH),
        replaced: None,
    };
    let token = Entry {
        proof: Proof::Token(token),
        ..user("ci")
    };
    let all = [user("ada"), user("bob"), token, certificate("seven", "x:y")];
    for entry in &all {
        file.change(|draft| draft.add(entry)).unwrap();
    }
    assert_eq!(file.entries().unwrap(), all);
    assert_eq!(mode(file.path()), 0o600);
    assert_eq!(mode(file.path().parent().unwrap()), 0o700);
    let text = fs::read_to_string(file.path()).unwrap();
    let filters = vec![(r#"(id|sha256) = "[0-9a-f]+""#, "$1 = [$1]")];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!(text) });
}

#[test]
fn comments_and_formatting_are_preserved() {
    let Place { file, directory } = place();
    fs::create_dir(directory.path().join("made")).unwrap();
    let text = format!(
        "# Of the whole file.\n\n# Of Ada.\n[[users]]\nname = \"ada\" # Lovelace\n\
         password = '{HASH}' # old\nroles = {{ '*' = 'viewer' }} # why\n\n\
         # Of Bob.\n[[users]]\nname = \"bob\"\npassword = '{HASH}'\nroles = {{ '*' = 'viewer' }}\n\
         # At the end.\n"
    );
    fs::write(file.path(), text).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let hash = PasswordHash::weak("correct horse");
    let set = file.change(|draft| {
        draft.set_password("ada", &hash)?;
        draft.set_roles(Kind::User, "ada", &grants("shop=admin"))?;
        draft.add(&user("eve"))
    });
    set.unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    let text = text.replace(&hash.text(), "[new hash]");
    insta::assert_snapshot!("changed", text);
    assert_eq!(mode(file.path()), 0o640, "as it was");
    file.change(|draft| draft.remove(Kind::User, "ada"))
        .unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    insta::assert_snapshot!("removed", text);
    file.change(|draft| draft.remove(Kind::User, "bob"))
        .unwrap();
    file.change(|draft| draft.remove(Kind::User, "eve"))
        .unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    insta::assert_snapshot!("emptied", text);
    file.change(|draft| draft.add(&user("ada"))).unwrap();
    assert_eq!(file.entries().unwrap(), [user("ada")]);
}

#[test]
fn a_failed_change_is_reported_and_changes_nothing() {
    let Place { file, .. } = place();
    let add = |entry: Entry| file.change(|draft| draft.add(&entry));
    add(user("ada")).unwrap();
    add(certificate("seven", "x:y")).unwrap();
    let before = fs::read(file.path()).unwrap();
    let remove = |kind, name: &str| file.change(|draft| draft.remove(kind, name)).unwrap_err();
    let told = [
        add(certificate("ada", "x:z")).unwrap_err(),
        add(certificate("eight", "x:y")).unwrap_err(),
        add(user("a b")).unwrap_err(),
        remove(Kind::User, "bob"),
        remove(Kind::Token, "ada"),
        file.change(|draft| draft.set_password("seven", &PasswordHash::usual_decoy()))
            .unwrap_err(),
    ];
    let told: Vec<_> = told.iter().map(ToString::to_string).collect();
    let told = told
        .join("\n")
        .replace(file.path().to_str().unwrap(), "[path]");
    insta::assert_snapshot!(told);
    assert_eq!(fs::read(file.path()).unwrap(), before);
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let Place { file, .. } = place();
    assert!(matches!(
        file.entries(),
        Err(CredentialsError::Missing { .. })
    ));
    file.change(|draft| draft.add(&user("ada"))).unwrap();
    for (bits, is_refused) in [
        (0o600, false),
        (0o400, false),
        (0o640, false),
        (0o644, true),
        (0o660, true),
        (0o602, true),
    ] {
        fs::set_permissions(file.path(), fs::Permissions::from_mode(bits)).unwrap();
        let read = file.entries();
        assert_eq!(read.is_err(), is_refused, "{bits:o}");
        if let Err(error) = read {
            assert!(error.to_string().contains("chmod 600"), "{error}");
            assert!(file.change(|draft| draft.add(&user("bob"))).is_err());
        }
    }
}

#[test]
fn concurrent_changes_lose_none() {
    let Place { file, .. } = place();
    let names: Vec<_> = (0..16).map(|number| format!("user{number}")).collect();
    thread::scope(|scope| {
        for name in &names {
            let file = &file;
            scope.spawn(move || file.change(|draft| draft.add(&user(name))).unwrap());
        }
    });
    assert_eq!(file.entries().unwrap().len(), names.len());
}

#[test]
fn a_link_stays_a_link() {
    let Place { file, directory } = place();
    file.change(|draft| draft.add(&user("ada"))).unwrap();
    let link = directory.path().join("link.toml");
    std::os::unix::fs::symlink(file.path(), &link).unwrap();
    let linked = CredentialsFile::new(link.clone());
    linked.change(|draft| draft.add(&user("bob"))).unwrap();
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert_eq!(file.entries().unwrap().len(), 2);
}
