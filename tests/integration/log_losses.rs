//! Logs that cannot be stored: their stages run on, and readers see what is missing.

use std::{fs, path::Path};

use pipewright::proto::v1::{
    self, log_gap::Reason, read_stage_log_response::Payload, stage_run::State,
};

use crate::service::{Service, open, pipeline, stage};

/// Gaps of a log and its bytes, and its size once it is complete.
async fn read(service: &Service, job: &v1::Job, stage: &str) -> (Vec<(i64, Reason)>, String, i64) {
    let request = v1::ReadStageLogRequest {
        job_id: job.id.clone(),
        stage_name: stage.to_owned(),
        ..Default::default()
    };
    let stream = service.jobs().read_stage_log(request).await.unwrap();
    let mut stream = stream.into_inner();
    let (mut gaps, mut text) = (Vec::new(), String::new());
    while let Some(message) = stream.message().await.unwrap() {
        match message.payload.unwrap() {
            Payload::Chunk(chunk) => text.push_str(std::str::from_utf8(&chunk.data).unwrap()),
            Payload::Gap(gap) => gaps.push((gap.end_offset - gap.start_offset, gap.reason())),
            Payload::End(end) => return (gaps, text, end.size_bytes),
            Payload::Heartbeat(_) => {}
        }
    }
    panic!("{job:?} has not ended");
}

/// A file where a directory has to be: no disk and no user can write into it.
fn block(directory: &Path) {
    fs::remove_dir_all(directory).unwrap();
    fs::write(directory, "").unwrap();
}

#[tokio::test]
async fn a_stage_whose_log_cannot_be_stored_runs_to_its_end_and_says_so() {
    let service = Service::start().await;
    let stages = [
        stage("big", "seq 100000"),
        stage("small", "echo important"),
        stage("silent", "true"),
        stage("why", "echo why; exit 1"),
    ];
    let made = service.create(pipeline("p", stages)).await;
    block(&service.path("logs"));
    let job = service.trigger(&made).await;
    let job = service.ended(&job.id).await;
    let states: Vec<State> = job.stage_runs.iter().map(|run| run.state()).collect();
    let expected = [
        State::Succeeded,
        State::Succeeded,
        State::Succeeded,
        State::Failed,
    ];
    assert_eq!(states, expected);
    for (run, size) in job.stage_runs.iter().zip([588_895, 10, 0, 4]) {
        assert_eq!(run.log_size_bytes, size);
        let missing = run.log_loss.map_or(0, |loss| loss.not_stored_bytes);
        assert_eq!(missing, size, "{run:?}");
        let gaps = match size {
            0 => Vec::new(),
            _ => vec![(size, Reason::NotStored)],
        };
        let found = read(&service, &job, &run.stage_name).await;
        assert_eq!(found, (gaps, String::new(), size));
    }
    // The events say the same.
    assert_eq!(service.get(&job.id).await, job);
    fs::remove_file(service.path("logs")).unwrap();
    let job = service.run(pipeline("q", [stage("s", "echo back")])).await;
    assert_eq!(job.stage_runs[0].log_loss, None);
    let found = read(&service, &job, "s").await;
    assert_eq!(found, (Vec::new(), "back\n".to_owned(), 5));
}

#[tokio::test]
async fn a_log_directory_that_is_deleted_under_a_stage_leaves_a_gap() {
    let service = Service::start().await;
    let gate = service.gate("gate");
    let command = format!("echo before; cat '{}'; echo after", gate.display());
    let job = service.create(pipeline("p", [stage("s", &command)])).await;
    let job = service.trigger(&job).await;
    let request = v1::ReadStageLogRequest {
        job_id: job.id.clone(),
        stage_name: "s".to_owned(),
        follow: true,
        ..Default::default()
    };
    let stream = service.jobs().read_stage_log(request).await.unwrap();
    let mut stream = stream.into_inner();
    loop {
        let message = stream.message().await.unwrap().unwrap();
        if message.next_offset == 7 {
            break;
        }
    }
    fs::remove_dir_all(service.path("logs")).unwrap();
    open(&gate, "").await;
    // Neither the reader nor the stage fails.
    let mut rest = String::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Payload::Chunk(chunk)) = message.payload {
            rest.push_str(std::str::from_utf8(&chunk.data).unwrap());
        }
    }
    assert_eq!(rest, "after\n");
    let job = service.ended(&job.id).await;
    let run = &job.stage_runs[0];
    assert_eq!(run.state(), State::Succeeded);
    assert_eq!(run.log_loss.unwrap().not_stored_bytes, 7);
    let found = read(&service, &job, "s").await;
    assert_eq!(
        found,
        (vec![(7, Reason::NotStored)], "after\n".to_owned(), 13)
    );
}
