//! Watches a job until it ends, and resumes over new connections.

use std::time::Duration;

use tonic::{Code, Status, Streaming};

use crate::{
    cli::{
        connect::{
            backoff::Backoff,
            client::{Client, is_aged, is_final},
        },
        exit::{self, Failure},
        present::{
            out,
            view::{JobView, Progress},
        },
    },
    proto::v1,
};

/// Three missed heartbeats of 15 s.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);

/// A watch that resumes by itself.
pub(crate) struct Watch {
    client: Client,
    job_id: String,
    view: JobView,
    stream: Option<Streaming<v1::WatchJobResponse>>,
    backoff: Backoff,
    was_connected: bool,
}

impl Watch {
    /// Starts from the state of the view; connects with the first `next`.
    pub(crate) fn new(client: Client, job_id: String, view: JobView) -> Self {
        Self {
            client,
            job_id,
            view,
            stream: None,
            backoff: Backoff::default(),
            was_connected: false,
        }
    }

    /// The job as far as it is known.
    pub(crate) fn view(&self) -> &JobView {
        &self.view
    }

    /// Waits for an update; [`None`] when the job has ended.
    ///
    /// Cancel-safe: no message is lost, and at most a backoff delay is cut short.
    pub(crate) async fn next(&mut self) -> Result<Option<Progress>, Failure> {
        while self.view.ended().is_none() {
            match self.receive().await {
                Ok(Progress::Idle) => {}
                Ok(Progress::Gap) => self.lost(&Status::unavailable("events are missing")).await,
                Ok(news) => return Ok(Some(news)),
                // The delay prevents a busy loop if the maximum age of streams is very small.
                Err(Failure::Status(status)) if is_aged(&status) => self.pause(&status).await,
                Err(Failure::Status(status)) if self.can_resume(&status) => {
                    self.lost(&status).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// Does not wait for a service that was never reached.
    fn can_resume(&self, status: &Status) -> bool {
        self.was_connected && !is_final(status)
    }

    async fn receive(&mut self) -> Result<Progress, Failure> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(open(&self.client, &self.job_id, &self.view).await?),
        };
        self.was_connected = true;
        let message = tokio::time::timeout(SILENCE, stream.message()).await;
        match message.map_err(|_| silent())?? {
            Some(message) => {
                self.backoff.reset();
                Ok(self.view.apply(message))
            }
            None => self.confirm_end().await,
        }
    }

    /// The stream ended as if the end of the job was sent. If the end was not received, the
    /// job is read; if it has not ended either, the stream broke.
    async fn confirm_end(&mut self) -> Result<Progress, Failure> {
        let job = get(&self.client, &self.job_id).await?;
        let news = self.view.replace(job);
        if self.view.ended().is_none() {
            return Err(Status::new(Code::Unavailable, "the watch ended before the job").into());
        }
        Ok(news)
    }

    async fn lost(&mut self, status: &Status) {
        let reason = exit::describe(status);
        out::notice(&format!("watch interrupted, reconnecting: {reason}"));
        self.pause(status).await;
    }

    async fn pause(&mut self, status: &Status) {
        self.stream = None;
        tokio::time::sleep(self.backoff.after(status)).await;
    }
}

async fn open(
    client: &Client,
    job_id: &str,
    view: &JobView,
) -> Result<Streaming<v1::WatchJobResponse>, Failure> {
    let request = v1::WatchJobRequest {
        job_id: job_id.to_owned(),
        last_seen_sequence: view.last_sequence(),
        heartbeat_interval: None,
    };
    let send = |mut client: Client, request| async move { client.jobs.watch_job(request).await };
    client.call(request, send).await
}

/// Gets a job.
pub(crate) async fn get(client: &Client, job_id: &str) -> Result<v1::Job, Failure> {
    let request = v1::GetJobRequest {
        job_id: job_id.to_owned(),
    };
    let send = |mut client: Client, request| async move { client.jobs.get_job(request).await };
    let response = client.call(request, send).await?;
    Ok(response.job.unwrap_or_default())
}

/// The status of a stream on which nothing arrived, not even heartbeats.
pub(crate) fn silent() -> Status {
    Status::unavailable("the service has gone silent")
}

#[cfg(test)]
mod tests;
