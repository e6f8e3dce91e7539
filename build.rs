//! Compiles `proto/` into Rust, without protoc, and keeps the encoded
//! descriptor set for server reflection and for JSON output. Compiles the store's
//! forms, too, which are in no descriptor set.

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
/// Unary methods, by the names of their functions, whose answers are made of parts that are
/// encoded once.
const SAME_FOR_MANY: [&str; 4] = [
    "create_pipeline",
    "get_pipeline",
    "list_pipelines",
    "update_pipeline",
];
const STORE_PROTO_ROOT: &str = "src/store/codec/proto";
const STORE_PROTO_FILES: [&str; 10] = [
    "answer.proto",
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
    // tonic-prost-build does not print this when it is given descriptors.
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
        // They carry secrets; the crate has a `Debug` for them that shows none.
        .skip_debug(SECRET_MESSAGES)
        // That goes for what is inside of them, too.
        .type_attribute(".pipewright.runner.v1.StageWork.action", "#[derive(Debug)]")
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    compile_stored_forms()
}

/// A compiler of its own, so that the public descriptor set never has these messages.
fn compile_stored_forms() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={STORE_PROTO_ROOT}");
    let mut compiler = protox::Compiler::new([STORE_PROTO_ROOT])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(STORE_PROTO_FILES)?;
    Config::new()
        .btree_map(["."])
        .bytes(["."])
        // Some carry secrets, and nothing prints the others either.
        .skip_debug(["."])
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn stubs() -> tonic_prost_build::Builder {
    tonic_prost_build::configure().codec_path("crate::proto::Codec")
}

/// Servers may send messages that are encoded already, where many get the same; all else is
/// as tonic has it.
struct Stubs {
    clients: Box<dyn ServiceGenerator>,
    servers: Box<dyn ServiceGenerator>,
}

impl ServiceGenerator for Stubs {
    fn generate(&mut self, mut service: Service, code: &mut String) {
        self.clients.generate(service.clone(), code);
        for method in &mut service.methods {
            if method.server_streaming || SAME_FOR_MANY.contains(&method.name.as_str()) {
                method.output_type = format!("crate::proto::Reply<super::{}>", method.output_type);
            }
        }
        self.servers.generate(service, code);
    }
}
