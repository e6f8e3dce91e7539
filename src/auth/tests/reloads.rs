//! A file that changes under a running service.

use tokio::time;

use super::*;

#[tokio::test]
async fn changed_sessions_end_and_unchanged_ones_continue() {
    let (ci, ci_text) = token("ci", "");
    let (old, old_text) = token("old", "");
    let ada = user("ada", "correct horse");
    let world = World::new(&format!("{ada}{ci}{old}"));
    let kept = world.bearer(&ci_text).await.unwrap();
    let gone = world.bearer(&old_text).await.unwrap();
    let changed = world.basic("ada", "correct horse").await.unwrap();

    let (new, new_text) = token("new", "");
    let ada = user("ada", "another horse");
    world.rewrite(&format!("# a comment\n{new}{ci}{ada}"));
    world.authenticator.reload().unwrap();
    assert!(!kept.ended.is_cancelled());
    assert!(gone.ended.is_cancelled() && changed.ended.is_cancelled());
    assert!(Arc::ptr_eq(&kept, &world.bearer(&ci_text).await.unwrap()));
    let wrong = Err(AuthError::Invalid);
    assert_eq!(name(world.bearer(&old_text).await), wrong);
    assert_eq!(name(world.bearer(&new_text).await), known("new"));
    assert_eq!(name(world.basic("ada", "correct horse").await), wrong);
    let again = world.basic("ada", "another horse").await.unwrap();
    assert!(!again.ended.is_cancelled());

    // Other roles or another expiry are a change, too.
    let ci = ci.replace("viewer", "admin");
    world.rewrite(&format!("{new}{ci}{ada}"));
    world.authenticator.reload().unwrap();
    assert!(kept.ended.is_cancelled() && !again.ended.is_cancelled());
    let session = world.bearer(&ci_text).await.unwrap();
    assert!(session.principal.grants.allow_in("shop", Role::Admin));
    let ci = ci.replace("roles", "expire_time = 2030-01-01T00:00:00Z\nroles");
    world.rewrite(&ci);
    world.authenticator.reload().unwrap();
    assert!(session.ended.is_cancelled() && again.ended.is_cancelled());
}

#[tokio::test]
async fn a_replaced_token_is_valid_for_its_overlap() {
    let (old, old_text) = token("ci", "");
    let world = World::new(&old);
    let session = world.bearer(&old_text).await.unwrap();
    let overlap = Duration::from_secs(3600);
    let (new, new_text) = rotated(&world, overlap);
    world.authenticator.reload().unwrap();
    // Open calls continue, and calls of both tokens are those of one principal.
    assert!(!session.ended.is_cancelled());
    for text in [&old_text, &new_text] {
        assert_eq!(name(world.bearer(text).await), known("ci"));
    }
    let current = world.bearer(&new_text).await.unwrap();

    world.advance(overlap);
    let wrong = Err(AuthError::Invalid);
    assert_eq!(name(world.bearer(&old_text).await), wrong);
    world.authenticator.logins().refresh();
    assert!(session.ended.is_cancelled() && !current.ended.is_cancelled());
    assert_eq!(name(world.bearer(&new_text).await), known("ci"));

    // When the replaced token is revoked, the other one stays valid.
    CredentialsFile::new(world.path.clone())
        .change(|draft| {
            assert_eq!(draft.revoke_replaced("nothing"), None);
            Ok(draft.revoke_replaced(&new.replaced.as_ref().unwrap().id))
        })
        .unwrap();
    world.authenticator.reload().unwrap();
    assert!(!current.ended.is_cancelled());
    assert_eq!(name(world.bearer(&new_text).await), known("ci"));
}

#[tokio::test]
async fn a_replaced_token_can_be_revoked_and_goes_with_the_next_rotation() {
    let (old, old_text) = token("ci", "");
    let world = World::new(&old);
    let first = world.bearer(&old_text).await.unwrap();
    let (_, second_text) = rotated(&world, Duration::from_secs(3600));
    world.authenticator.reload().unwrap();
    let second = world.bearer(&second_text).await.unwrap();
    let (third, third_text) = rotated(&world, Duration::from_secs(3600));
    world.authenticator.reload().unwrap();
    assert!(first.ended.is_cancelled() && !second.ended.is_cancelled());
    assert_eq!(name(world.bearer(&old_text).await), Err(AuthError::Invalid));
    assert_eq!(name(world.bearer(&second_text).await), known("ci"));
    let file = CredentialsFile::new(world.path.clone());
    let replaced = third.replaced.unwrap().id;
    let revoked = file.change(|draft| Ok(draft.revoke_replaced(&replaced)));
    assert_eq!(revoked.unwrap().as_deref(), Some("ci"));
    world.authenticator.reload().unwrap();
    assert!(second.ended.is_cancelled());
    assert_eq!(name(world.bearer(&third_text).await), known("ci"));
    // A change of roles ends the sessions of both.
    let (_, fourth_text) = rotated(&world, Duration::from_secs(3600));
    world.authenticator.reload().unwrap();
    let (third, fourth) = (
        world.bearer(&third_text).await.unwrap(),
        world.bearer(&fourth_text).await.unwrap(),
    );
    let text = fs::read_to_string(&world.path).unwrap();
    world.rewrite(&text.replace("viewer", "admin"));
    world.authenticator.reload().unwrap();
    assert!(third.ended.is_cancelled() && fourth.ended.is_cancelled());
    let again = world.bearer(&third_text).await.unwrap();
    assert!(again.principal.grants.allow_in("shop", Role::Admin));
}

