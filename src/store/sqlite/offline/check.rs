//! Reads everything in a data directory that no service uses.

use std::{collections::HashMap, path::Path, sync::Arc};

use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::{
    domain::{Event, Job, JobFacts, JobId, Pipeline, PipelineId},
    store::{
        KeptAnswer, LeaseRow, RunnerRow,
        codec::{
            CodecError, PipelineHead, Seal, Stored, StoredBinding, StoredDue, StoredDurations,
            StoredInstance, StoredRecord, decode, decode_event, decode_pipeline, decode_snapshot,
        },
    },
};

use super::super::{Directory, OpenError, migrate};
use crate::domain::LostWorkspace;

/// Problems that are shown.
const MAX_PROBLEMS: usize = 100;

/// What a check has read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The number of the newest migration.
    pub format: u32,
    /// Pipelines that are not deleted.
    pub pipelines: u64,
    /// Their revisions, and those that jobs run.
    pub revisions: u64,
    /// Jobs that have not ended.
    pub active_jobs: u64,
    /// Jobs that have ended.
    pub ended_jobs: u64,
    /// Events of all jobs.
    pub events: u64,
    /// All other rows.
    pub others: u64,
    /// What is wrong, at most 100 of it.
    pub problems: Vec<String>,
}

/// Checks the database itself, and that each row can be read and fits the others. Secrets are
/// not opened, so that no key is needed.
///
/// # Errors
/// If the directory cannot be used, or a service uses it.
pub fn check(data_dir: &Path) -> Result<Checked, OpenError> {
    let directory = Directory(data_dir.to_owned());
    if !directory.database().is_file() {
        return Err(OpenError::Absent {
            path: data_dir.to_owned(),
        });
    }
    let _lock = directory.lock()?;
    let rows = directory.connect_to_read()?;
    let mut checker = Checker {
        rows: &rows,
        checked: Checked {
            format: migrate::format(&rows)?,
            ..Checked::default()
        },
        revisions: HashMap::new(),
    };
    checker.database()?;
    checker.pipelines()?;
    checker.jobs()?;
    checker.others()?;
    Ok(checker.checked)
}

struct Checker<'a> {
    rows: &'a Connection,
    checked: Checked,
    revisions: HashMap<(PipelineId, i64), Arc<Pipeline>>,
}

/// Takes what is encrypted for an empty secret.
struct Closed;

impl Seal for Closed {
    fn seal(&self, _: &str, _: &[u8]) -> Vec<u8> {
        unreachable!("a check writes nothing")
    }

    fn open(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(Vec::new())
    }
}

