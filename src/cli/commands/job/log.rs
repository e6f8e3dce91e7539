//! `pipewright job log`.

use clap::Args;

use crate::{
    cli::{
        connect::{
            client::Client,
            log_reader::{GapNotices, LogReader},
        },
        exit::{Exit, Failure},
        present::{format::Format, json, out, text::Cleaner},
    },
    proto::v1::{self, read_stage_log_response::Payload},
};

/// Print the log of a stage
///
/// With -o json, each line is a `ReadStageLogResponse` that holds a chunk, whose bytes are
/// encoded in Base64, or a gap.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// Id of the job
    job: String,
    /// Name of the stage
    stage: String,
    /// Attempt of the stage [default: the newest]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    attempt: i32,
    /// Continue to print the log until the stage ends
    #[arg(long, short = 'f')]
    follow: bool,
    /// Byte to start at; a negative number counts from the end
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    offset: i64,
    /// Do not remove control sequences, such as colors, from output that goes to a terminal;
    /// other output always has them
    #[arg(long)]
    raw: bool,
}

impl LogArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let mut cleaner = (out::is_terminal() && !self.raw).then(Cleaner::default);
        let mut gaps = GapNotices::default();
        let mut reader = LogReader::new(client.clone(), self.request());
        while let Some(message) = reader.next().await? {
            match (format, message.payload.as_ref()) {
                (Format::Json, _) => {
                    out::print_line(&json::compact("ReadStageLogResponse", &message))?;
                }
                (Format::Table, Some(Payload::Gap(gap))) => {
                    gaps.gap(gap).iter().for_each(|notice| out::notice(notice));
                }
                (Format::Table, Some(Payload::Chunk(chunk))) => {
                    gaps.over().iter().for_each(|notice| out::notice(notice));
                    match &mut cleaner {
                        None => out::print(&chunk.data)?,
                        Some(cleaner) => out::print(cleaner.push(&chunk.data).as_bytes())?,
                    }
                }
                (Format::Table, _) => {}
            }
        }
        gaps.over().iter().for_each(|notice| out::notice(notice));
        Ok(Exit::Ok)
    }

    fn request(self) -> v1::ReadStageLogRequest {
        v1::ReadStageLogRequest {
            job_id: self.job,
            stage_name: self.stage,
            attempt: self.attempt,
            offset: self.offset,
            limit_bytes: 0,
            follow: self.follow,
        }
    }
}
