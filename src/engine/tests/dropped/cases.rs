use crate::{
    domain::{ConcurrencyPolicy, Outcome, Pipeline, PipelineSpec, RetryScope},
    engine::{
        Error, ProjectDraft, ProjectUpdate, Update,
        tests::world::{World, caller, spec, trigger_of},
    },
};

use super::{Boxed, Case, Scene};

const ALLOW: ConcurrencyPolicy = ConcurrencyPolicy::Allow;
const QUEUE: ConcurrencyPolicy = ConcurrencyPolicy::Queue;
const CANCEL_RUNNING: ConcurrencyPolicy = ConcurrencyPolicy::CancelRunning;

/// Every call of a client that changes something.
pub(super) const OF_CALLERS: &[Case] = &[
    Case {
        name: "create a pipeline and its project",
        prepare: |_| Box::pin(async { Scene::empty() }),
        call: |world, scene| {
            described(async move {
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
            described(async move {
                let update = Update {
                    id: scene.pipeline(),
                    etag: "",
                    change: &|pipeline: &Pipeline| {
                        Ok(PipelineSpec {
                            parallel: true,
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
            described(async move {
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
            described(async move {
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
            described(async move {
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
            described(async move {
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
        call: |world, scene| described(world.engine.projects().delete(&scene.call, "new", "")),
        is_repeatable: true,
    },
];

/// The response to a call, as text.
pub(super) fn described<'a, T: std::fmt::Debug, E: std::fmt::Display>(
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
    described(world.engine.jobs().trigger(&scene.call, request))
}

fn delete_pipeline<'a>(world: &'a World, scene: &'a Scene) -> Boxed<'a, Result<String, String>> {
    let pipelines = world.engine.pipelines();
    described(pipelines.delete(&scene.call, scene.pipeline(), "", true))
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
        let call = caller();
        let projects = world.engine.projects();
        projects.create(&call, project(), false).await.unwrap();
        scene
    })
}
