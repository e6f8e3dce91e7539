//! Compiles `proto/` to Rust, without protoc, and writes the encoded descriptor set for
//! server reflection and for JSON output. Also compiles the messages of the store, which are
//! not in the descriptor set.

use std::{env, error::Error, fs, path::PathBuf};

use prost_build::{Config, Service, ServiceGenerator};

const PROTO_ROOT: &str = "proto";
const PROTO_FILES: [&str; 6] = [
    "pipewright/v1/pipeline_service.proto",
    "pipewright/v1/job_service.proto",
    "pipewright/v1/runner_service.proto",
    "pipewright/v1/project_service.proto",
    "pipewright/v1/admin_service.proto",
    "pipewright/runner/v1/lease_service.proto",
];
/// Unary methods, by function name, whose responses consist of cached encoded parts.
const CACHED_RESPONSES: [&str; 4] = [
    "create_pipeline",
    "get_pipeline",
    "list_pipelines",
    "update_pipeline",
];
const STORE_PROTO_ROOT: &str = "src/store/codec/proto";
const STORE_PROTO_FILES: [&str; 11] = [
    "answer.proto",
    "data_key.proto",
    "dead_letter.proto",
    "facts.proto",
    "instance.proto",
    "job.proto",
    "lease.proto",
    "pipeline.proto",
    "primitives.proto",
    "project.proto",
    "record.proto",
];
const SECRET_MESSAGES: [&str; 3] = [
    ".pipewright.v1.Pipeline",
    ".pipewright.v1.TriggerPipelineRequest",
    ".pipewright.runner.v1.StageWork",
];

fn main() -> Result<(), Box<dyn Error>> {
    // tonic-prost-build does not print this if it compiles descriptors.
    println!("cargo:rerun-if-changed={PROTO_ROOT}");

    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(PROTO_FILES)?;

    // The encoded set keeps options that prost's own types would drop.
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out_dir.join("descriptors.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;

    let mut config = Config::new();
    config.service_generator(Box::new(Stubs {
        clients: stubs().build_server(false).service_generator(),
        servers: stubs().build_client(false).service_generator(),
    }));
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        // Maps are ordered, so that equal messages encode to equal bytes.
        .btree_map(".")
        .bytes(".")
        // They contain secrets; the crate implements `Debug` for them without the secrets.
        .skip_debug(SECRET_MESSAGES)
        // `skip_debug` also applies to nested types, so this one needs the derive.
        .type_attribute(".pipewright.runner.v1.StageWork.action", "#[derive(Debug)]")
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    compile_store_messages()
}

/// Uses a separate compiler, so that the public descriptor set never has these messages.
fn compile_store_messages() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={STORE_PROTO_ROOT}");
    let mut compiler = protox::Compiler::new([STORE_PROTO_ROOT])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(STORE_PROTO_FILES)?;
    Config::new()
        .btree_map(["."])
        .bytes(["."])
        // Some contain secrets, and no code prints the others.
        .skip_debug(["."])
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn stubs() -> tonic_prost_build::Builder {
    tonic_prost_build::configure().codec_path("crate::proto::Codec")
}

/// Lets servers send encoded messages, for responses that many clients get. Everything else
/// is generated as tonic does.
struct Stubs {
    clients: Box<dyn ServiceGenerator>,
    servers: Box<dyn ServiceGenerator>,
}

impl ServiceGenerator for Stubs {
    fn generate(&mut self, mut service: Service, code: &mut String) {
        self.clients.generate(service.clone(), code);
        for method in &mut service.methods {
            if method.server_streaming || CACHED_RESPONSES.contains(&method.name.as_str()) {
                method.output_type = format!("crate::proto::Reply<super::{}>", method.output_type);
            }
        }
        self.servers.generate(service, code);
    }
}