/// Replaces the token `ci` as the command does. Returns the stored part of the new one, and
/// its text.
fn rotated(world: &World, overlap: Duration) -> (Token, String) {
    let new = NewToken::random();
    let file = CredentialsFile::new(world.path.clone());
    let token = file.change(|draft| {
        let old = draft.token("ci")?;
        let token = Token {
            id: new.id.clone(),
            hash: new.hash,
            create_time: None,
            expire_time: None,
            replaced: Some(Replaced {
                id: old.id.clone(),
                hash: old.hash,
                expire_time: *world.now.lock() + overlap,
            }),
        };
        draft.set_token("ci", &token)?;
        Ok(token)
    });
    (token.unwrap(), new.text.expose_secret().to_owned())
}

#[tokio::test(start_paused = true)]
async fn changes_of_principals_are_notified() {
    let (ci, _) = token("ci", "expire_time = 2026-11-21T11:00:00Z\n");
    let world = World::new(&ci);
    let viewers = || world.authenticator.everywhere(Role::Viewer).unwrap();
    assert!(viewers().contains("ci"));
    assert!(
        world
            .authenticator
            .everywhere(Role::Admin)
            .unwrap()
            .is_empty()
    );
    world.advance(Duration::from_secs(3600));
    world.authenticator.logins().refresh();
    world.authenticator.changed().await;
    assert!(viewers().is_empty());
    world.rewrite("");
    world.authenticator.reload().unwrap();
    world.authenticator.changed().await;
    assert!(Authenticator::open().everywhere(Role::Admin).is_none());
}

/// A call may have looked up its caller just before a reload.
#[tokio::test]
async fn a_valid_token_is_never_refused_during_a_reload() {
    let (ci, ci_text) = token("ci", "");
    let (old, old_text) = token("old", "");
    let world = World::new(&format!("{ci}{old}"));
    let logins = world.authenticator.logins();
    let before = logins.known.load_full();
    world.rewrite(&ci.replace("viewer", "admin"));
    world.authenticator.reload().unwrap();
    let session = logins.by_token(&before, ci_text.as_bytes()).unwrap();
    assert!(session.principal.grants.allow_in("shop", Role::Admin));
    assert!(logins.by_token(&before, old_text.as_bytes()).is_none());
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let (ci, text) = token("ci", "");
    let world = World::new(&ci);
    let session = world.bearer(&text).await.unwrap();
    let logins = world.authenticator.logins();
    for broken in ["[[tokens", "[[tokens]]\nname = 'ci'"] {
        world.rewrite(broken);
        logins.refresh();
        assert!(world.authenticator.reload().is_err());
    }
    fs::remove_file(&world.path).unwrap();
    logins.refresh();
    assert!(!session.ended.is_cancelled());
    assert_eq!(name(world.bearer(&text).await), known("ci"));
    world.rewrite("");
    logins.refresh();
    assert!(session.ended.is_cancelled());
    assert_eq!(name(world.bearer(&text).await), Err(AuthError::Invalid));
}

#[tokio::test]
async fn a_file_is_read_again_only_when_it_changed() {
    let (ci, text) = token("ci", "");
    let world = World::new(&ci);
    let logins = world.authenticator.logins();
    let before = logins.known.load_full();
    logins.refresh();
    assert!(Arc::ptr_eq(&before, &logins.known.load_full()));
    // Of the same length, so that only inode and time differ.
    world.rewrite(&ci.replace("\"ci\"", "\"cd\""));
    logins.refresh();
    assert_eq!(name(world.bearer(&text).await), known("cd"));
    fs::set_permissions(&world.path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(world.authenticator.reload().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_change_is_found_by_itself() {
    let (ci, text) = token("ci", "");
    let world = World::new(&ci);
    let session = world.bearer(&text).await.unwrap();
    let follower = tokio::spawn(world.authenticator.follow());
    world.rewrite("");
    time::timeout(Duration::from_secs(5), session.ended.cancelled())
        .await
        .unwrap();
    drop(world);
    follower.await.unwrap();
}

#[tokio::test]
async fn without_a_file_nothing_is_followed() {
    let open = Arc::new(Authenticator::open());
    open.follow().await;
    open.reload().unwrap();
}

/// A password whose user is removed during the check is refused.
#[test]
fn a_login_that_a_reload_overtakes_is_refused() {
    // One thread for passwords, so that this one waits until the file has changed.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let holding = tokio::task::spawn_blocking(move || held.recv());
        let world = World::new(&user("ada", "correct horse"));
        let mut login = Box::pin(world.basic("ada", "correct horse"));
        assert!(futures_util::poll!(&mut login).is_pending());
        world.rewrite("");
        world.authenticator.reload().unwrap();
        go_on.send(()).unwrap();
        assert_eq!(name(login.await), Err(AuthError::Invalid));
        holding.await.unwrap().unwrap();
    });
}
