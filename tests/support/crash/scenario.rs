//! One kill in the middle of many jobs.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const JOBS: usize = 200;

/// Starts 200 jobs on three remote runners, kills the service in the middle, and checks that
/// every stage ran exactly once.
pub(crate) async fn kill_among_jobs(seed: u64) -> Summary {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut summary = Summary::default();
    let disk = Disk::directory();
    let world = World::open(&disk).await;
    let service = world.start(&disk, None).await.expect("it is not killed");
    let runners = world.start_runners().await;
    let channel = world.gateway.channel();
    let pipeline = Kind::Remote.pipeline("remote-0-0".to_owned(), &world.mark, &world.ran);
    let create = pipewright::proto::v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        ..Default::default()
    };
    let created = call(&world, &channel, Call::Create(create)).await;
    let Answer::Pipeline(pipeline) = created else {
        unreachable!("a pipeline was created");
    };
    for _ in 0..JOBS {
        let trigger = pipewright::proto::v1::TriggerPipelineRequest {
            pipeline_id: pipeline.id.clone(),
            ..Default::default()
        };
        call(&world, &channel, Call::Trigger(trigger)).await;
    }
    // By what has happened, and not by time: the machine may be slow.
    let begun = chance.random_range(10..JOBS);
    let until = time::Instant::now() + PATIENCE;
    while world.ran().len() < begun {
        assert!(time::Instant::now() < until, "the stages do not begin");
        time::sleep(Duration::from_millis(1)).await;
    }
    world.kill(service).await;
    let service = world.start(&disk, None).await.expect("it is not killed");
    summary.worst_recovery = service.recovery;
    summary.rounds = 1;
    audit::at_the_end(&world, &mut summary).await;
    world.check(seed, 1, &runners);
    assert_eq!(summary.attempts, 2 * JOBS);
    assert_eq!(world.ran().len(), 2 * JOBS);
    world.close(service, runners, disk).await;
    world.check(seed, 1, &[]);
    summary
}

async fn call(world: &Arc<World>, channel: &Channel, call: Call) -> Answer {
    let answer = call.make(channel).await.expect("the service runs");
    world.ledger.lock().acknowledge(call, answer.clone());
    answer
}
