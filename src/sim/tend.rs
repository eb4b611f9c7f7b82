//! The simulated fleet and the controllers at work on a shared in-memory API, in real time: one task that
//! observes, writes, and sleeps until something changes or is due. It decides nothing; the machinery does.
//! Holds the server's lock for one look or one write at a time, so that clients are never kept waiting.

use std::time::Duration;

use super::attached::Attached;
use super::attached::incoming;
use crate::apiserver::face::SharedServer;
use crate::base::time::Time;

/// Writes between two looks at what changed, so that a burst of creations does not delay what runs.
const WRITES_BETWEEN_LOOKS: usize = 200;

/// Tends the machinery for as long as it is polled. `clock` tells the time, also in worlds that have their own.
/// What users wrote and the machinery cannot use is logged as a warning.
pub async fn tend(shared: SharedServer, mut attached: Attached, clock: impl Fn() -> Time) {
    let mut changes = shared.changes();
    loop {
        let now = clock();
        shared.begin(|server| attached.observe(now, server));
        let writes = attached.take_writes(now, WRITES_BETWEEN_LOOKS);
        for complaint in attached.machinery().complaints() {
            tracing::warn!(complaint, "the simulated fleet cannot do what is asked");
        }
        if !writes.is_empty() {
            for write in &writes {
                if let Err(failure) = shared.execute(clock(), incoming(write)).result {
                    let reason = failure.to_json();
                    tracing::debug!(path = write.path, message = %reason["message"], "write refused");
                }
            }
            tokio::task::yield_now().await;
            continue;
        }
        match attached.wakeup() {
            None => changes.changed().await,
            Some(at) => {
                let nanoseconds = u64::try_from((at - clock()).0).unwrap_or(0);
                let sleep = tokio::time::sleep(Duration::from_nanos(nanoseconds));
                tokio::select! {
                    () = changes.changed() => {}
                    () = sleep => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::apiserver::server::Server;
    use crate::apiserver::store::state::Settings;
    use crate::sim::fleet;
    use crate::sim::kubelet::KubeletSettings;
    use crate::sim::machinery::ControllerMode;
    use crate::sim::machinery::Machinery;

    /// Waits, on the paused clock, until `path` satisfies `done`.
    async fn until(shared: &SharedServer, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..10_000 {
            if let Ok(object) = shared.read(|server| server.get(path))
                && done(&object.value)
            {
                return object.value.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} never came to that");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_made_by_a_client_runs_on_the_fleet_to_its_end() {
        let begun = tokio::time::Instant::now();
        let clock = move || Time(i64::try_from(begun.elapsed().as_nanos()).expect("a short test"));
        let shared = SharedServer::new(Server::new(Settings::default(), clock()));
        let mut machinery = Machinery::new(KubeletSettings::wall_clock(), ControllerMode::Running);
        let nodes = fleet::read("test.yaml", "nodes: [{name: a}]").expect("a good fleet");
        machinery.kubelet().register(clock(), nodes);
        let tended = tokio::spawn(tend(shared.clone(), Attached::new(machinery), clock));

        let node = until(&shared, "/api/v1/nodes/a", |_| true).await;
        assert_eq!(node["status"]["allocatable"]["cpu"], "32");
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a";
        let first = until(&shared, lease, |_| true).await["spec"]["renewTime"].clone();
        until(&shared, lease, |lease| lease["spec"]["renewTime"] != first).await;

        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {
            "template": {"metadata": {"annotations": {"muster.dev/runs-for": "30s"}},
                "spec": {"nodeName": "a", "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
        let jobs = "/apis/batch/v1/namespaces/default/jobs";
        shared.write(|server| server.create(clock(), jobs, job)).expect("a good Job");
        let done =
            until(&shared, &format!("{jobs}/j"), |job| job["status"]["succeeded"] == 1).await;
        assert!(done["status"]["startTime"].is_string());
        tended.abort();
    }
}