impl Checker<'_> {
    fn note(&mut self, problem: String) {
        if self.checked.problems.len() < MAX_PROBLEMS {
            self.checked.problems.push(problem);
        }
    }

    fn database(&mut self) -> Result<(), OpenError> {
        let mut query = self.rows.prepare("PRAGMA integrity_check(100)")?;
        let lines = query.query_map([], |row| row.get::<_, String>(0))?;
        for line in lines {
            let line = line?;
            if line != "ok" {
                self.note(format!("store.db: {line}"));
            }
        }
        Ok(())
    }

    fn pipelines(&mut self) -> Result<(), OpenError> {
        let mut query = self
            .rows
            .prepare("SELECT pipeline, number, body FROM revision")?;
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            let id = PipelineId(Uuid::from_bytes(row.get(0)?));
            let number: i64 = row.get(1)?;
            let body: Vec<u8> = row.get(2)?;
            self.checked.revisions += 1;
            match decode_pipeline(&body, &Closed) {
                Ok(revision) if (revision.id, revision.revision) == (id, number) => {
                    self.revisions.insert((id, number), Arc::new(revision));
                }
                Ok(_) => self.note(format!("revision {number} of pipeline {id} is another one")),
                Err(error) => self.note(format!("revision {number} of pipeline {id}: {error}")),
            }
        }
        let mut query = self
            .rows
            .prepare("SELECT id, head, durations FROM pipeline")?;
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            let id = PipelineId(Uuid::from_bytes(row.get(0)?));
            let (head, durations): (Vec<u8>, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
            self.checked.pipelines += 1;
            match decode::<PipelineHead>(&head) {
                Ok(head) if !self.revisions.contains_key(&(id, head.newest_revision)) => {
                    self.note(format!("pipeline {id} has no newest revision"));
                }
                Ok(_) => {}
                Err(error) => self.note(format!("pipeline {id}: {error}")),
            }
            if let Some(Err(error)) = durations.map(|body| decode::<StoredDurations>(&body)) {
                self.note(format!("durations of pipeline {id}: {error}"));
            }
        }
        Ok(())
    }

    fn jobs(&mut self) -> Result<(), OpenError> {
        let mut query = self.rows.prepare(
            "SELECT id, pipeline, revision, TRUE, NULL FROM active_job
             UNION ALL SELECT id, pipeline, revision, FALSE, snapshot FROM ended_job",
        )?;
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            let id = JobId(Uuid::from_bytes(row.get(0)?));
            let revision = (PipelineId(Uuid::from_bytes(row.get(1)?)), row.get(2)?);
            let (is_active, snapshot): (bool, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
            if is_active {
                self.checked.active_jobs += 1;
            } else {
                self.checked.ended_jobs += 1;
            }
            if let Err(problem) = self.job(id, revision, is_active, snapshot.as_deref())? {
                self.note(format!("job {id}: {problem}"));
            }
        }
        let stray = "SELECT count(*) FROM event WHERE job NOT IN (
                         SELECT id FROM active_job UNION ALL SELECT id FROM ended_job)";
        let stray: i64 = self.rows.query_row(stray, [], |row| row.get(0))?;
        if stray > 0 {
            self.note(format!("{stray} events belong to no job"));
        }
        Ok(())
    }

    /// The inner error is what is wrong with the job.
    fn job(
        &mut self,
        id: JobId,
        revision: (PipelineId, i64),
        is_active: bool,
        snapshot: Option<&[u8]>,
    ) -> Result<Result<(), String>, OpenError> {
        let pipeline = self.revisions.get(&revision).cloned();
        let revisions = |_, _| pipeline.clone();
        let sql = "SELECT body FROM event WHERE job = ? ORDER BY sequence";
        let mut query = self.rows.prepare_cached(sql)?;
        let bodies = query.query_map(params![id.0.into_bytes()], |row| row.get(0))?;
        let bodies: Vec<Vec<u8>> = bodies.collect::<Result<_, _>>()?;
        self.checked.events += bodies.len() as u64;
        let events = bodies
            .iter()
            .map(|body| decode_event(body, &Closed, &revisions));
        let events: Vec<Event> = match events.collect() {
            Ok(events) => events,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let is_whole = (1..)
            .zip(&events)
            .all(|(number, event)| event.sequence == number);
        let Some(job) = is_whole.then(|| Job::replay(&events)).flatten() else {
            return Ok(Err("an event is missing".to_owned()));
        };
        if job.state.is_terminal() == is_active {
            return Ok(Err(
                "its row and its events differ in whether it has ended".to_owned()
            ));
        }
        Ok(
            match snapshot.map(|body| decode_snapshot(body, &Closed, &revisions)) {
                None => Ok(()),
                Some(Ok(known)) if known == job => Ok(()),
                Some(Ok(_)) => Err("its snapshot differs from its events".to_owned()),
                Some(Err(error)) => Err(error.to_string()),
            },
        )
    }

    fn others(&mut self) -> Result<(), OpenError> {
        self.each::<JobFacts>("facts", "SELECT body FROM facts")?;
        self.each::<RunnerRow>("a runner", "SELECT body FROM runner")?;
        self.each::<LeaseRow>("a lease", "SELECT body FROM lease")?;
        self.each::<StoredBinding>("a binding", "SELECT body FROM binding")?;
        self.each::<LostWorkspace>("a lost workspace", "SELECT body FROM lost_workspace")?;
        self.each::<StoredRecord>("a record", "SELECT body FROM record")?;
        self.each::<StoredDue>("due work", "SELECT body FROM work")?;
        self.each::<KeptAnswer>("an idempotency record", "SELECT body FROM answer")?;
        let instance = "SELECT value FROM once WHERE name = 'instance'";
        self.each::<StoredInstance>("the instance", instance)
    }

    fn each<T: Stored>(&mut self, what: &str, sql: &str) -> Result<(), OpenError> {
        let mut query = self.rows.prepare(sql)?;
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            let body: Vec<u8> = row.get(0)?;
            self.checked.others += 1;
            if let Err(error) = decode::<T>(&body) {
                self.note(format!("{what}: {error}"));
            }
        }
        Ok(())
    }
}
