use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    time::SystemTime,
};

use async_trait::async_trait;

use super::{
    super::{
        Change, CommitError, Record, RecordQuery, RecordStore, RecordWrite, RowChange, StoreError,
    },
    MemoryStore,
    ledger::Owner,
    weights::record_weight,
};

/// Name of the index that has each record once, under an empty value.
const BY_KEY: &str = "";

/// Value and key: where a record is in an index.
type Place = (String, String);

/// All records, by the name of their collection.
#[derive(Default)]
pub(super) struct Collections(HashMap<&'static str, Rows>);

#[derive(Default)]
struct Rows {
    by_key: BTreeMap<String, Record>,
    indexes: HashMap<&'static str, BTreeSet<Place>>,
    expiring: BTreeSet<(SystemTime, String)>,
}

#[async_trait]
impl RecordStore for MemoryStore {
    async fn record(
        &self,
        collection: &'static str,
        key: &str,
    ) -> Result<Option<Record>, StoreError> {
        Ok(self.records.read().get(collection, key).cloned())
    }

    async fn record_version(&self, collection: &'static str, key: &str) -> Result<u64, StoreError> {
        let collections = self.records.read();
        let record = collections.get(collection, key);
        Ok(record.map_or(0, |record| record.version))
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, StoreError> {
        let collections = self.records.read();
        let rows = collections.0.get(query.collection);
        Ok(rows.map(|rows| rows.list(query)).unwrap_or_default())
    }

    async fn remove_expired_records(&self, now: SystemTime) -> Result<usize, StoreError> {
        let mut records = self.records.write();
        let removed = records.remove_expired(now);
        for record in removed.iter().flat_map(|(_, records)| records) {
            let owner = Owner::of_record(record);
            self.ledger.lock().subtract(owner, record_weight(record));
        }
        for (name, records) in &removed {
            for record in records {
                let key = || record.key.clone();
                self.capture.note(|| RowChange::RemoveRecord(name, key()));
            }
        }
        drop(records);
        let count = removed.iter().map(|(_, records)| records.len()).sum();
        if count > 0 {
            self.tell(removed.iter().map(|(name, _)| Change::Record(name)));
        }
        Ok(count)
    }
}

impl Collections {
    pub(super) fn get(&self, collection: &str, key: &str) -> Option<&Record> {
        self.0.get(collection)?.by_key.get(key)
    }

    /// Version of a record; 0: there is none.
    pub(super) fn version(&self, collection: &str, key: &str) -> u64 {
        self.get(collection, key).map_or(0, |record| record.version)
    }

    pub(super) fn check(&self, write: &RecordWrite) -> Result<(), CommitError> {
        let stored = self.version(write.collection(), write.key());
        let expected = match write {
            RecordWrite::Put(_, record) => record.version.checked_sub(1),
            RecordWrite::Delete(.., version) => Some(*version).filter(|version| *version > 0),
        };
        if expected == Some(stored) {
            Ok(())
        } else {
            Err(CommitError::Conflict)
        }
    }

    /// Answers with the record that was there before.
    pub(super) fn write(&mut self, write: RecordWrite) -> Option<Record> {
        match write {
            RecordWrite::Put(collection, record) => self.put(collection, record),
            RecordWrite::Delete(collection, key, _) => self.0.get_mut(collection)?.remove(&key),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &Record)> {
        self.0.iter().flat_map(|(name, rows)| {
            let records = rows.by_key.values();
            records.map(move |record| (*name, record))
        })
    }

    pub(super) fn put(&mut self, collection: &'static str, record: Record) -> Option<Record> {
        self.0.entry(collection).or_default().put(record)
    }

    /// Answers with what went from each collection that had any.
    fn remove_expired(&mut self, now: SystemTime) -> Vec<(&'static str, Vec<Record>)> {
        let mut removed = Vec::new();
        for (name, rows) in &mut self.0 {
            let mut gone = Vec::new();
            while let Some((time, key)) = rows.expiring.first()
                && *time <= now
            {
                let key = key.clone();
                gone.extend(rows.remove(&key));
            }
            if !gone.is_empty() {
                removed.push((*name, gone));
            }
        }
        removed
    }
}

impl Rows {
    fn put(&mut self, record: Record) -> Option<Record> {
        let old = self.remove(&record.key);
        for (name, place) in places(&record) {
            self.indexes.entry(name).or_default().insert(place);
        }
        if let Some(time) = record.expires {
            self.expiring.insert((time, record.key.clone()));
        }
        self.by_key.insert(record.key.clone(), record);
        old
    }

    fn remove(&mut self, key: &str) -> Option<Record> {
        let record = self.by_key.remove(key)?;
        for (name, place) in places(&record) {
            if let Some(index) = self.indexes.get_mut(name) {
                index.remove(&place);
            }
        }
        if let Some(time) = record.expires {
            self.expiring.remove(&(time, record.key.clone()));
        }
        Some(record)
    }

    fn list(&self, query: &RecordQuery) -> Vec<Record> {
        let is_wanted = |record: &&Record| {
            let is_project = |project: &String| *project == record.project;
            query.project.as_ref().is_none_or(is_project)
        };
        let index = self.indexes.get(query.index.unwrap_or(BY_KEY));
        let places = index
            .zip(range(query))
            .map(|(index, range)| index.range(range));
        let keys: Box<dyn Iterator<Item = &Place>> = match places {
            Some(places) if query.is_descending => Box::new(places.rev()),
            Some(places) => Box::new(places),
            None => return Vec::new(),
        };
        let records = keys.filter_map(|(_, key)| self.by_key.get(key));
        let records = records.filter(is_wanted).take(query.limit);
        records.cloned().collect()
    }
}

/// The places of a record in all indexes.
fn places(record: &Record) -> impl Iterator<Item = (&'static str, Place)> {
    let place = |value: &str| (value.to_owned(), record.key.clone());
    let secondary = record.indexes.iter();
    let secondary = secondary.map(move |(name, value)| (*name, place(value)));
    std::iter::once((BY_KEY, place(""))).chain(secondary)
}

/// The part of an index that a query walks through; none when nothing can be in it.
fn range(query: &RecordQuery) -> Option<(Bound<Place>, Bound<Place>)> {
    let (mut first, mut end) = match (&query.equals, query.index) {
        (None, _) => (None, None),
        (Some(value), Some(_)) => (
            Some((value.clone(), String::new())),
            Some((just_after(value), String::new())),
        ),
        (Some(key), None) => (
            Some((String::new(), key.clone())),
            Some((String::new(), just_after(key))),
        ),
    };
    let mut is_first_out = false;
    match &query.after {
        Some(after) if query.is_descending => {
            if end.as_ref().is_none_or(|end| after < end) {
                end = Some(after.clone());
            }
        }
        Some(after) if first.as_ref().is_none_or(|first| first <= after) => {
            first = Some(after.clone());
            is_first_out = true;
        }
        Some(_) | None => {}
    }
    if let (Some(first), Some(end)) = (&first, &end)
        && first >= end
    {
        return None;
    }
    let first = match first {
        Some(first) if is_first_out => Bound::Excluded(first),
        Some(first) => Bound::Included(first),
        None => Bound::Unbounded,
    };
    Some((first, end.map_or(Bound::Unbounded, Bound::Excluded)))
}

/// The first text that comes after this one in the order of texts.
fn just_after(text: &str) -> String {
    format!("{text}\0")
}
