//! A server on a loopback port and the real kubectl pointed at it, shared by all tests of this file's
//! folder. Where there is no kubectl (environment variable `KUBECTL`, else the search path), tests say
//! so and pass without having tested anything.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::OnceLock;

use muster::apiserver::face;
use muster::apiserver::face::SharedServer;
use muster::apiserver::server::Server;
use muster::apiserver::store::state::Settings;
use muster::kubernetes::clock::Clock;

/// kubectl and the server that it talks to.
pub(crate) struct Playing {
    kubectl: PathBuf,
    home: PathBuf,
}

/// The shared server, or `None` where there is no kubectl to talk to it.
pub(crate) fn playing() -> Option<&'static Playing> {
    static PLAYING: OnceLock<Option<Playing>> = OnceLock::new();
    let playing = PLAYING.get_or_init(|| find_kubectl().map(start)).as_ref();
    if playing.is_none() {
        eprintln!("skipped: no kubectl found; set KUBECTL or add it to the search path");
    }
    playing
}

fn find_kubectl() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECTL").map(PathBuf::from);
    let kubectl = named.unwrap_or_else(|| PathBuf::from("kubectl"));
    let version = Command::new(&kubectl).args(["version", "--client"]).output().ok()?;
    version.status.success().then_some(kubectl)
}

fn start(kubectl: PathBuf) -> Playing {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kubectl");
    // What is left of an earlier run would be a stale cache of discovery.
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home).expect("the target directory can be written");
    let address = serve();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: muster\n\
         clusters: [{{name: muster, cluster: {{server: 'http://{address}'}}}}]\n\
         users: [{{name: muster, user: {{}}}}]\n\
         contexts: [{{name: muster, context: {{cluster: muster, user: muster}}}}]\n"
    );
    std::fs::write(home.join("config"), config).expect("the target directory can be written");
    Playing { kubectl, home }
}

fn clock() -> face::Clock {
    let clock = Clock::start();
    Arc::new(move || clock.now())
}

/// Serves a fresh API in a thread of its own until the process ends.
fn serve() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
        runtime.block_on(async {
            let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = face::bind(any_port).await.expect("loopback has a free port");
            let address = listener.local_addr().expect("it listens");
            sender.send(address).expect("the test waits for it");
            let server = SharedServer::new(Server::new(Settings::default(), Clock::start().now()));
            face::serve(listener, server, clock(), std::future::pending())
                .await
                .expect("the socket works");
        });
    });
    receiver.recv().expect("the server starts")
}

impl Playing {
    /// A fresh namespace and kubectl bound to it.
    pub(crate) fn namespace(&self, name: &'static str) -> Kubectl<'_> {
        let kubectl = Kubectl { playing: self, namespace: name, config: self.home.join("config") };
        kubectl.ok(&format!("create namespace {name}"));
        kubectl
    }

    /// kubectl in a namespace that exists, of another server.
    pub(crate) fn elsewhere(&self, namespace: &'static str, config: &str) -> Kubectl<'_> {
        Kubectl { playing: self, namespace, config: config.into() }
    }
}

/// kubectl in one namespace.
pub(crate) struct Kubectl<'a> {
    playing: &'a Playing,
    config: PathBuf,
    pub(crate) namespace: &'static str,
}

impl Kubectl<'_> {
    fn command(&self, line: &str) -> Command {
        let home = &self.playing.home;
        let mut command = Command::new(&self.playing.kubectl);
        command
            .env_clear()
            .env("HOME", home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("KUBECONFIG", &self.config)
            .arg("--cache-dir")
            .arg(home.join("cache"))
            .args(["--namespace", self.namespace])
            .args(words(line));
        command
    }

    /// Runs kubectl with the words of `line` (single quotes hold words together).
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).stdin(Stdio::null()).output().expect("kubectl can be started")
    }

    /// What a successful command prints.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        printed(line, self.run(line))
    }

    /// What a command prints on standard error that must fail.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> String {
        refused(line, self.run(line))
    }

    /// What a successful command prints that reads `input` from standard input (`-f -`).
    #[track_caller]
    pub(crate) fn ok_with(&self, line: &str, input: &str) -> String {
        printed(line, self.fed(line, input))
    }

    /// What a successful command that reads `input` prints on standard output and then on standard error.
    #[track_caller]
    pub(crate) fn all_with(&self, line: &str, input: &str) -> String {
        let output = self.fed(line, input);
        let (_, warnings) = texts(&output);
        printed(line, output) + &warnings
    }

    /// What a command prints on standard error that reads `input` and must fail.
    #[track_caller]
    pub(crate) fn fails_with(&self, line: &str, input: &str) -> String {
        refused(line, self.fed(line, input))
    }

    /// What `kubectl diff` prints, which exits with 1 where it finds a difference.
    #[track_caller]
    pub(crate) fn fed_diff(&self, input: &str) -> String {
        let output = self.fed("diff -f -", input);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "kubectl diff\n{out}\n{err}");
        out
    }

    fn fed(&self, line: &str, input: &str) -> Output {
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl can be started");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(input.as_bytes()).expect("kubectl reads its input");
        drop(stdin);
        child.wait_with_output().expect("kubectl ends")
    }

    /// Runs kubectl with an environment variable, for `edit`.
    #[track_caller]
    pub(crate) fn ok_with_variable(&self, line: &str, key: &str, value: &str) -> String {
        let output = self.command(line).env(key, value).stdin(Stdio::null()).output();
        printed(line, output.expect("kubectl can be started"))
    }

    /// Starts kubectl and lets it run.
    pub(crate) fn start(&self, line: &str) -> Child {
        self.command(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl can be started")
    }

    /// The directory for files that commands read.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.playing.home.join(format!("{}-{name}", self.namespace));
        std::fs::write(&path, content).expect("the target directory can be written");
        path.display().to_string()
    }
}

#[track_caller]
fn printed(line: &str, output: Output) -> String {
    let (out, err) = texts(&output);
    assert!(output.status.success(), "kubectl {line}\n{out}\n{err}");
    out
}

#[track_caller]
fn refused(line: &str, output: Output) -> String {
    let (out, err) = texts(&output);
    assert!(!output.status.success(), "kubectl {line} should fail, but said\n{out}");
    err
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The words of a command line; single quotes hold a word together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Asserts that a printed table has these headings and, among its rows, one whose first cells are
/// these; columns are parted by two or more spaces.
#[track_caller]
pub(crate) fn assert_table(printed: &str, headings: &[&str], row: &[&str]) {
    let rows: Vec<Vec<&str>> = printed.lines().map(cells).collect();
    let mut shown = String::new();
    for row in &rows {
        writeln!(shown, "{row:?}").expect("strings take everything");
    }
    assert_eq!(rows.first().map(Vec::as_slice), Some(headings), "headings of\n{shown}");
    let found = rows.iter().any(|cells| cells.starts_with(row));
    assert!(found, "no row {row:?} in\n{shown}");
}

fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}
