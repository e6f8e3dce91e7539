use crate::domain::{Outcome, PipelineSpec};

use super::{Tested, runner_steps::*, world::*};

pub(crate) async fn ready_stages_are_offered_in_order_of_rank(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    for (number, priority, time) in [
        (10, 0, 100),
        (11, 0, 99),
        (12, 1, 109),
        (13, 1, 111),
        (14, -1, 89),
    ] {
        add_job(&store, new_job(&p, number, priority, at(time))).await;
    }
    assert_eq!(store.ready_stages().await.unwrap(), 5);
    // As if they had become ready at 100, 99, 99, 101 and 99; of equal ones the older
    // id is first.
    for expected in [11, 12, 14, 10, 13] {
        assert_eq!(store.head_of_queue().await.unwrap(), Some(nth(expected, 0)));
        assert_eq!(take(&store, 1, &[]).await, Some(nth(expected, 0)));
        store.reopen().await;
    }
    assert_eq!(take(&store, 1, &[]).await, None);
    assert_eq!(store.ready_stages().await.unwrap(), 0);
    assert_eq!(store.head_of_queue().await.unwrap(), None);
}

pub(crate) async fn labels_decide_what_a_runner_gets(mut store: Tested) {
    let of = |number, labels: &[(&str, &str)]| {
        let spec = PipelineSpec {
            stages: vec![stage("s", labels)].into(),
            ..PipelineSpec::default()
        };
        pipeline_with(number, &format!("p{number}"), "default", spec)
    };
    let wanted: [&[(&str, &str)]; 3] = [
        &[("gpu", "yes"), ("os", "linux")],
        &[("os", "linux")],
        &[("os", "mac")],
    ];
    for (number, labels) in (1..).zip(wanted) {
        let p = stored(&store, &of(number, labels)).await;
        add_job(&store, new_job(&p, 10 + number, 0, at(number as u64))).await;
    }
    store.reopen().await;
    assert_eq!(take(&store, 1, &[]).await, None);
    assert_eq!(take(&store, 2, &[("os", "windows")]).await, None);
    assert_eq!(take(&store, 3, &[("os", "linux")]).await, Some(nth(12, 0)));
    assert_eq!(take(&store, 3, &[("os", "linux")]).await, None);
    let all: &[_] = &[("os", "linux"), ("gpu", "yes"), ("x", "y")];
    assert_eq!(take(&store, 4, all).await, Some(nth(11, 0)));
    assert_eq!(take(&store, 5, &[("os", "mac")]).await, Some(nth(13, 0)));
}

pub(crate) async fn what_is_no_longer_ready_is_not_offered(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    end_job(&store, job_id(10), at(2)).await;
    add_job(&store, new_job(&p, 11, 0, at(1))).await;
    tell(&store, job_id(11), start(0), at(2)).await;
    store.reopen().await;
    assert_eq!(take(&store, 1, &[]).await, None);

    // The end of a stage makes the next one ready.
    let of_start = crate::domain::FencingToken(1);
    let finish = finish(nth(11, 0).run, of_start, Outcome::Succeeded);
    tell(&store, job_id(11), finish, at(3)).await;
    store.reopen().await;
    assert_eq!(take(&store, 1, &[]).await, Some(nth(11, 1)));
}

pub(crate) async fn stages_of_a_job_go_to_the_runner_that_has_its_workspace(mut store: Tested) {
    let gpu: &[_] = &[("gpu", "yes")];
    let p = stored(&store, &parallel(1, &[&[], gpu, &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    add_job(&store, new_job(&p, 11, 0, at(2))).await;
    assert_eq!(take(&store, 1, &[]).await, Some(nth(10, 0)));
    // Runner 2 skips stages reserved for runner 1, but not those that runner 1 cannot
    // run.
    assert_eq!(take(&store, 2, gpu).await, Some(nth(10, 1)));
    register(&store, runner(3, &[])).await;
    let of_three = lease(&store, 3).await.unwrap();
    assert_eq!(of_three.stage, nth(11, 0));
    assert_eq!(take(&store, 4, &[]).await, None);
    assert_eq!(store.ready_stages().await.unwrap(), 3);
    store.reopen().await;
    assert_eq!(take(&store, 1, &[]).await, Some(nth(10, 2)));

    let job = job_id(11);
    let bound = store.bindings(job).await.unwrap();
    assert_eq!(bound, [(runner_id(3), offer(&[]))]);
    assert_eq!(store.bound_jobs(runner_id(3)).await.unwrap(), [job]);
    // Once its runner has released it, any runner may have it and the rest.
    store.release(of_three.id, of_three.token).await.unwrap();
    store.reopen().await;
    assert!(store.bound_jobs(runner_id(3)).await.unwrap().is_empty());
    assert_eq!(take(&store, 2, gpu).await, Some(nth(11, 0)));
    assert_eq!(take(&store, 4, &[]).await, None, "runner 2 has it now");
    assert_eq!(take(&store, 2, gpu).await, Some(nth(11, 1)));
    assert_eq!(take(&store, 2, gpu).await, Some(nth(11, 2)));
}

pub(crate) async fn a_bound_stage_that_is_cancelled_is_not_offered(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[], &[], &[]])).await;
    add_job(&store, new_job(&p, 10, 0, at(1))).await;
    assert_eq!(take(&store, 1, &[]).await, Some(nth(10, 0)));
    assert_eq!(take(&store, 2, &[]).await, None);
    store.reopen().await;
    end_job(&store, job_id(10), at(2)).await;
    store.reopen().await;
    assert_eq!(take(&store, 1, &[]).await, None);
    assert_eq!(store.ready_stages().await.unwrap(), 0);
    assert!(store.bindings(job_id(10)).await.unwrap().is_empty());
    assert!(store.bound_jobs(runner_id(1)).await.unwrap().is_empty());
}
