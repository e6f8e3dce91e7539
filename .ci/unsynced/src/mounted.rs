//! The operations that the kernel asks for.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    sync::Arc,
    time::{Duration, SystemTime},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;

use crate::disk::{Body, Directory, Disk, File};

/// How long the kernel may cache attributes and names; only it changes them.
const TTL: Duration = Duration::from_secs(60);
const BLOCK: u32 = 4096;
/// Blocks that are reported as free.
const FREE: u64 = 1 << 24;

pub(crate) struct Mounted(pub(crate) Arc<Mutex<Disk>>);

impl Mounted {
    fn attributes(disk: &Disk, number: u64) -> Result<FileAttr, Errno> {
        let inode = disk.inodes.get(&number).ok_or(Errno::ENOENT)?;
        let (kind, size) = match &inode.body {
            Body::File(file) => (FileType::RegularFile, file.data.len() as u64),
            Body::Directory(_) => (FileType::Directory, 0),
        };
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: inode.mtime,
            mtime: inode.mtime,
            ctime: inode.mtime,
            crtime: inode.mtime,
            kind,
            perm: inode.mode,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        })
    }

    fn find(disk: &mut Disk, parent: INodeNo, name: &OsStr) -> Result<u64, Errno> {
        let directory = disk.directory(parent.0).ok_or(Errno::ENOTDIR)?;
        directory.entries.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn add(&self, parent: INodeNo, name: &OsStr, mode: u32, body: Body) -> Result<FileAttr, Errno> {
        let mut disk = self.0.lock();
        if Self::find(&mut disk, parent, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let mode = (mode & 0o7777) as u16;
        let number = disk.add(parent.0, name, mode, body).ok_or(Errno::ENOTDIR)?;
        Self::attributes(&disk, number)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let mut disk = self.0.lock();
        let number = Self::find(&mut disk, parent, name)?;
        if let Some(directory) = disk.directory(number)
            && !directory.entries.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        let directory = disk.directory(parent.0).ok_or(Errno::ENOTDIR)?;
        // The inode stays for those who have it open, and for a crash that undoes this.
        directory.change(|entries| entries.remove(name));
        Ok(())
    }
}

fn reply_entry(entry: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match entry {
        Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn reply_empty(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut disk = self.0.lock();
        let found = Self::find(&mut disk, parent, name);
        reply_entry(
            found.and_then(|number| Self::attributes(&disk, number)),
            reply,
        );
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match Self::attributes(&self.0.lock(), ino.0) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.0.lock();
        if let Some((size, file)) = size.zip(disk.file(ino.0)) {
            file.resize(size as usize);
        }
        if let Some(inode) = disk.inodes.get_mut(&ino.0) {
            if let Some(mode) = mode {
                inode.mode = (mode & 0o7777) as u16;
            }
            match mtime {
                Some(TimeOrNow::SpecificTime(time)) => inode.mtime = time,
                Some(TimeOrNow::Now) => inode.mtime = SystemTime::now(),
                None => {}
            }
        }
        match Self::attributes(&disk, ino.0) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let body = Body::Directory(Directory::default());
        reply_entry(self.add(parent, name, mode & !umask, body), reply);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let body = Body::File(File::default());
        match self.add(parent, name, mode & !umask, body) {
            Ok(attributes) => reply.created(
                &TTL,
                &attributes,
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(self.remove(parent, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(self.remove(parent, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut disk = self.0.lock();
        let moved = (|| {
            let number = Self::find(&mut disk, parent, name)?;
            let new = newname.to_owned();
            let into = |entries: &mut BTreeMap<OsString, u64>| entries.insert(new, number);
            let old = disk.directory(parent.0).ok_or(Errno::ENOTDIR)?;
            if parent == newparent {
                old.change(|entries| {
                    entries.remove(name);
                    into(entries)
                });
            } else {
                old.change(|entries| entries.remove(name));
                let directory = disk.directory(newparent.0).ok_or(Errno::ENOTDIR)?;
                directory.change(into);
            }
            Ok(())
        })();
        reply_empty(moved, reply);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut disk = self.0.lock();
        match disk.file(ino.0) {
            Some(file) => {
                let start = (offset as usize).min(file.data.len());
                let end = file.data.len().min(start + size as usize);
                reply.data(&file.data[start..end]);
            }
            None => reply.error(Errno::EISDIR),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut disk = self.0.lock();
        match disk.file(ino.0) {
            Some(file) => {
                file.write(offset as usize, data);
                reply.written(data.len() as u32);
            }
            None => reply.error(Errno::EISDIR),
        }
    }

    /// Called by each close, which syncs nothing.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        // Only the file: its name is synced by its directory.
        if let Some(file) = self.0.lock().file(ino.0) {
            file.sync();
        }
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if let Some(directory) = self.0.lock().directory(ino.0) {
            directory.sync();
        }
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut disk = self.0.lock();
        let Some(directory) = disk.directory(ino.0) else {
            return reply.error(Errno::ENOTDIR);
        };
        let entries: Vec<_> = directory
            .entries
            .iter()
            .map(|(name, number)| (name.clone(), *number))
            .collect();
        for (position, (name, number)) in entries.into_iter().enumerate().skip(offset as usize) {
            let kind = match disk.directory(number) {
                Some(_) => FileType::Directory,
                None => FileType::RegularFile,
            };
            if reply.add(INodeNo(number), position as u64 + 1, kind, &name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(FREE, FREE, FREE, FREE, FREE, BLOCK, 255, BLOCK);
    }
}
