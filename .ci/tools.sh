# Sourced by the other scripts here: the tools that are not part of a Rust toolchain, with
# pinned versions, in a directory of the checkout that git ignores.

BUF_VERSION=1.75.0
GRPCURL_VERSION=1.9.3
GHZ_VERSION=0.121.0
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2

# Plugins of buf generate; another version generates different code.
PROTOC_GEN_GO_VERSION=1.36.12
PROTOC_GEN_GO_GRPC_VERSION=1.6.2
PROTOC_GEN_ES_VERSION=2.17.0
GRPCIO_TOOLS_VERSION=1.85.1
MYPY_PROTOBUF_VERSION=5.1.0
PYTHON_PROTOBUF_VERSION=7.36.2

RUFF_VERSION=0.17.6
MYPY_VERSION=2.4.1

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.ci-tools
export PATH="$tools/bin:$PATH"

# step NAME COMMAND...: runs a command and prints how long it took.
step() {
    current=$1
    shift
    local began=$SECONDS
    printf '\n==> %s: %s\n' "$current" "$*"
    "$@"
    printf '<== %s: ok after %d s\n' "$current" $((SECONDS - began))
}

# True if the pinned version is installed here; other directories of PATH do not count.
have() {
    local tool=$1 version=$2
    [[ -x $tools/bin/$tool && $("$tools/bin/$tool" --version 2>/dev/null) == *"$version" ]]
}

install_buf() {
    have buf "$BUF_VERSION" ||
        GOBIN="$tools/bin" go install "github.com/bufbuild/buf/cmd/buf@v$BUF_VERSION"
}

# Built from source, grpcurl does not know its version: the directory name has it.
install_grpcurl() {
    [[ -x $tools/grpcurl-$GRPCURL_VERSION/grpcurl ]] ||
        GOBIN="$tools/grpcurl-$GRPCURL_VERSION" \
            go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL_VERSION"
}

# The same goes for ghz.
install_ghz() {
    [[ -x $tools/ghz-$GHZ_VERSION/ghz ]] ||
        GOBIN="$tools/ghz-$GHZ_VERSION" go install "github.com/bojand/ghz/cmd/ghz@v$GHZ_VERSION"
}

# A Python that can create virtual environments; the packages in them are pinned.
install_python() {
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        { apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv; }
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo 'Python 3.11 or newer is needed' >&2
        return 1
    }
}

# The Node.js of some distributions is too old, so an installed one is only checked.
install_node() {
    node --eval 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null || {
        echo 'Node.js 20 or newer is needed, with npm' >&2
        return 1
    }
}

# jemalloc is built by make.
install_make() {
    [[ -n $(type -P make) ]] ||
        { apt-get update && apt-get install --yes --no-install-recommends make; }
}

# Creates the certificates of tests.
install_openssl() {
    [[ -n $(type -P openssl) ]] ||
        { apt-get update && apt-get install --yes --no-install-recommends openssl; }
}

# The race detector of Go needs a C compiler.
install_c_compiler() {
    [[ -n $(type -P cc gcc clang) ]] ||
        { apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev; }
}

install_python_linters() {
    local python=$tools/python-lint-$RUFF_VERSION-$MYPY_VERSION
    [[ -x $python/bin/ruff && -x $python/bin/mypy ]] || {
        python3 -m venv "$python"
        "$python/bin/python" -m pip install --quiet --disable-pip-version-check \
            "ruff==$RUFF_VERSION" "mypy==$MYPY_VERSION"
    }
    export PATH="$python/bin:$PATH"
}

# Without optimization: half the build time, and a check takes a second either way.
install_cargo_deny() {
    have cargo-deny "$CARGO_DENY_VERSION" ||
        cargo install --quiet --locked --debug --root "$tools" "cargo-deny@$CARGO_DENY_VERSION"
}

# Also without optimization: it only calls cargo. Called as a subcommand it prints its
# version.
install_cargo_fuzz() {
    [[ $("$tools/bin/cargo-fuzz" fuzz --version 2>/dev/null) == *"$CARGO_FUZZ_VERSION" ]] ||
        cargo install --quiet --locked --debug --root "$tools" "cargo-fuzz@$CARGO_FUZZ_VERSION"
}

# The plugins of buf generate, first on PATH from here on, each set in a directory that is
# named after its versions.
install_generators() {
    local go=$tools/protoc-gen-go-$PROTOC_GEN_GO_VERSION-$PROTOC_GEN_GO_GRPC_VERSION
    [[ -x $go/protoc-gen-go && -x $go/protoc-gen-go-grpc ]] || {
        GOBIN=$go go install "google.golang.org/protobuf/cmd/protoc-gen-go@v$PROTOC_GEN_GO_VERSION"
        GOBIN=$go go install \
            "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v$PROTOC_GEN_GO_GRPC_VERSION"
    }
    local es=$tools/protoc-gen-es-$PROTOC_GEN_ES_VERSION
    [[ -x $es/node_modules/.bin/protoc-gen-es ]] ||
        npm install --silent --no-audit --no-fund --prefix "$es" \
            "@bufbuild/protoc-gen-es@$PROTOC_GEN_ES_VERSION"
    local python=$tools/python-gen-$GRPCIO_TOOLS_VERSION-$MYPY_PROTOBUF_VERSION
    [[ -x $python/bin/protoc-gen-mypy_grpc ]] || {
        python3 -m venv "$python"
        "$python/bin/python" -m pip install --quiet --disable-pip-version-check \
            "grpcio-tools==$GRPCIO_TOOLS_VERSION" "mypy-protobuf==$MYPY_PROTOBUF_VERSION" \
            "protobuf==$PYTHON_PROTOBUF_VERSION"
    }
    export PATH="$python/bin:$es/node_modules/.bin:$go:$PATH"
}
