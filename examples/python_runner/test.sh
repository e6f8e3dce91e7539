#!/usr/bin/env bash
# Runs a pipeline on the Python runner, against a service on a free port, and checks
# the results. PIPEWRIGHT names the binary; it is built if it is not given.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
processes=()
clean_up() {
    status=$?
    for process in "${processes[@]}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    if ((status != 0)); then
        tail -n 20 "$work"/*.log >&2 || true
        echo "$0: FAILED (exit code $status)" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT

# until_in FILE TEXT: waits for a text, at most 30 s.
until_in() {
    for _ in $(seq 300); do
        grep -q "$2" "$1" 2>/dev/null && return
        sleep 0.1
    done
    echo "'$2' is not in $1" >&2
    return 1
}

if [[ -z ${PIPEWRIGHT:-} ]]; then
    cargo build --quiet
    PIPEWRIGHT=target/debug/pipewright
fi

python3 -m venv "$work/venv"
python=$work/venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check \
    -r examples/python_runner/requirements.txt
mkdir "$work/stubs"
"$python" -m grpc_tools.protoc -I proto --python_out="$work/stubs" \
    --grpc_python_out="$work/stubs" proto/pipewright/runner/v1/lease_service.proto

NO_COLOR=1 "$PIPEWRIGHT" serve --no-embedded-runner --listen 127.0.0.1:0 >"$work/service.log" 2>&1 &
processes+=($!)
until_in "$work/service.log" listening
address=$(grep -o 'address=[0-9.:]*' "$work/service.log" | head -n 1 | cut -d= -f2)
export PIPEWRIGHT_SERVER=$address

PYTHONPATH="$work/stubs" "$python" examples/python_runner/runner.py "$address" \
    >"$work/runner.log" 2>&1 &
processes+=($!)
until_in "$work/runner.log" registered

"$PIPEWRIGHT" pipeline create --data '{
    "name": "python",
    "stages": [
        {"name": "make", "command": "echo made by $PIPEWRIGHT_STAGE_NAME > file", "runnerLabels": {"lang": "python"}},
        {"name": "use", "command": "cat file; exit 3"}
    ]
}' >"$work/created.log"
status=0
"$PIPEWRIGHT" pipeline trigger python --watch >"$work/job.log" 2>&1 || status=$?
if ((status != 1)); then
    echo "the job should have failed with exit code 1, not $status" >&2
    exit 1
fi
grep -q 'made by make' "$work/job.log"
grep -q 'failed in .*: \[use\] exited with status 3' "$work/job.log"
"$PIPEWRIGHT" pipeline create --data '{
    "name": "nowhere", "stages": [{"name": "a", "command": "true", "workingDirectory": "none"}]
}' >"$work/created.log"
"$PIPEWRIGHT" pipeline trigger nowhere --watch >>"$work/job.log" 2>&1 || true
grep -q 'could not start: .*none' "$work/job.log"
# The pipeline from its README.
"$PIPEWRIGHT" pipeline create --file examples/hello.yaml >"$work/created.log"
"$PIPEWRIGHT" pipeline trigger hello --watch >>"$work/job.log" 2>&1
until_in "$work/runner.log" 'make attempt 1 OUTCOME_SUCCEEDED'
until_in "$work/runner.log" 'use attempt 1 OUTCOME_COMMAND_FAILED'
cat "$work/runner.log" "$work/job.log"
echo 'The Python runner ran its stages.'
