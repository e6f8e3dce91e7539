# Sourced by the other scripts here: the tools that are not part of a Rust
# toolchain, pinned, in a directory of the checkout that git ignores.

BUF_VERSION=1.75.0
GRPCURL_VERSION=1.9.3
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2

tools=$PWD/.ci-tools
export PATH="$tools/bin:$PATH"

# True if the pinned version is there; what another directory of PATH has does not count.
have() {
    local tool=$1 version=$2
    [[ -x $tools/bin/$tool && $("$tools/bin/$tool" --version 2>/dev/null) == *"$version" ]]
}

install_buf() {
    have buf "$BUF_VERSION" ||
        GOBIN="$tools/bin" go install "github.com/bufbuild/buf/cmd/buf@v$BUF_VERSION"
}

# Built from source, grpcurl does not know its version: the name of its directory says it.
install_grpcurl() {
    [[ -x $tools/grpcurl-$GRPCURL_VERSION/grpcurl ]] ||
        GOBIN="$tools/grpcurl-$GRPCURL_VERSION" \
            go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL_VERSION"
}

# Any Python 3 that can make virtual environments; the packages in them are pinned.
install_python() {
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        { apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv; }
}

# Without optimization: half the time to build, and a check takes a second either way.
install_cargo_deny() {
    have cargo-deny "$CARGO_DENY_VERSION" ||
        cargo install --quiet --locked --debug --root "$tools" "cargo-deny@$CARGO_DENY_VERSION"
}

# Without optimization, too: it only calls cargo. As a subcommand it says its version.
install_cargo_fuzz() {
    [[ $("$tools/bin/cargo-fuzz" fuzz --version 2>/dev/null) == *"$CARGO_FUZZ_VERSION" ]] ||
        cargo install --quiet --locked --debug --root "$tools" "cargo-fuzz@$CARGO_FUZZ_VERSION"
}
