# Sourced by the scripts that need a real service. PIPEWRIGHT names the binary; it is built if
# the variable is not set.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ -z ${PIPEWRIGHT:-} ]]; then
    cargo build --quiet --manifest-path "$root/Cargo.toml"
    PIPEWRIGHT=${CARGO_TARGET_DIR:-$root/target}/debug/pipewright
fi
# The scripts go into other directories.
PIPEWRIGHT=$(realpath "$PIPEWRIGHT")

# start_service [ARGUMENT...]: starts one on a free port of loopback; $address is
# host:port, $service its process. The caller's trap on EXIT calls stop_service.
start_service() {
    service_log=$(mktemp)
    NO_COLOR=1 "$PIPEWRIGHT" serve --listen 127.0.0.1:0 "$@" >"$service_log" 2>&1 &
    service=$!
    for _ in $(seq 300); do
        address=$(grep -o 'address=[0-9.:]*' "$service_log" | head -n 1 | cut -d= -f2) || true
        [[ -z $address ]] || return 0
        kill -0 "$service" 2>/dev/null || break
        sleep 0.1
    done
    cat "$service_log" >&2
    echo 'the service did not start' >&2
    return 1
}

stop_service() {
    kill "${service:-}" 2>/dev/null || true
    wait "${service:-}" 2>/dev/null || true
    rm -f "${service_log:-}"
}

# quick_start README LANGUAGE: the first code block of that language, with the address of
# the running service instead of the usual one.
quick_start() {
    awk -v fence="\`\`\`$2" '$0 == fence { on = 1; next } on && /^```$/ { exit } on' "$1" |
        sed "s/127\.0\.0\.1:50051/$address/"
}
