use std::time::Duration;

use crate::{
    domain::{ConcurrencyPolicy, Outcome, Pipeline, PipelineSpec, RetryScope, lease::Report},
    engine::{
        Error, LeaseError, ProjectDraft, ProjectUpdate, Update,
        tests::world::{World, somebody, spec, trigger_of},
    },
};

use super::{Boxed, Case, Scene};

const ALLOW: ConcurrencyPolicy = ConcurrencyPolicy::Allow;
const QUEUE: ConcurrencyPolicy = ConcurrencyPolicy::Queue;
const CANCEL_RUNNING: ConcurrencyPolicy = ConcurrencyPolicy::CancelRunning;

/// Every call that changes something.
pub(super) const CASES: &[Case] = &[
    Case {
        name: "create a pipeline and its project",
        prepare: |_| Box::pin(async { Scene::empty() }),
        call: |world, scene| {
            told(async move {
                let pipelines = world.engine.pipelines();
                let project = "new".to_owned();
                pipelines
                    .create(&scene.call, project, spec(&["s"], ALLOW), false)
                    .await
            })
        },
        is_repeatable: true,
    },
    Case {
        name: "update a pipeline",
        prepare: |world| Box::pin(Scene::of(world, &["s"], ALLOW)),
        call: |world, scene| {
            told(async move {
                let update = Update {
                    id: scene.pipeline(),
                    etag: "",
                    change: &|pipeline: &Pipeline| {
                        Ok(PipelineSpec {
                            default_ref: "other".to_owned(),
                            ..pipeline.spec.clone()
                        })
                    },
                    validate_only: false,
                };
                world.engine.pipelines().update(&scene.call, update).await
            })
        },
        is_repeatable: true,
    },
    Case {
        name: "delete a pipeline",
        prepare: |world| Box::pin(Scene::of(world, &["s"], ALLOW)),
        call: delete_pipeline,
        is_repeatable: true,
    },
    Case {
        name: "delete a pipeline with active jobs",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::running(world, &["a", "b"], ALLOW).await;
                scene.and_another(world).await.triggered(world).await
            })
        },
        call: delete_pipeline,
        is_repeatable: true,
    },
    Case {
        name: "trigger",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::of(world, &["s"], ALLOW).await;
                scene.and_a_runner_waits(world).await
            })
        },
        call: trigger,
        is_repeatable: true,
    },
    Case {
        name: "trigger behind another job",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::running(world, &["s"], QUEUE).await;
                scene.and_a_runner_waits(world).await
            })
        },
        call: trigger,
        is_repeatable: true,
    },
    Case {
        name: "trigger in the place of a job that runs",
        prepare: |world| Box::pin(Scene::running(world, &["a", "b"], CANCEL_RUNNING)),
        call: trigger,
        is_repeatable: true,
    },
    Case {
        name: "trigger in the place of a job that waits",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::stuck(world, CANCEL_RUNNING).await;
                scene.and_a_runner_waits(world).await
            })
        },
        call: trigger,
        is_repeatable: true,
    },
    Case {
        name: "cancel",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::stuck(world, QUEUE).await;
                scene
                    .and_another(world)
                    .await
                    .and_a_runner_waits(world)
                    .await
            })
        },
        call: |world, scene| {
            told(async move {
                let jobs = world.engine.jobs();
                let view = jobs.cancel(&scene.call, scene.job(), String::new()).await?;
                Ok::<_, Error>(view.job)
            })
        },
        is_repeatable: true,
    },
    Case {
        name: "retry",
        prepare: |world| {
            Box::pin(async {
                let scene = Scene::running(world, &["s"], ALLOW).await;
                let scene = scene.ended(Outcome::CommandFailed).await;
                scene.and_a_runner_waits(world).await
            })
        },
        call: |world, scene| {
            told(async move {
                let jobs = world.engine.jobs();
                jobs.retry(&scene.call, scene.job(), RetryScope::AllStages)
                    .await
            })
        },
        is_repeatable: true,
    },
    Case {
        name: "create a project",
        prepare: |_| Box::pin(async { Scene::empty() }),
        call: |world, scene| {
            told(async move {
                let projects = world.engine.projects();
                let entry = projects.create(&scene.call, project(), false).await?;
                Ok::<_, Error>(entry.project().clone())
            })
        },
        is_repeatable: true,
    },
    Case {
        name: "update a project",
        prepare: with_project,
        call: |world, scene| {
            told(async move {
                let update = ProjectUpdate {
                    name: "new",
                    etag: "",
                    change: &|_| ProjectDraft {
                        description: "other".to_owned(),
                        ..project()
                    },
                    validate_only: false,
                };
                let projects = world.engine.projects();
                let entry = projects.update(&scene.call, update).await?;
                Ok::<_, Error>(entry.project().clone())
            })
        },
        is_repeatable: true,
    },
    Case {
        name: "delete a project",
        prepare: with_project,
        call: |world, scene| told(world.engine.projects().delete(&scene.call, "new", "")),
        is_repeatable: true,
    },
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
            told(async move {
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
        call: |_, scene| told(scene.runner().append(scene.proof(), 0, "line\n")),
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
        call: |_, scene| told(scene.runner().complete(scene.proof(), Outcome::Succeeded)),
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
        call: |_, scene| told(scene.runner().complete(scene.proof(), Outcome::Succeeded)),
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
        call: |_, scene| told(scene.runner().complete(scene.proof(), Outcome::Returned)),
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

/// The answer to a call, as one text.
fn told<'a, T: std::fmt::Debug, E: std::fmt::Display>(
    call: impl Future<Output = Result<T, E>> + Send + 'a,
) -> Boxed<'a, Result<String, String>> {
    Box::pin(async {
        let answer = call.await;
        answer
            .map(|answer| format!("{answer:?}"))
            .map_err(|error| error.to_string())
    })
}

fn trigger<'a>(world: &'a World, scene: &'a Scene) -> Boxed<'a, Result<String, String>> {
    let request = trigger_of(scene.pipeline());
    told(world.engine.jobs().trigger(&scene.call, request))
}

fn delete_pipeline<'a>(world: &'a World, scene: &'a Scene) -> Boxed<'a, Result<String, String>> {
    let pipelines = world.engine.pipelines();
    told(pipelines.delete(&scene.call, scene.pipeline(), "", true))
}

fn register<'a>(_: &'a World, scene: &'a Scene) -> Boxed<'a, Result<String, String>> {
    told(scene.runner().register())
}

/// What is left of a lease is no part of the answer.
fn report(scene: &Scene, report: Report) -> Boxed<'_, Result<String, String>> {
    told(async move {
        let renewed = scene.runner().report(scene.proof(), report).await?;
        Ok::<_, LeaseError>((renewed.directive, renewed.commit_id))
    })
}

fn drain<'a>(
    world: &'a World,
    scene: &'a Scene,
    is_draining: bool,
) -> Boxed<'a, Result<String, String>> {
    told(async move {
        let id = scene.runner().id.expect("it has registered");
        let view = world.engine.runners().drain(id, is_draining).await?;
        Ok::<_, Error>(view.is_draining)
    })
}

fn project() -> ProjectDraft {
    ProjectDraft {
        name: "new".to_owned(),
        ..ProjectDraft::default()
    }
}

fn with_project(world: &World) -> Boxed<'_, Scene> {
    Box::pin(async {
        let scene = Scene::empty();
        let call = somebody();
        let projects = world.engine.projects();
        projects.create(&call, project(), false).await.unwrap();
        scene
    })
}
