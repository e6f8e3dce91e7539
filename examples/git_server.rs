//! Serves the git repositories of a directory over HTTP, read-only. A pipeline's
//! `git_repository` can point to it, without an account anywhere.
//!
//! ```text
//! cargo run --example git_server -- DIR [--listen 127.0.0.1:8418]
//! ```

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Parser;
use tokio::net::TcpListener;

#[path = "../tests/support/git_server.rs"]
mod git_server;

/// Serves the git repositories of a directory over HTTP, read-only.
#[derive(Parser)]
struct Args {
    /// Directory with the repositories, bare or not, each in a directory of its own.
    dir: PathBuf,
    /// Where to listen; port 0 is any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let root = args.dir.canonicalize()?;
    let listener = TcpListener::bind(args.listen).await?;
    let address = listener.local_addr()?;
    for name in repositories(&root)? {
        println!("http://{address}/{name}");
    }
    git_server::serve(listener, root).await?;
    Ok(())
}

fn repositories(root: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.join(".git").exists() || path.join("HEAD").exists() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into()));
        }
    }
    names.sort();
    Ok(names)
}
