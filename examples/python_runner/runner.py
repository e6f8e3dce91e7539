"""A Pipewright runner in under 50 lines: one stage at a time, a directory for each job."""
import os, signal, subprocess, sys, tempfile, threading, uuid
import grpc
from google.protobuf.duration_pb2 import Duration
from pipewright.runner.v1 import lease_service_pb2 as pb, lease_service_pb2_grpc as stubs

service, session, directories = stubs.LeaseServiceStub(grpc.insecure_channel(sys.argv[1])), str(uuid.uuid4()), {}
me = service.RegisterRunner(pb.RegisterRunnerRequest(
    display_name="python", labels={"lang": "python"}, capacity=1, session_id=session), wait_for_ready=True, timeout=30)
print("registered as", me.runner_id, flush=True)

def stop(process, why, stopped):
    if process.poll() is None:
        stopped.append(why)
        os.killpg(process.pid, signal.SIGKILL)

def renew(proof, process, stopped):  # until the command ends, the service cancels it, or the lease cannot be renewed
    request = pb.RenewLeaseRequest(proof=proof, max_wait=Duration(seconds=me.lease_ttl.seconds // 3))
    try:
        while process.poll() is None and service.RenewLease(request, timeout=15).directive != pb.DIRECTIVE_CANCEL: pass
    except grpc.RpcError: pass  # the lease is lost, or will be: another runner gets the stage
    stop(process, pb.OUTCOME_CANCELLED, stopped)

def run(work, proof):
    service.RenewLease(pb.RenewLeaseRequest(proof=proof), timeout=10)  # confirms: nothing may start before its OK
    if work.WhichOneof("action") != "command" or work.git_repository or (work.workspace_exists and work.job_id not in directories):
        return pb.CompleteLeaseRequest(proof=proof, outcome=pb.OUTCOME_RETURNED)  # another runner may have it
    directory = directories.setdefault(work.job_id, tempfile.TemporaryDirectory()).name
    os.makedirs(source := os.path.join(directory, "src"), exist_ok=True)
    own = {"PATH": os.environ["PATH"], "PIPEWRIGHT_PROGRESS": os.path.join(directory, "progress")}
    try:
        process = subprocess.Popen(["/bin/sh", "-ec", work.command], cwd=os.path.join(source, work.working_directory),
            env={**own, **work.variables, **work.secret_variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    except OSError as error:
        return pb.CompleteLeaseRequest(proof=proof, outcome=pb.OUTCOME_RUNNER_ERROR, message=f"could not start: {error}")
    size, stopped = 0, []
    threading.Thread(target=renew, args=(proof, process, stopped), daemon=True).start()
    threading.Timer(work.timeout.seconds, stop, (process, pb.OUTCOME_TIMED_OUT, stopped)).start()
    while data := process.stdout.read1(64 * 1024):
        size = service.AppendLog(pb.AppendLogRequest(proof=proof, offset=size, data=data), timeout=10).committed_offset
    ended = pb.OUTCOME_SUCCEEDED if process.wait() == 0 else pb.OUTCOME_COMMAND_FAILED
    return pb.CompleteLeaseRequest(proof=proof, outcome=(stopped + [ended])[0], log_size_bytes=size,
        message=f"exited with status {process.returncode}", exit_code=process.returncode if process.returncode >= 0 else None)

while True:
    got = service.AcquireLease(pb.AcquireLeaseRequest(runner_id=me.runner_id, session_id=session,
        request_id=str(uuid.uuid4()), max_wait=Duration(seconds=50), held_job_ids=directories), timeout=60)
    for job_id in got.ended_job_ids: directories.pop(job_id).cleanup()
    if got.HasField("lease"):
        completion = run(got.lease.work, pb.LeaseProof(lease_id=got.lease.id, fencing_token=got.lease.fencing_token))
        service.CompleteLease(completion, timeout=10)
        print(got.lease.work.stage_name, "attempt", got.lease.work.attempt, pb.Outcome.Name(completion.outcome), flush=True)
