"""A Pipewright runner in a few lines: one stage at a time, a directory for each job."""
import os, platform, signal, subprocess, sys, tempfile, threading, uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from pipewright.runner.v1 import lease_service_pb2 as pb, lease_service_pb2_grpc as stubs


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def renew(service, proof, ttl, process, cancelled):
    """Keeps the lease until the command ends; kills it if the service says so, or says nothing."""
    hold = Duration()
    hold.FromTimedelta(ttl / 3)
    while process.poll() is None:
        try:
            answer = service.RenewLease(pb.RenewLeaseRequest(proof=proof, max_wait=hold), timeout=ttl.total_seconds() * 0.6)
            if answer.directive == pb.DIRECTIVE_CANCEL:
                cancelled.set()
                return kill(process)
        except grpc.RpcError as error:  # the lease is lost, or may be soon: somebody else gets the stage
            if process.poll() is None:
                print("killed, as its lease was not renewed:", error.details(), flush=True)
            return kill(process)


def run(service, lease, ttl, directories):
    work, proof = lease.work, pb.LeaseProof(lease_id=lease.id, fencing_token=lease.fencing_token)
    service.RenewLease(pb.RenewLeaseRequest(proof=proof), timeout=10)  # confirms: nothing may start before its OK
    is_gone = work.workspace_exists and work.job_id not in directories
    if work.WhichOneof("action") != "command" or work.git_repository or is_gone:
        return service.CompleteLease(pb.CompleteLeaseRequest(proof=proof, outcome=pb.OUTCOME_RETURNED), timeout=10)
    directory = directories.setdefault(work.job_id, tempfile.TemporaryDirectory())
    process = subprocess.Popen(["/bin/sh", "-ec", work.command], cwd=os.path.join(directory.name, work.working_directory),
                               env={"PATH": "/usr/local/bin:/usr/bin:/bin", **work.variables, **work.secret_variables},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    size, cancelled, late = 0, threading.Event(), threading.Event()
    threading.Thread(target=renew, args=(service, proof, ttl, process, cancelled), daemon=True).start()
    timer = threading.Timer(work.timeout.ToTimedelta().total_seconds(), lambda: (late.set(), kill(process)))
    timer.start()
    while data := process.stdout.read1(64 * 1024):
        size = service.AppendLog(pb.AppendLogRequest(proof=proof, offset=size, data=data), timeout=10).committed_offset
    code = process.wait()
    timer.cancel()
    outcome = (pb.OUTCOME_CANCELLED if cancelled.is_set() else pb.OUTCOME_TIMED_OUT if late.is_set()
               else pb.OUTCOME_SUCCEEDED if code == 0 else pb.OUTCOME_COMMAND_FAILED)
    completion = pb.CompleteLeaseRequest(proof=proof, outcome=outcome, exit_code=code if code >= 0 else None, log_size_bytes=size)
    service.CompleteLease(completion, timeout=10)
    print(work.stage_name, "attempt", work.attempt, pb.Outcome.Name(outcome), flush=True)


def main(server):
    service, session, directories = stubs.LeaseServiceStub(grpc.insecure_channel(server)), str(uuid.uuid4()), {}
    labels = {"os": platform.system().lower(), "lang": "python"}
    registration = pb.RegisterRunnerRequest(display_name="python", labels=labels, capacity=1, version="0.1", session_id=session)
    me = service.RegisterRunner(registration, timeout=30, wait_for_ready=True)
    print("registered as", me.runner_id, flush=True)
    while True:
        answer = service.AcquireLease(pb.AcquireLeaseRequest(
            runner_id=me.runner_id, session_id=session, request_id=str(uuid.uuid4()),
            max_wait=Duration(seconds=50), held_job_ids=directories), timeout=60)
        for job_id in answer.ended_job_ids:
            directories.pop(job_id).cleanup()
        if answer.HasField("lease"):
            try:
                run(service, answer.lease, me.lease_ttl.ToTimedelta(), directories)
            except grpc.RpcError as error:
                print("gave a stage up:", error.code().name, error.details(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
