//! `muster run` as a process: what it says about bad input, and how it ends at SIGTERM.

use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use muster::apiserver::face;

use crate::world::World;
use crate::world::node;
use crate::world::pod;

fn muster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.arg("run").stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A file that is gone with the test.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("muster-run-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("the temporary directory is writable");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_process_cleanly_within_five_seconds() {
    let world = World::unsynced();
    world.create("nodes", node("n1"));
    world.create("pods", pod("p", 1));
    let listener = face::bind(([127, 0, 0, 1], 0).into()).await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let clock = world.clock;
    let time: face::Clock = std::sync::Arc::new(move || clock.now());
    tokio::spawn(face::serve(listener, world.server.clone(), time, std::future::pending()));
    let kubeconfig = Scratch::new(
        "kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        ),
    );
    let config = Scratch::new("config", "http: {listenAddress: \"127.0.0.1:0\"}\n");
    let mut command = muster();
    command.arg("--kubeconfig").arg(&kubeconfig.0).arg("--config").arg(&config.0);
    let child = command.spawn().expect("the binary is built");
    let deadline = Instant::now() + Duration::from_secs(20);
    while world.bound() != ["p"] {
        assert!(Instant::now() < deadline, "the process binds nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = Instant::now();
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(killed.success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .expect("it is waited for");
    let output = output.expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(
        text.contains("bound") && text.contains("pod=default/p") && text.contains("node=n1"),
        "{text}"
    );
    assert!(text.contains("no bind is under way"), "{text}");
}

#[test]
fn bad_input_is_named_and_ends_with_status_two() {
    let wrong = Scratch::new("wrong", "schedulerName: x\n");
    for (arguments, says) in [
        (vec!["--config", "/nowhere/config.yaml"], "cannot read /nowhere/config.yaml"),
        (vec!["--kubeconfig", "/nowhere/kubeconfig"], "cannot read /nowhere/kubeconfig"),
        (
            vec!["--config", wrong.0.to_str().expect("a plain path")],
            "unknown field \"schedulerName\"",
        ),
    ] {
        let output = muster().args(&arguments).output().expect("the binary is built");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn a_port_in_use_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it listens");
    let kubeconfig = Scratch::new(
        "unused",
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\n\
         contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n",
    );
    let config = Scratch::new("port", &format!("http: {{listenAddress: \"{address}\"}}\n"));
    let mut command = muster();
    command.arg("--config").arg(&config.0).arg("--kubeconfig").arg(&kubeconfig.0);
    let output = command.output().expect("the binary is built");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("cannot listen on {address}"))
            && text.contains("http.listenAddress"),
        "{text}"
    );
}
