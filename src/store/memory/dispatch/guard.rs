use std::ops::{Deref, DerefMut};

use parking_lot::MutexGuard;

use crate::store::RowChange;

use super::{
    super::capture::{Capture, Touched},
    Dispatch,
};

/// Dispatch while it is locked. The row changes are captured before it is unlocked.
pub(in super::super) struct LockedDispatch<'a> {
    dispatch: MutexGuard<'a, Dispatch>,
    capture: &'a Capture,
}

impl<'a> LockedDispatch<'a> {
    pub(in super::super) fn new(dispatch: MutexGuard<'a, Dispatch>, capture: &'a Capture) -> Self {
        Self { dispatch, capture }
    }
}

impl Deref for LockedDispatch<'_> {
    type Target = Dispatch;

    fn deref(&self) -> &Dispatch {
        &self.dispatch
    }
}

impl DerefMut for LockedDispatch<'_> {
    fn deref_mut(&mut self) -> &mut Dispatch {
        &mut self.dispatch
    }
}

impl Drop for LockedDispatch<'_> {
    fn drop(&mut self) {
        if self.capture.is_on() {
            self.dispatch.drain_changes(self.capture);
        }
    }
}

impl Dispatch {
    /// Notes from now on which rows change.
    pub(in super::super) fn capture(&mut self) {
        self.runners.touched = Touched::on();
        self.leases.touched = Touched::on();
        self.queue.touched = Touched::on();
        self.is_token_taken = false;
    }

    fn drain_changes(&mut self, capture: &Capture) {
        for id in self.runners.touched.take() {
            capture.note(|| match self.runners.get(id) {
                Some(runner) => RowChange::PutRunner(runner.row.clone()),
                None => RowChange::RemoveRunner(id),
            });
        }
        for id in self.leases.touched.take() {
            capture.note(|| match self.leases.get(id) {
                Some(row) => RowChange::PutLease(*row),
                None => RowChange::RemoveLease(id),
            });
        }
        for id in self.queue.touched.take() {
            let lost = self.lost.get(&id).cloned().unwrap_or_default();
            capture.note(|| RowChange::PutWorkspaces(id, self.binding_rows_of(id), lost));
        }
        if std::mem::take(&mut self.is_token_taken) {
            capture.note(|| RowChange::PutNextToken(self.next_token));
        }
    }
}
