use std::time::Duration;

use crate::{
    domain::{ConcurrencyPolicy, Outcome, lease::Report},
    engine::{Error, LeaseError, tests::world::World},
};

use super::{Boxed, Case, Scene, cases::described};

const ALLOW: ConcurrencyPolicy = ConcurrencyPolicy::Allow;
const QUEUE: ConcurrencyPolicy = ConcurrencyPolicy::Queue;

/// Every call by and about runners that changes something.
pub(super) const OF_RUNNERS: &[Case] = &[
    Case {
        name: "register",
        prepare: |world| {
            Box::pin(async {
                let runner = world.runner("first", 1).await;
                Scene {
                    runner: Some(runner.unregistered()),
                    ..Scene::empty()
                }
            })
        },
        call: register,
        // Without an id each registration is another runner.
        is_repeatable: false,
    },
    Case {
        name: "register another session, which has no workspaces",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::running(world, &["a", "b"], QUEUE).await;
                let scene = scene
                    .and_another(world)
                    .await
                    .ended(Outcome::Succeeded)
                    .await;
                scene.runner().started().await;
                let scene = scene.and_a_runner_waits(world).await;
                Scene {
                    runner: Some(scene.runner().restarted()),
                    ..scene
                }
            })
        },
        call: register,
        is_repeatable: true,
    },
    Case {
        name: "acquire",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::of(world, &["s"], ALLOW).await.triggered(world).await;
                Scene {
                    runner: Some(world.runner("first", 1).await),
                    ..scene
                }
            })
        },
        call: |_, scene| {
            described(async move {
                let lease = scene.runner().ask(scene.request_id, Duration::ZERO).await?;
                Ok::<_, LeaseError>(lease.map(|lease| lease.proof))
            })
        },
        is_repeatable: true,
    },
    Case {
        name: "confirm a lease",
        prepare: |world| Box::pin(Scene::offered(world, &["s"], ALLOW)),
        call: |_, scene| report(scene, Report::default()),
        is_repeatable: true,
    },
    Case {
        name: "renew a lease",
        prepare: |world| Box::pin(Scene::running(world, &["s"], ALLOW)),
        call: |_, scene| {
            let report_of = Report {
                commit_id: Some("a".repeat(40)),
                progress_percent: Some(50),
            };
            report(scene, report_of)
        },
        is_repeatable: true,
    },
    Case {
        name: "append to a log",
        prepare: |world| Box::pin(Scene::running(world, &["s"], ALLOW)),
        call: |_, scene| described(scene.runner().append(scene.proof(), 0, "line\n")),
        is_repeatable: true,
    },
    Case {
        name: "complete a stage before another one",
        prepare: |world| {
            Box::pin(async {
                Scene::running(world, &["a", "b"], ALLOW)
                    .await
                    .and_it_waits()
            })
        },
        call: |_, scene| described(scene.runner().complete(scene.proof(), Outcome::Succeeded)),
        is_repeatable: true,
    },
    Case {
        name: "complete the last stage",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::running(world, &["s"], QUEUE).await;
                scene
                    .and_another(world)
                    .await
                    .and_a_runner_waits(world)
                    .await
            })
        },
        call: |_, scene| described(scene.runner().complete(scene.proof(), Outcome::Succeeded)),
        is_repeatable: true,
    },
    Case {
        name: "give a stage back",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::running(world, &["s"], ALLOW).await;
                scene.and_a_runner_waits(world).await
            })
        },
        call: |_, scene| described(scene.runner().complete(scene.proof(), Outcome::Returned)),
        is_repeatable: true,
    },
    Case {
        name: "drain a runner",
        prepare: |world| Box::pin(Scene::running(world, &["s"], ALLOW)),
        call: |world, scene| drain(world, scene, true),
        is_repeatable: true,
    },
    Case {
        name: "resume a runner",
        prepare: |world| {
            Box::pin(async {
                let runner = world.runner("drained", 1).await;
                let scene = Scene {
                    runner: Some(runner),
                    ..Scene::of(world, &["s"], ALLOW).await
                };
                drain(world, &scene, true).await.unwrap();
                scene.triggered(world).await.and_it_waits()
            })
        },
        call: |world, scene| drain(world, scene, false),
        is_repeatable: true,
    },
];

fn register<'a>(_: &'a World, scene: &'a Scene) -> Boxed<'a, Result<String, String>> {
    described(scene.runner().register())
}

/// The remaining time of a lease is not part of the response.
fn report(scene: &Scene, report: Report) -> Boxed<'_, Result<String, String>> {
    described(async move {
        let renewed = scene.runner().report(scene.proof(), report).await?;
        Ok::<_, LeaseError>((renewed.directive, renewed.commit_id))
    })
}

fn drain<'a>(
    world: &'a World,
    scene: &'a Scene,
    is_draining: bool,
) -> Boxed<'a, Result<String, String>> {
    described(async move {
        let id = scene.runner().id.expect("it has registered");
        let view = world.engine.runners().drain(id, is_draining).await?;
        Ok::<_, Error>(view.is_draining)
    })
}
