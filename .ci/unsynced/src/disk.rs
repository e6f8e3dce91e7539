//! Files and directories, as programs see them and as they are after a crash.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    time::SystemTime,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What a disk writes in one piece.
const PAGE: usize = 4096;
/// Versions of a page, between two syncs, that a crash may leave.
const MAX_VERSIONS: usize = 8;
pub(crate) const ROOT: u64 = 1;

pub(crate) struct Disk {
    pub(crate) inodes: BTreeMap<u64, Inode>,
    next: u64,
}

pub(crate) struct Inode {
    pub(crate) mode: u16,
    pub(crate) mtime: SystemTime,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    File(File),
    Directory(Directory),
}

#[derive(Default)]
pub(crate) struct File {
    pub(crate) data: Vec<u8>,
    synced: Vec<u8>,
    /// What each changed page was since the last sync; the newest is in the data.
    versions: BTreeMap<usize, Vec<Vec<u8>>>,
}

#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) entries: BTreeMap<OsString, u64>,
    synced: BTreeMap<OsString, u64>,
    /// Since the last sync, in order: a journal of metadata keeps a prefix.
    changes: Vec<BTreeMap<OsString, u64>>,
}

impl Default for Disk {
    fn default() -> Self {
        let root = Inode::new(0o700, Body::Directory(Directory::default()));
        Self {
            inodes: [(ROOT, root)].into(),
            next: ROOT + 1,
        }
    }
}

impl Inode {
    fn new(mode: u16, body: Body) -> Self {
        Self {
            mode,
            mtime: SystemTime::now(),
            body,
        }
    }
}

impl Disk {
    pub(crate) fn add(&mut self, parent: u64, name: &OsStr, mode: u16, body: Body) -> Option<u64> {
        let number = self.next;
        self.directory(parent)?
            .change(|entries| entries.insert(name.to_owned(), number));
        self.inodes.insert(number, Inode::new(mode, body));
        self.next += 1;
        Some(number)
    }

    pub(crate) fn directory(&mut self, number: u64) -> Option<&mut Directory> {
        match &mut self.inodes.get_mut(&number)?.body {
            Body::Directory(directory) => Some(directory),
            Body::File(_) => None,
        }
    }

    pub(crate) fn file(&mut self, number: u64) -> Option<&mut File> {
        match &mut self.inodes.get_mut(&number)?.body {
            Body::File(file) => Some(file),
            Body::Directory(_) => None,
        }
    }

    /// Drops what was not synced: all of it, or an arbitrary part.
    pub(crate) fn crash(&mut self, seed: u64) {
        let mut chance = StdRng::seed_from_u64(seed);
        let drops_all = chance.random_bool(0.5);
        for inode in self.inodes.values_mut() {
            match &mut inode.body {
                Body::File(file) => file.crash(drops_all, &mut chance),
                Body::Directory(directory) => directory.crash(drops_all, &mut chance),
            }
        }
        self.remove_unreachable();
    }

    fn remove_unreachable(&mut self) {
        let mut reached = vec![ROOT];
        let mut position = 0;
        while let Some(number) = reached.get(position) {
            if let Some(Inode {
                body: Body::Directory(directory),
                ..
            }) = self.inodes.get(number)
            {
                reached.extend(directory.entries.values());
            }
            position += 1;
        }
        self.inodes.retain(|number, _| reached.contains(number));
    }
}

