//! Limits of wrong credentials.

use tokio::time;

use super::*;

fn is_throttled(answer: &Answer) -> bool {
    matches!(answer, Err(AuthError::TooManyFailures { limit: 3, .. }))
}

#[tokio::test]
async fn wrong_passwords_are_limited_per_address() {
    let (entry, text) = token("ci", "");
    let world = World::new(&(user("ada", "correct horse") + &user("bob", "other horse") + &entry));
    world.basic("ada", "correct horse").await.unwrap();
    for guess in ["a", "b", "c"] {
        let answer = world.basic("ada", guess).await;
        assert_eq!(name(answer), Err(AuthError::Invalid));
    }
    let runs = world.runs();
    assert!(is_throttled(&world.basic("ada", "d").await));
    assert!(is_throttled(&world.basic("bob", "other horse").await));
    assert_eq!(world.runs(), runs, "nothing more is hashed");
    // Known credentials are still accepted, and so are other addresses.
    world.basic("ada", "correct horse").await.unwrap();
    world.bearer(&text).await.unwrap();
    let elsewhere = world.basic_from("bob", "other horse", 2).await;
    assert_eq!(name(elsewhere), known("bob"));
}

#[tokio::test(start_paused = true)]
async fn wrong_tokens_throttle_wrong_tokens_only() {
    let (entry, text) = token("ci", "");
    let world = World::new(&(user("ada", "correct horse") + &entry));
    for _ in 0..3 {
        assert_eq!(name(world.bearer("pw_a_b").await), Err(AuthError::Invalid));
    }
    let refused = world.bearer("pw_a_b").await;
    assert!(is_throttled(&refused), "{refused:?}");
    assert_eq!(name(world.bearer(&text).await), known("ci"));
    world.basic("ada", "correct horse").await.unwrap();
    time::advance(Duration::from_secs(20)).await;
    assert_eq!(name(world.bearer("pw_a_b").await), Err(AuthError::Invalid));
}

#[tokio::test]
async fn correct_passwords_do_not_count() {
    let names: Vec<_> = (0..8).map(|number| format!("user{number}")).collect();
    let text: String = names
        .iter()
        .map(|name| user(name, "correct horse"))
        .collect();
    let world = World::new(&text);
    for name in &names {
        world.basic(name, "correct horse").await.unwrap();
    }
}

#[tokio::test]
async fn a_header_that_is_no_login_counts_too() {
    let world = World::new("");
    for header in ["Basic ???", "Basic YWRh", "Basic "] {
        let answer = world.ask(header, &peer(1)).await;
        assert_eq!(name(answer), Err(AuthError::Invalid), "{header}");
    }
    assert!(is_throttled(&world.ask("Basic ???", &peer(1)).await));
    assert_eq!(world.runs(), 0);
}
