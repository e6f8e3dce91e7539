//! Directories that cannot be used, and databases that are not as they should be.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::store::{
    DurableStore, PipelineStore, Store,
    conformance::world::{pipeline, stored},
};

use super::{
    super::{DATABASE, Directory, OpenError, migrate},
    options,
};

fn refused(directory: &Path) -> OpenError {
    let opened = DurableStore::open_directory(&options(directory));
    opened.err().expect("it is refused")
}

/// A directory in which a pipeline is stored.
async fn filled() -> TempDir {
    let directory = TempDir::new().unwrap();
    let (store, _) = DurableStore::open_directory(&options(directory.path())).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    stored(&store, &pipeline(1, "p")).await;
    directory
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let directory = TempDir::new().unwrap();
    let (store, _) = DurableStore::open_directory(&options(directory.path())).unwrap();
    assert!(matches!(refused(directory.path()), OpenError::InUse { .. }));
    store.close();
    DurableStore::open_directory(&options(directory.path())).unwrap();
}

#[tokio::test]
async fn what_is_stored_is_private() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("a/b");
    let (store, _) = DurableStore::open_directory(&options(&directory)).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    stored(&store, &pipeline(1, "p")).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for created in [&*directory, directory.parent().unwrap()] {
        assert_eq!(mode(created), 0o700, "{}", created.display());
    }
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let directory = TempDir::new().unwrap();
    let foreign = Connection::open(directory.path().join(DATABASE)).unwrap();
    foreign.execute_batch("CREATE TABLE mine (x)").unwrap();
    drop(foreign);
    assert!(matches!(
        refused(directory.path()),
        OpenError::Foreign { found: 0 }
    ));
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let directory = filled().await;
    let later = Connection::open(directory.path().join(DATABASE)).unwrap();
    later
        .execute("INSERT INTO migration VALUES (99, 'x', 0)", [])
        .unwrap();
    drop(later);
    let error = refused(directory.path());
    assert!(
        matches!(error, OpenError::TooNew { found: 99, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_migration_that_was_changed_is_refused() {
    let directory = filled().await;
    let other = Connection::open(directory.path().join(DATABASE)).unwrap();
    other
        .execute("UPDATE migration SET sha256 = 'x'", [])
        .unwrap();
    drop(other);
    let error = refused(directory.path());
    assert!(
        matches!(error, OpenError::OtherMigration { number: 1 }),
        "{error}"
    );
}

#[test]
fn a_migration_that_fails_leaves_the_format_as_it_was() {
    let temporary = TempDir::new().unwrap();
    let directory = Directory(temporary.path().to_owned());
    let mut connection = directory.connect().unwrap();
    let now = SystemTime::UNIX_EPOCH;
    let first = "CREATE TABLE once (name TEXT PRIMARY KEY, value ANY) STRICT";
    migrate::migrate_with(&mut connection, now, &[first]).unwrap();
    let bad = "CREATE TABLE more (x); CREATE TABLE more (x)";
    assert!(migrate::migrate_with(&mut connection, now, &[first, bad]).is_err());
    let good = "CREATE TABLE more (x)";
    let format = migrate::migrate_with(&mut connection, now, &[first, good]).unwrap();
    assert_eq!(format, 2);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = TempDir::new().unwrap();
    let mut file = fs::File::create(directory.path().join(DATABASE)).unwrap();
    file.write_all(&[7; 10_000]).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Database(_)), "{error}");
}

#[tokio::test]
async fn a_damaged_row_is_refused_and_named() {
    let directory = filled().await;
    let damaged = Connection::open(directory.path().join(DATABASE)).unwrap();
    let body: Vec<u8> = damaged
        .query_row("SELECT body FROM revision", [], |row| row.get(0))
        .unwrap();
    let mut other = body.clone();
    *other.last_mut().unwrap() ^= 1;
    damaged
        .execute("UPDATE revision SET body = ?", [other])
        .unwrap();
    drop(damaged);
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Rows(_)), "{error}");
    assert!(
        error.to_string().contains("a stored row cannot be read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_torn_end_of_the_wal_loses_only_what_was_not_acknowledged() {
    let directory = TempDir::new().unwrap();
    let (store, _) = DurableStore::open_directory(&options(directory.path())).unwrap();
    let store = Arc::new(store);
    let any: Arc<dyn Store> = Arc::clone(&store) as _;
    stored(&any, &pipeline(1, "p")).await;
    // As a crash leaves it: the WAL is not checkpointed, and its last frame is torn.
    let copy = TempDir::new().unwrap();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    let wal = fs::OpenOptions::new()
        .write(true)
        .open(copy.path().join("store.db-wal"))
        .unwrap();
    let end = wal.metadata().unwrap().len();
    wal.write_all_at(&[0x55; 2_000], end).unwrap();
    let (reopened, _) = DurableStore::open_directory(&options(copy.path())).unwrap();
    let found = reopened
        .list_pipelines(&Default::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    store.close();
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_refused() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(&file.join("data"));
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
}