impl File {
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        for page in offset.min(self.data.len()) / PAGE..end.div_ceil(PAGE) {
            self.keep_version(page);
        }
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        self.data[offset..end].copy_from_slice(bytes);
    }

    pub(crate) fn resize(&mut self, size: usize) {
        let pages = self.data.len().min(size) / PAGE..self.data.len().max(size).div_ceil(PAGE);
        for page in pages {
            self.keep_version(page);
        }
        self.data.resize(size, 0);
    }

    fn keep_version(&mut self, page: usize) {
        let version = page_of(&self.data, page).to_vec();
        let versions = self.versions.entry(page).or_default();
        if versions.len() < MAX_VERSIONS {
            versions.push(version);
        }
    }

    pub(crate) fn sync(&mut self) {
        for (page, _) in std::mem::take(&mut self.versions) {
            let start = page * PAGE;
            let end = self.data.len().min(start + PAGE);
            if start < end {
                if self.synced.len() < end {
                    self.synced.resize(end, 0);
                }
                self.synced[start..end].copy_from_slice(&self.data[start..end]);
            }
        }
        self.synced.resize(self.data.len(), 0);
    }

    fn crash(&mut self, drops_all: bool, chance: &mut StdRng) {
        let changed = std::mem::take(&mut self.versions);
        let newest = std::mem::replace(&mut self.data, self.synced.clone());
        if drops_all {
            return;
        }
        if newest.len() < self.data.len() && chance.random_bool(0.5) {
            self.data.truncate(newest.len());
        }
        for (page, mut versions) in changed {
            versions.push(page_of(&newest, page).to_vec());
            let version = versions.swap_remove(chance.random_range(0..versions.len()));
            let start = page * PAGE;
            let end = start + version.len();
            if end > self.data.len() {
                // What was appended is stored in order, and the size after the bytes.
                if start > self.data.len() {
                    break;
                }
                self.data.resize(end, 0);
            }
            self.data[start..end].copy_from_slice(&version);
        }
        self.synced = self.data.clone();
    }
}

impl Directory {
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut BTreeMap<OsString, u64>) -> T,
    ) -> T {
        let changed = change(&mut self.entries);
        self.changes.push(self.entries.clone());
        changed
    }

    pub(crate) fn sync(&mut self) {
        self.changes.clear();
        self.synced = self.entries.clone();
    }

    fn crash(&mut self, drops_all: bool, chance: &mut StdRng) {
        let mut states = std::mem::take(&mut self.changes);
        if !drops_all && !states.is_empty() && chance.random_bool(0.7) {
            self.synced = states.swap_remove(chance.random_range(0..states.len()));
        }
        self.entries = self.synced.clone();
    }
}

fn page_of(data: &[u8], page: usize) -> &[u8] {
    let start = (page * PAGE).min(data.len());
    &data[start..data.len().min(start + PAGE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(disk: &mut Disk) -> u64 {
        let body = Body::File(File::default());
        disk.add(ROOT, OsStr::new("f"), 0o600, body).unwrap()
    }

    #[test]
    fn what_was_synced_outlives_every_crash() {
        for seed in 0..200 {
            let mut disk = Disk::default();
            let number = file(&mut disk);
            disk.directory(ROOT).unwrap().sync();
            let file = disk.file(number).unwrap();
            file.write(0, &[1; 3 * PAGE]);
            file.sync();
            file.write(2 * PAGE + 7, &[2; PAGE]);
            disk.crash(seed);
            let data = &disk.file(number).unwrap().data;
            assert_eq!(data[..2 * PAGE + 7], [1; 2 * PAGE + 7], "seed {seed}");
            disk.crash(seed + 1);
            assert!(disk.file(number).is_some());
        }
    }

    #[test]
    fn nothing_appears_that_was_not_written() {
        for seed in 0..200 {
            let mut disk = Disk::default();
            let number = file(&mut disk);
            disk.directory(ROOT).unwrap().sync();
            let file = disk.file(number).unwrap();
            for position in 0..10 {
                file.write(position * 1_000, &[1; 1_000]);
            }
            disk.crash(seed);
            let data = &disk.file(number).unwrap().data;
            assert!(data.iter().all(|byte| *byte == 1), "seed {seed}");
        }
    }

    #[test]
    fn what_was_not_synced_is_dropped_by_some_crash() {
        let (mut lost_names, mut lost_bytes, mut kept) = (0, 0, 0);
        for seed in 0..200 {
            let mut disk = Disk::default();
            let number = file(&mut disk);
            let file = disk.file(number).unwrap();
            file.write(0, &[1; 2 * PAGE]);
            disk.crash(seed);
            match disk.file(number).map(|file| &*file.data) {
                None => lost_names += 1,
                Some(data) if data == [1; 2 * PAGE] => kept += 1,
                Some(_) => lost_bytes += 1,
            }
        }
        assert!(lost_names > 0 && lost_bytes > 0 && kept > 0);
    }
}
