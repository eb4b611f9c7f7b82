//! `muster run` as a process against a cluster, with exactly the rights that `deploy/` gives it, and the signals that
//! end or pause it. Ends with the test.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;

use crate::cluster::Cluster;
use crate::cluster::User;

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Asks it to end.
    Terminate,
    /// Ends it without a word.
    Kill,
    /// Stops it where it is, as a paused virtual machine would be.
    Stop,
    /// Lets it go on.
    Continue,
}

/// A scheduler.
#[derive(Debug)]
pub(crate) struct Instance {
    child: Child,
    log: PathBuf,
    /// Where it answers over HTTP.
    address: String,
}

impl Instance {
    /// Starts a scheduler that logs to a file of its `name`.
    pub(crate) fn start(cluster: &Cluster, name: &str) -> Self {
        Self::start_with(cluster, name, "")
    }

    /// Starts one with further lines of configuration.
    pub(crate) fn start_with(cluster: &Cluster, name: &str, configuration: &str) -> Self {
        Self::start_as(cluster, User::Muster, name, configuration)
    }

    /// Starts one that speaks for `user`.
    pub(crate) fn start_as(cluster: &Cluster, user: User, name: &str, configuration: &str) -> Self {
        let config = cluster.file(&format!("{name}.yaml"));
        // Any free port: several run at once.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.expect("loopback has free ports").to_string();
        let text = format!("http: {{listenAddress: \"{address}\"}}\n{configuration}");
        std::fs::write(&config, text).expect("the cluster's folder can be written");
        let log = cluster.file(&format!("{name}.log"));
        let errors = std::fs::File::create(&log).expect("the cluster's folder can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.arg("run").arg("--config").arg(config);
        command.arg("--kubeconfig").arg(cluster.kubeconfig(user));
        command.env("HOSTNAME", name).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        Self { child: command.spawn().expect("the binary is built"), log, address }
    }

    /// Part of its identity in the lease.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "{name}: {}", self.log());
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }

    /// What it says at `/readyz`; nothing while it does not answer.
    pub(crate) fn readiness(&self) -> String {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            write!(stream, "GET /readyz HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let answer = ask().unwrap_or_default();
        answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned())
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
