//! Which callers are authenticated, and as which principals.

use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

#[tokio::test]
async fn without_credentials_of_its_own_a_service_has_one_caller() {
    let open = Authenticator::open();
    let asked = open.authenticate(Presented::default()).await;
    let session = asked.unwrap();
    assert_eq!(session.principal.name, "anonymous");
    assert_eq!(session.principal.grants, Grants::everything());

    let locked = Authenticator::token("open sesame".into());
    let ask = async |header: Option<&'static str>| {
        let authorization = header.map(str::as_bytes);
        let peer = None;
        let presented = Presented {
            authorization,
            peer,
        };
        name(locked.authenticate(presented).await)
    };
    assert_eq!(ask(Some("Bearer open sesame")).await, known("local"));
    assert_eq!(ask(None).await, Err(AuthError::Missing));
    for wrong in [
        "Bearer open",
        "Bearer open sesame!",
        "open sesame",
        "Bearer ",
        "",
    ] {
        assert_eq!(ask(Some(wrong)).await, Err(AuthError::Invalid), "{wrong}");
    }
    assert!(!format!("{locked:?}").contains("sesame"));
}

#[tokio::test]
async fn users_and_tokens_are_known_by_what_they_show() {
    let (entry, text) = token("ci", "");
    let world = World::new(&(user("ada", "correct horse") + &entry));
    assert_eq!(
        name(world.basic("ada", "correct horse").await),
        known("ada")
    );
    assert_eq!(name(world.bearer(&text).await), known("ci"));
    let wrong = Err(AuthError::Invalid);
    assert_eq!(name(world.basic("ada", "correct horsE").await), wrong);
    assert_eq!(name(world.basic("ci", &text).await), wrong);
    assert_eq!(name(world.bearer(&text[..text.len() - 1]).await), wrong);
    let nothing = world.authenticator.authenticate(Presented::default()).await;
    assert_eq!(name(nothing), Err(AuthError::Missing));
}

#[tokio::test]
async fn a_token_is_good_until_its_time_and_its_streams_end_then() {
    let (entry, text) = token("ci", "expire_time = \"2026-11-21T11:00:00Z\"");
    let world = World::new(&entry);
    let session = world.bearer(&text).await.unwrap();
    let logins = world.authenticator.logins();
    world.advance(Duration::from_secs(3599));
    logins.refresh();
    assert_eq!(name(world.bearer(&text).await), known("ci"));
    assert!(!session.ended.is_cancelled());
    world.advance(Duration::from_secs(1));
    assert_eq!(name(world.bearer(&text).await), Err(AuthError::Invalid));
    logins.refresh();
    assert!(session.ended.is_cancelled());
}

#[tokio::test]
async fn unknown_names_are_checked_like_a_wrong_password() {
    let world = World::new(&user("ada", "correct horse"));
    let wrong = Err(AuthError::Invalid);
    assert_eq!(name(world.basic("ada", "guess").await), wrong);
    assert_eq!(world.runs(), 1);
    assert_eq!(name(world.basic("bob", "guess").await), wrong);
    assert_eq!(world.runs(), 2);
    // The decoy has the hash parameters of an existing user.
    let known = world.authenticator.logins().known.load_full();
    let work = |name| {
        let text = known.by_name(name).0.text();
        text.split('$').nth(3).unwrap().to_owned()
    };
    assert_eq!(work("bob"), work("ada"));
    assert_eq!(work("bob"), "m=7168,t=1,p=1");
    // Without any user, the decoy has the usual parameters.
    let empty = World::new("");
    assert_eq!(name(empty.basic("ada", "guess").await), wrong);
    assert_eq!(empty.runs(), 1);
}

#[tokio::test]
async fn a_password_is_hashed_once_and_not_for_each_call() {
    let world = World::new(&user("ada", "correct horse"));
    let calls = (0..50).map(|_| world.basic("ada", "correct horse"));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    world.basic("ada", "correct horse").await.unwrap();
    assert_eq!(world.runs(), 1);
    world.rewrite(&(user("bob", "other horse") + &user("ada", "correct horse")));
    world.authenticator.reload().unwrap();
    world.basic("ada", "correct horse").await.unwrap();
    assert_eq!(world.runs(), 2, "a reload drops what was found");
}

fn certificate(names: &[&str], common_name: &str, year: i32) -> Peer {
    let mut params = CertificateParams::default();
    let uri = |name: &&str| SanType::URI((*name).try_into().unwrap());
    params.subject_alt_names = names.iter().map(uri).collect();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    Peer {
        certificate: Some(params.self_signed(&key).unwrap().der().as_ref().into()),
        ..peer(1)
    }
}

#[tokio::test]
async fn a_certificate_is_known_by_its_names() {
    let world = World::new(
        "[[certificates]]\nname = 'seven'\nsubject_alt_name = 'spiffe://ci/7'\nroles = { '*' = 'runner' }\n\
         [[certificates]]\nname = 'eight'\nsubject_alt_name = 'spiffe://ci/8'\nroles = { '*' = 'runner' }\n\
         [[certificates]]\nname = 'nine'\ncommon_name = 'runner 9'\nroles = { '*' = 'runner' }\n",
    );
    let ask = async |peer: &Peer| {
        let presented = Presented {
            authorization: None,
            peer: Some(peer),
        };
        name(world.authenticator.authenticate(presented).await)
    };
    let seven = certificate(&["spiffe://ci/7"], "x", 2100);
    assert_eq!(ask(&seven).await, known("seven"));
    assert_eq!(ask(&seven).await, known("seven"), "from the cache");
    let nine = certificate(&[], "runner 9", 2100);
    assert_eq!(ask(&nine).await, known("nine"));
    let named_twice = certificate(&["spiffe://ci/8"], "runner 9", 2100);
    assert_eq!(ask(&named_twice).await, known("eight"));
    for unknown in [
        certificate(&["spiffe://ci/7", "spiffe://ci/8"], "x", 2100),
        certificate(&["spiffe://ci/70"], "x", 2100),
        certificate(&["spiffe://ci/7"], "x", 2020),
    ] {
        assert_eq!(ask(&unknown).await, Err(AuthError::Invalid));
    }
    let answer = world.ask("Bearer x", &seven).await;
    assert_eq!(name(answer), Err(AuthError::Invalid), "a header wins");
}
