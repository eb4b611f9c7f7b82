//! A real etcd and kube-apiserver for one test, on free loopback ports, with RBAC and tokens.
//! Data lies on a memory file system where there is one. Everything ends with the test, also when the test's process
//! is killed: each part lives under a shell that waits for the end of its standard input, which we hold.

mod binaries;
mod credentials;
mod etcd;

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use kube::Client;
use serde_json::Value;

use self::binaries::Binaries;
pub(crate) use self::binaries::Release;
use self::credentials::TOKENS;
pub(crate) use self::credentials::User;
pub(crate) use self::etcd::Etcd;

/// How long the API server may take until it is ready; a machine that is busy building needs most of it.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Runs its arguments until standard input ends; then kills them, and removes the folder that is `$0` unless the
/// last word of the input was to keep it.
const UNTIL_INPUT_ENDS: &str = r#""$@" & child=$!; word=$(cat); kill -9 $child; wait $child; [ "$word" = keep ] || rm -rf "$0""#;

/// How a control plane differs from the usual one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'a> {
    /// What etcd starts with: a folder that [`Cluster::freeze`] left. Nothing, where there is none.
    pub(crate) data: Option<&'a Path>,
    /// Which requests are written to the audit log, instead of binds: a policy of `audit.k8s.io/v1`.
    pub(crate) audit_policy: Option<&'a str>,
}

/// A running control plane without controllers, nodes, or a scheduler.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// `https://127.0.0.1:PORT`.
    address: String,
    /// Where etcd listens.
    etcd_port: u16,
    /// Certificates, tokens, logs, kubeconfigs.
    home: PathBuf,
    /// Which Kubernetes release it is.
    pub(crate) release: Release,
    /// Ended, in this order, when the cluster is dropped.
    parts: Vec<Part>,
}

/// One process of the control plane, under a shell that ends it with us.
#[derive(Debug)]
struct Part {
    shell: Child,
}

impl Drop for Part {
    fn drop(&mut self) {
        // The end of its input is what the shell waits for.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Where data lie: in memory where the system has a file system for that.
fn folder(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("muster-test-{}-{name}", std::process::id()))
}

/// Ports that are free now. They are asked for together, so that they differ.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let listeners =
        [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").expect("loopback has free ports"));
    listeners.map(|listener| listener.local_addr().expect("it listens").port())
}

impl Cluster {
    /// Starts a control plane named `name`, unique among the tests of this binary; `None`, having said so, where
    /// this machine has no binaries.
    pub(crate) async fn start(name: &str) -> Option<Self> {
        Self::start_with(name, Options::default()).await
    }

    /// The same with differences.
    pub(crate) async fn start_with(name: &str, options: Options<'_>) -> Option<Self> {
        let Some(binaries) = Binaries::find() else {
            eprintln!(
                "skipped: no kube-apiserver and etcd; build them with tests/envtest/build (needs Go), or set \
                 MUSTER_ENVTEST or KUBEBUILDER_ASSETS"
            );
            return None;
        };
        let home = folder(name);
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).expect("the folder for data can be written");
        credentials::write(&home, options.audit_policy);
        if let Some(data) = options.data {
            copy_folder(data, &home.join("etcd"));
        }
        let release = binaries.release();
        let [etcd_port, peer_port, port] = free_ports();
        let etcd = start_etcd(&binaries, &home, etcd_port, peer_port);
        let server = start_server(&binaries, &home, etcd_port, port);
        let address = format!("https://127.0.0.1:{port}");
        // The API server first: it would complain about an etcd that is gone.
        let cluster = Self { address, etcd_port, home, release, parts: vec![server, etcd] };
        cluster.until_ready().await;
        Some(cluster)
    }

    /// Ends it, and keeps what etcd holds in a folder that must not exist yet.
    pub(crate) fn freeze(mut self, to: &Path) {
        for part in &mut self.parts {
            let input = part.shell.stdin.as_mut().expect("it is piped");
            input.write_all(b"keep").expect("the shell reads its input");
        }
        // etcd is killed, not asked: what it holds is what a crash would leave, which it starts from as well.
        self.parts.clear();
        std::fs::rename(self.home.join("etcd"), to).expect("both are on one file system");
        std::fs::remove_dir_all(&self.home).expect("the folder was made here");
    }

