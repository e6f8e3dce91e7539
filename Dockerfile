# The service and its embedded runner:
#
#     docker build --tag pipewright .
#     docker run --network host pipewright
#
# Nothing here needs BuildKit; the classic builder makes the same image.

# Base images are arguments, for a mirror or for bases of your own.
ARG BUILD_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# The dependencies with an empty crate: a layer that only Cargo.lock makes stale.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src benches \
    && touch src/lib.rs \
    && echo 'fn main() {}' | tee build.rs benches/crashes.rs benches/faults.rs benches/service.rs > src/main.rs \
    && cargo build --release --locked
COPY build.rs ./
COPY proto proto
COPY src src
# COPY keeps times of modification, and cargo would take older files for those it has built.
RUN touch build.rs src/lib.rs src/main.rs \
    && cargo build --release --locked

FROM ${RUNTIME_IMAGE}
# Stages check out repositories over HTTPS and SSH. tini is process 1: it
# reaps what has lost its supervisor.
# The fixed uid is what a volume's or a cluster's settings can name.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin pipewright \
    && install --directory --mode 0700 --owner pipewright --group pipewright /var/lib/pipewright
COPY --from=build /src/target/release/pipewright /usr/local/bin/pipewright

USER 10001:10001
WORKDIR /var/lib/pipewright
# With `serve --data-dir /var/lib/pipewright` the volume has everything. Without it, logs are in a
# temporary directory, as workspaces always are, and that is here, too.
ENV TMPDIR=/var/lib/pipewright
VOLUME /var/lib/pipewright
EXPOSE 50051
# Asks PIPEWRIGHT_SERVER, by default the service's own port without TLS.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["pipewright", "health"]

ENTRYPOINT ["tini", "--", "pipewright"]
# Listens on loopback alone, because without credentials whoever reaches the service can run
# commands. To publish the port, say who may call; docs/OPERATIONS.md tells how to make the file:
#     docker run --publish 50051:50051 --volume /etc/pipewright:/etc/pipewright:ro pipewright \
#         serve --listen 0.0.0.0:50051 --credentials /etc/pipewright/credentials.toml
CMD ["serve"]
