use crate::domain::{JobState, Outcome};

use super::{
    super::{Acquisition, Batch, LeaseRow, LeaseWrite, Write},
    Tested,
    runner_steps::*,
    world::*,
};

/// The calls of a small story: two jobs, two runners, one of which is lost.
const STEPS: usize = 13;

/// What the callers remember themselves.
#[derive(Default)]
struct Story {
    leases: Vec<LeaseRow>,
}

impl Story {
    async fn step(&mut self, store: &Tested, step: usize) {
        match step {
            0 => {
                stored(store, &pipeline(1, "p")).await;
            }
            1 | 2 => {
                let p = store.pipeline(crate::domain::PipelineId(id(1))).await;
                let p = p.unwrap().unwrap().pipeline;
                let number = 9 + step as u128;
                add_job(store, numbered_job(&p, number, step as i64, 0, at(1))).await;
            }
            3 | 4 => {
                register(store, runner(step as u128 - 2, &[])).await;
            }
            5 | 6 => self.leases.extend(lease(store, step as u128 - 4).await),
            7 => begin(store, &self.leases[0]).await,
            8 => begin(store, &self.leases[1]).await,
            9 => complete(store, &self.leases[0], Outcome::Succeeded).await,
            10 => {
                let due = store.due_leases(at(CONFIRMED_UNTIL)).await.unwrap();
                assert_eq!(due.len(), 1);
            }
            11 => self.give_up(store).await,
            _ => {
                let last = store.offer(request(1)).await.unwrap();
                assert!(matches!(last, Acquisition::Lease(_)));
            }
        }
    }

    /// The second runner is lost with its stage.
    async fn give_up(&self, store: &Tested) {
        let row = self.leases[1];
        let (id, token, job_id) = (row.id, row.token, row.stage.job_id);
        let lost = crate::domain::LostWorkspace {
            runner_id: row.runner_id,
            offer: offer(&[]),
            before: crate::domain::FencingToken(token.0 + 1),
        };
        let command = crate::domain::Command::Lose {
            run: row.stage.run,
            token,
            log: crate::domain::LogSummary::from(3),
        };
        let write = decided(&*job(store, job_id).await, command, at(170));
        let batch = Batch::of([
            Write::Job(write),
            Write::Lease(LeaseWrite::LoseWorkspace { job_id, lost }),
            Write::Lease(LeaseWrite::Settle { id, token }),
        ]);
        store.commit(batch).await.unwrap();
    }
}

/// The process ends once, between any two steps, or after each of them.
pub(crate) async fn work_continues_after_a_crash_between_any_two_calls(mut store: Tested) {
    for crash_after in 0..=STEPS {
        store = Tested {
            store: store.factory.open().await,
            ..store
        };
        let mut story = Story::default();
        for step in 0..STEPS {
            story.step(&store, step).await;
            if step == crash_after || crash_after == STEPS {
                store.crash().await;
            }
        }
        let [first, second] = [10, 11].map(job_id);
        assert_eq!(job(&store, first).await.state, JobState::Running);
        let second = job(&store, second).await;
        assert_eq!(second.newest_run(0).attempt, 2);
        let lost = store.lost_workspaces(second.id).await.unwrap();
        assert_eq!(lost.len(), 1);
        assert_eq!(store.ready_stages().await.unwrap(), 1);
        assert_eq!(
            store.active_jobs(second.pipeline.id).await.unwrap().len(),
            2
        );
    }
}