    async fn until_ready(&self) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            // The server's own certificate is what clients trust, so they wait for it.
            if self.home.join("certificates/apiserver.crt").is_file() {
                let request =
                    http::Request::get("/readyz").body(Vec::new()).expect("it is well formed");
                if self.client(User::Administrator).await.request_text(request).await.is_ok() {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "not ready in {START_LIMIT:?}:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts a further part with `arguments`, its output in a log file of its name. False where there is none.
    pub(crate) fn start_beside(&mut self, part: &str, arguments: &[String]) -> bool {
        let binaries = Binaries::find().filter(|binaries| binaries.have(part));
        let Some(binaries) = binaries else { return false };
        // The first to end, while what it talks to is still there.
        self.parts.insert(0, start_part(&binaries, &self.home, part, arguments));
        true
    }

    /// The ends of the logs of all parts.
    pub(crate) fn logs(&self) -> String {
        let end_of = |name: &str| {
            let text = std::fs::read(self.home.join(format!("{name}.log"))).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(20)..].join("\n");
            format!("--- {name}\n{last}\n")
        };
        end_of("etcd") + &end_of("kube-apiserver")
    }

    /// A kubeconfig that speaks for `user`.
    pub(crate) fn kubeconfig(&self, user: User) -> PathBuf {
        let path = self.file(&format!("kubeconfig-of-{}", user.token()));
        std::fs::write(&path, credentials::kubeconfig(&self.address, &self.home, user))
            .expect("the cluster's folder can be written");
        path
    }

    /// A file in the cluster's own folder, which goes with it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Lines of the audit log: each bind with its answer.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file("audit.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many binds the server has accepted; cheap, for use in a loop.
    pub(crate) fn binds_accepted(&self) -> usize {
        let text = std::fs::read_to_string(self.file("audit.log")).unwrap_or_default();
        text.matches(r#""code":201"#).count()
    }

    /// What the API server writes to.
    pub(crate) fn etcd(&self) -> Etcd {
        Etcd::at(self.etcd_port)
    }

    /// A client that speaks for `user`, and tries each request once.
    pub(crate) async fn client(&self, user: User) -> Client {
        credentials::client(&self.address, &self.home, user).await
    }
}

/// Copies a folder with all that is in it.
fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.expect("cp is there").success(), "{} cannot be copied", from.display());
}

/// Starts one part, its output in a log file of its name.
fn start_part(binaries: &Binaries, home: &Path, part: &str, arguments: &[String]) -> Part {
    let log = std::fs::File::create(home.join(format!("{part}.log")));
    let log = log.expect("the folder for data can be written");
    let errors = log.try_clone().expect("a file handle can be copied");
    let mut command = Command::new("sh");
    command.arg("-c").arg(UNTIL_INPUT_ENDS).arg(home).args(binaries.command(part)).args(arguments);
    // Nothing of the caller's may change how the parts behave.
    command.env_remove("KUBECONFIG").stdin(Stdio::piped()).stdout(log).stderr(errors);
    Part { shell: command.spawn().expect("there is a shell") }
}

fn start_etcd(binaries: &Binaries, home: &Path, port: u16, peer_port: u16) -> Part {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let arguments = [
        format!("--data-dir={}", home.join("etcd").display()),
        format!("--listen-client-urls={}", url(port)),
        format!("--advertise-client-urls={}", url(port)),
        format!("--listen-peer-urls={}", url(peer_port)),
        format!("--initial-advertise-peer-urls={}", url(peer_port)),
        format!("--initial-cluster=default={}", url(peer_port)),
        "--unsafe-no-fsync".to_owned(),
        format!("--quota-backend-bytes={}", 8_u64 << 30),
        "--log-level=error".to_owned(),
    ];
    start_part(binaries, home, "etcd", &arguments)
}

fn start_server(binaries: &Binaries, home: &Path, etcd_port: u16, port: u16) -> Part {
    let file = |name: &str| home.join(name).display().to_string();
    let mut arguments = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("certificates")),
        format!("--token-auth-file={}", file(TOKENS)),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        // No token of a service account is ever signed; the server's own key satisfies the flags.
        format!("--service-account-key-file={}", file("certificates/apiserver.key")),
        format!("--service-account-signing-key-file={}", file("certificates/apiserver.key")),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        // There is no controller manager: nobody would make service accounts or lift the taint of new nodes.
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition".to_owned(),
        format!("--audit-policy-file={}", file(credentials::AUDIT_POLICY)),
        format!("--audit-log-path={}", file("audit.log")),
        // In MB: one that is rotated while it is read, by default at 100, would end in the middle.
        "--audit-log-maxsize=100000".to_owned(),
    ];
    arguments.extend(binaries.release().native_groups());
    start_part(binaries, home, "kube-apiserver", &arguments)
}
