//! A read-only git server over smart HTTP: `git http-backend`, run as CGI.

use std::{io, path::PathBuf, process::Stdio};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
};

/// Longest request body; those of a fetch list commits and stay far below.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Serves every repository under `root`, bare or not, to every client of the
/// listener.
pub(crate) async fn serve(listener: TcpListener, root: PathBuf) -> io::Result<()> {
    let app = Router::new().fallback(answer).with_state(root);
    axum::serve(listener, app).await
}

async fn answer(State(root): State<PathBuf>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match backend(&root, &parts, body).await {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn backend(root: &PathBuf, request: &Parts, body: Bytes) -> io::Result<Response> {
    let mut child = command(root, request, body.len()).spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("git http-backend has no pipes"));
    };
    // Concurrent with the response: a backend that responds first must not block on a
    // reader.
    tokio::spawn(async move { input.write_all(&body).await });

    let mut output = BufReader::new(output);
    let (status, headers) = read_head(&mut output).await?;
    let mut response = Response::new(stream_body(child, output));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn command(root: &PathBuf, request: &Parts, length: usize) -> Command {
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method.as_str())
        .env("PATH_INFO", request.uri.path())
        .env("QUERY_STRING", request.uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", length.to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(Ok(value)) = request.headers.get(header).map(|value| value.to_str()) {
            command.env(variable, value);
        }
    }
    command
}

/// Reads CGI's header lines; `Status` is one of them if it is not 200.
async fn read_head(output: &mut BufReader<ChildStdout>) -> io::Result<(StatusCode, HeaderMap)> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    let mut line = String::new();
    while output.read_line(&mut line).await? > 0 && !line.trim().is_empty() {
        let (name, value) = line.trim().split_once(": ").unwrap_or_default();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code.parse().map_err(io::Error::other)?;
        } else {
            let name: HeaderName = name.parse().map_err(io::Error::other)?;
            headers.insert(name, value.parse().map_err(io::Error::other)?);
        }
        line.clear();
    }
    Ok((status, headers))
}

/// Streams the rest of the output; holds the child until its end.
fn stream_body(child: Child, output: BufReader<ChildStdout>) -> Body {
    let chunks = stream::try_unfold((child, output), async |(mut child, mut output)| {
        let mut chunk = Vec::with_capacity(64 * 1024);
        if output.read_buf(&mut chunk).await? == 0 {
            child.wait().await?;
            return Ok::<_, io::Error>(None);
        }
        Ok(Some((Bytes::from(chunk), (child, output))))
    });
    Body::from_stream(chunks)
}
