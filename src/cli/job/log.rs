//! `pipewright job log`.

use clap::Args;

use crate::{
    cli::{
        client::Client,
        exit::{Exit, Failure},
        logs::{self, LogReader, Piece},
        out,
        remote::Format,
        text::Cleaner,
    },
    wire::v1,
};

/// Print the log of a stage
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// Id of the job
    job: String,
    /// Name of the stage
    stage: String,
    /// Attempt at the stage; the newest when unset
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    attempt: i32,
    /// Wait for more until the stage is over
    #[arg(long, short = 'f')]
    follow: bool,
    /// First byte to print; a negative number counts from the end
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    offset: i64,
    /// Leave control sequences in, on a terminal too
    #[arg(long)]
    raw: bool,
}

impl LogArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        if format == Format::Json {
            return Err(Failure::Usage(
                "a log is bytes and has no JSON form".to_owned(),
            ));
        }
        let mut cleaner = (out::is_terminal() && !self.raw).then(Cleaner::default);
        let mut reader = LogReader::new(client.clone(), self.request());
        while let Some(piece) = reader.next().await? {
            match (piece, &mut cleaner) {
                (Piece::Gap(gap), _) => out::notice(&logs::describe(&gap)),
                (Piece::Bytes(bytes), None) => out::print(&bytes)?,
                (Piece::Bytes(bytes), Some(cleaner)) => {
                    out::print(cleaner.push(&bytes).as_bytes())?;
                }
            }
        }
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
