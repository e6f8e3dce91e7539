//! Secrets in the files of the data directory.

use std::{fs, path::Path, sync::Arc};

use tempfile::TempDir;

use crate::{
    domain::{PipelineSpec, Secrets},
    store::{
        Batch, CommitError, DurableStore, EncryptionKey, Keyring, PipelineWrite, Store, Write,
        conformance::world::{add_job, at, end_job, job, job_id, new_job, pipeline_with, stored},
    },
};

use super::{super::OpenError, Options, options};

const OF_THE_PIPELINE: &str = "the secret of the pipeline";
/// What the conformance suite gives each job.
const OF_THE_JOB: &str = "open sesame";

fn open(directory: &Path, keyring: Option<Arc<Keyring>>) -> Result<Arc<dyn Store>, OpenError> {
    let options = Options {
        keyring,
        ..options(directory)
    };
    let (store, _) = DurableStore::open_directory(&options)?;
    Ok(Arc::new(store))
}

fn new_key() -> Option<Arc<Keyring>> {
    Some(Arc::new(Keyring::new(
        EncryptionKey::generate(),
        Vec::new(),
    )))
}

fn spec() -> PipelineSpec {
    let secret_variables: Secrets = [("PASSWORD", OF_THE_PIPELINE)].into_iter().collect();
    PipelineSpec {
        secret_variables,
        ..PipelineSpec::default()
    }
}

/// A store with a pipeline, an active job 1 and an ended job 2.
async fn filled(directory: &Path, keyring: Option<Arc<Keyring>>) -> Arc<dyn Store> {
    let store = open(directory, keyring).unwrap();
    let pipeline = stored(&store, &pipeline_with(1, "p", "default", spec())).await;
    add_job(&store, new_job(&pipeline, 1, 0, at(1))).await;
    add_job(&store, new_job(&pipeline, 2, 0, at(1))).await;
    end_job(&store, job_id(2), at(2)).await;
    store
}

#[tokio::test]
async fn no_file_has_a_secret_in_plain_text() {
    let directory = TempDir::new().unwrap();
    let key = new_key();
    let store = filled(directory.path(), key.clone()).await;
    let files = fs::read_dir(directory.path()).unwrap();
    for path in files.map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&path).unwrap();
        for secret in [OF_THE_PIPELINE, OF_THE_JOB] {
            let is_found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!is_found, "{}", path.display());
        }
    }
    let known = [job(&store, job_id(1)).await, job(&store, job_id(2)).await];
    drop(store);
    let store = open(directory.path(), key).unwrap();
    store.unload_before(at(100)).await.unwrap();
    for known in known {
        assert_eq!(job(&store, known.id).await, known);
        assert!(store.events(known.id, 0).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_start_without_the_key_is_refused() {
    let directory = TempDir::new().unwrap();
    let key = new_key();
    let primary = key.as_ref().unwrap().primary().to_string();
    drop(filled(directory.path(), key.clone()).await);
    let refused = open(directory.path(), None).err().unwrap();
    assert!(matches!(&refused, OpenError::KeyRequired { wanted } if *wanted == primary));
    let refused = open(directory.path(), new_key()).err().unwrap();
    assert!(matches!(&refused, OpenError::OtherKey { wanted } if *wanted == primary));
    open(directory.path(), key).unwrap();
}

#[tokio::test]
async fn nothing_secret_is_stored_without_a_key() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path(), None).unwrap();
    assert!(!store.can_seal());
    let create = PipelineWrite::Create(pipeline_with(1, "p", "default", spec()));
    let refused = store.commit(Batch::of([Write::Pipeline(create)])).await;
    assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
    let filter = Default::default();
    assert!(
        store
            .list_pipelines(&filter, None, 1)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_job_that_is_removed_takes_its_data_key_with_it() {
    let directory = TempDir::new().unwrap();
    let store = filled(directory.path(), new_key()).await;
    let owners = || {
        let database = directory.path().join(super::super::DATABASE);
        let rows = rusqlite::Connection::open(database).unwrap();
        let mut query = rows
            .prepare("SELECT owner FROM data_key ORDER BY owner")
            .unwrap();
        let owners = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        owners.collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(owners().len(), 3);
    store
        .commit(Batch::of([Write::RemoveJob(job_id(2))]))
        .await
        .unwrap();
    let kept = owners();
    assert_eq!(kept.len(), 2);
    assert!(
        !kept
            .iter()
            .any(|owner| owner.contains(&job_id(2).to_string())),
        "{kept:?}"
    );
}
