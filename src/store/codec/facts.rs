use crate::domain::{JobFacts, JobId, PipelineId, StageCounts, StageTimes};

use super::{
    CodecError, Kind, Stored, messages,
    primitives::{Numbered, id_from_bytes, id_to_bytes, time_from_nanos, time_to_nanos},
};

impl Stored for JobFacts {
    const KIND: Kind = Kind::JobFacts;
    type Message = messages::JobFacts;

    fn to_message(&self) -> Self::Message {
        let Self {
            job_id,
            pipeline_id,
            project,
            number,
            state,
            create_time,
            start_time,
            end_time,
            wait_ms,
            run_ms,
            stages,
            times,
            failure_reason,
            source,
        } = self;
        let StageCounts {
            succeeded,
            failed,
            cancelled,
            skipped,
            carried,
        } = *stages;
        let StageTimes {
            run_ms: run_stages_ms,
            build_ms: build_stages_ms,
            deploy_ms: deploy_stages_ms,
        } = *times;
        messages::JobFacts {
            job_id: id_to_bytes(job_id.0),
            pipeline_id: id_to_bytes(pipeline_id.0),
            project: project.clone(),
            number: *number,
            state: state.number(),
            create_time: time_to_nanos(*create_time),
            start_time: start_time.map(time_to_nanos),
            end_time: time_to_nanos(*end_time),
            wait_ms: *wait_ms,
            run_ms: *run_ms,
            stages_succeeded: succeeded,
            stages_failed: failed,
            stages_cancelled: cancelled,
            stages_skipped: skipped,
            stages_carried: carried,
            run_stages_ms,
            build_stages_ms,
            deploy_stages_ms,
            failure_reason: failure_reason.map(Numbered::number),
            source: source.number(),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::JobFacts {
            job_id,
            pipeline_id,
            project,
            number,
            state,
            create_time,
            start_time,
            end_time,
            wait_ms,
            run_ms,
            stages_succeeded,
            stages_failed,
            stages_cancelled,
            stages_skipped,
            stages_carried,
            run_stages_ms,
            build_stages_ms,
            deploy_stages_ms,
            failure_reason,
            source,
        } = message;
        let reason = |number| Numbered::from_number(number, "JobFacts.failure_reason");
        Ok(Self {
            job_id: JobId(id_from_bytes(&job_id, "JobFacts.job_id")?),
            pipeline_id: PipelineId(id_from_bytes(&pipeline_id, "JobFacts.pipeline_id")?),
            project,
            number,
            state: Numbered::from_number(state, "JobFacts.state")?,
            create_time: time_from_nanos(create_time),
            start_time: start_time.map(time_from_nanos),
            end_time: time_from_nanos(end_time),
            wait_ms,
            run_ms,
            stages: StageCounts {
                succeeded: stages_succeeded,
                failed: stages_failed,
                cancelled: stages_cancelled,
                skipped: stages_skipped,
                carried: stages_carried,
            },
            times: StageTimes {
                run_ms: run_stages_ms,
                build_ms: build_stages_ms,
                deploy_ms: deploy_stages_ms,
            },
            failure_reason: failure_reason.map(reason).transpose()?,
            source: Numbered::from_number(source, "JobFacts.source")?,
        })
    }
}
