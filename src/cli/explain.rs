//! `muster explain`: asks the running scheduler why a gang or pod waits, and prints its answer.
//! Talks to the scheduler's own HTTP endpoint, never to an API server, and adds no word of its own.
//! Names are checked before they are sent, so a slip of the pen is told as such.

use std::error::Error;

use axum::http::Request;
use axum::http::Uri;
use axum::http::header;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

use super::Failure;

/// Explain why a gang or pod waits, and what would cure it.
///
/// Asks the HTTP endpoint of a running `muster run` or `muster playground`.
/// For a scheduler inside a cluster: `kubectl -n muster port-forward deploy/muster 10259`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of a PodGroup or of a pod.
    #[arg(value_name = "GANG|POD")]
    name: String,

    /// Its namespace.
    #[arg(short, long, default_value = "default")]
    namespace: String,

    /// Output: text, or json.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Where the scheduler's HTTP endpoint is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:10259")]
    server: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub(crate) fn execute(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::CouldNot(format!("cannot start: {error}")))?;
    let mut text = runtime.block_on(ask(args))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    super::answer(&text)
}

async fn ask(args: &Args) -> Result<String, Failure> {
    let wrong = |why: &str| {
        Failure::BadInput(format!("--server {}: {why}; write http://HOST:PORT", args.server))
    };
    let server: Uri = args
        .server
        .parse()
        .map_err(|error: axum::http::uri::InvalidUri| wrong(&error.to_string()))?;
    if server.scheme_str() != Some("http") || server.host().is_none() {
        return Err(wrong("not an http address"));
    }
    for (what, value) in [("name", &args.name), ("namespace", &args.namespace)] {
        if value.is_empty()
            || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        {
            return Err(Failure::BadInput(format!(
                "{what} {value:?} is no Kubernetes name; write it as kubectl shows it"
            )));
        }
    }
    let accept = match args.output {
        Output::Text => "text/plain",
        Output::Json => "application/json",
    };
    let request = Request::get(format!("/explain/{}/{}", args.namespace, args.name))
        .header(header::ACCEPT, accept)
        .body(Body::empty())
        .expect("checked names are valid in a path");
    let mut config = kube::Config::new(server);
    config.default_retry = false;
    config.connect_timeout = Some(std::time::Duration::from_secs(5));
    config.read_timeout = Some(std::time::Duration::from_secs(10));
    let failed = |error: &(dyn Error + 'static)| {
        Failure::CouldNot(format!(
            "no scheduler answers at {}: {}; start one (muster run, muster playground), or give its address with \
             --server (kubectl -n muster port-forward deploy/muster 10259 for one in a cluster)",
            args.server,
            innermost(error)
        ))
    };
    let client = Client::try_from(config).map_err(|error| failed(&error))?;
    let response = client.send(request).await.map_err(|error| failed(&error))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    if status.is_success() { Ok(text) } else { Err(Failure::CouldNot(text.trim_end().to_owned())) }
}

/// The cause at the bottom of an error: what lies over it names layers of this program, which say nothing to users.
fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::Args;
    use super::Failure;
    use super::Output;
    use super::ask;

    #[tokio::test]
    async fn where_nobody_listens_the_place_the_cause_and_the_remedy_are_told() {
        // A port that was free a moment ago, and that nobody listens on any more.
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let server = format!("http://{}", listener.local_addr().expect("it listens"));
        drop(listener);
        let args = Args {
            name: "train".to_owned(),
            namespace: "default".to_owned(),
            output: Output::Text,
            server: server.clone(),
        };
        let Err(Failure::CouldNot(text)) = ask(&args).await else { panic!("nobody listens there") };
        assert!(text.starts_with(&format!("no scheduler answers at {server}: ")), "{text}");
        assert!(text.contains("refused") && text.contains("--server"), "{text}");
        assert!(!text.contains("ServiceError") && !text.contains("client error"), "{text}");
    }
}
