use std::cell::RefCell;

use proptest::{prelude::*, test_runner::TestRunner};

use super::{Reopen, World, bytes, key};
use crate::blobs::logs::{AppendError, GapReason, LogKey, LogRead};

#[derive(Clone, Debug)]
enum Op {
    Append { again: u64, len: u64 },
    Drop { again: u64, dropped: u64, len: u64 },
    Hole { by: u64, len: u64 },
    Read { start: u64, most: usize },
    Sync,
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let small = || 0u64..40;
    proptest::collection::vec(
        prop_oneof![
            4 => (small(), small()).prop_map(|(again, len)| Op::Append { again, len }),
            2 => (small(), small(), small())
                .prop_map(|(again, dropped, len)| Op::Drop { again, dropped, len }),
            1 => (1u64..40, small()).prop_map(|(by, len)| Op::Hole { by, len }),
            2 => (0u64..400, 1usize..50).prop_map(|(start, most)| Op::Read { start, most }),
            1 => Just(Op::Sync),
            1 => Just(Op::Reopen),
        ],
        0..40,
    )
}

/// The whole log in memory: every byte, or none where it was dropped.
#[derive(Default)]
struct Model(Vec<Option<u8>>);

impl Model {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn extend(&mut self, from: u64, to: u64) {
        let from = usize::try_from(from).unwrap();
        self.0.resize(self.0.len().max(from), None);
        let new = bytes(self.size()..to.max(self.size()));
        self.0.extend(new.into_iter().map(Some));
    }

    /// Checks a read at an offset: the exact bytes or an explicit gap, the latter
    /// only where a byte was dropped or evicted. Returns where the next read begins.
    fn check(&self, read: &LogRead, offset: u64, limit: u64) -> u64 {
        let size = self.size();
        let kept_at_end = limit / 2 - limit / 8;
        let must_be_kept = |offset: u64| offset < limit - limit / 2 || offset + kept_at_end > size;
        let range = super::range_of(read, offset).expect("not the end yet");
        assert!(offset < range.end && range.end <= size, "{range:?}");
        let known = &self.0[range.start as usize..range.end as usize];
        match read {
            LogRead::Bytes(data) => {
                let known: Option<Vec<u8>> = known.iter().copied().collect();
                assert_eq!(known.as_deref(), Some(&data[..]));
            }
            LogRead::Gap {
                reason: GapReason::RunnerDropped,
                ..
            } => assert!(known.iter().all(Option::is_none)),
            LogRead::Gap {
                reason: GapReason::SizeLimit,
                ..
            } => assert!(!range.clone().any(must_be_kept), "{range:?} of {size}"),
            other => panic!("{other:?}"),
        }
        range.end
    }
}

fn apply(op: &Op, world: &mut World, key: LogKey, model: &mut Model, limit: u64) {
    let size = model.size();
    let (offset, dropped, len) = match *op {
        Op::Append { again, len } => (size.saturating_sub(again), 0, len),
        Op::Drop {
            again,
            dropped,
            len,
        } => (size.saturating_sub(again) + dropped, dropped, len),
        Op::Hole { by, len } => {
            let refused = world.try_append(key, size + by..size + by + len, 0);
            assert!(matches!(refused, Err(AppendError::Hole { committed }) if committed == size));
            return;
        }
        Op::Read { start, most } => {
            let mut offset = start % (size + 1);
            while offset < size {
                let read = world.read(key, offset..size, most);
                assert!(!matches!(&read, LogRead::Bytes(data) if data.len() > most));
                offset = model.check(&read, offset, limit);
            }
            assert_eq!(world.read(key, size..size, most), LogRead::End);
            return;
        }
        Op::Sync => {
            assert_eq!(world.sync(key), size);
            return;
        }
        Op::Reopen => {
            let before = (world.all(key), world.store().stored());
            world.reopen();
            assert_eq!((world.all(key), world.store().stored()), before);
            return;
        }
    };
    let committed = world.try_append(key, offset..offset + len, dropped);
    model.extend(offset, offset + len);
    assert_eq!(committed.unwrap(), model.size());
    assert!(world.store().stored() <= limit);
}

pub(crate) fn any_history_reads_as_in_a_simple_model(reopen: Box<dyn Reopen>) {
    let world = RefCell::new(World::with(reopen, 2));
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    });
    let ran = runner.run(&(2u64..120, ops()), |(limit, ops)| {
        let world = &mut *world.borrow_mut();
        // Also the logs of an earlier case that failed.
        for job in world.wait(world.store().jobs()).unwrap() {
            world.wait(world.store().remove(job)).unwrap();
        }
        world.limit(limit);
        let mut model = Model::default();
        let at_last = [Op::Read { start: 0, most: 30 }, Op::Reopen];
        for op in ops.iter().chain(&at_last) {
            apply(op, world, key(1), &mut model, limit);
        }
        Ok(())
    });
    ran.unwrap();
}
