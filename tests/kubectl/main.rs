//! The real kubectl 1.37 against the in-memory Kubernetes API over HTTP: every command that users of
//! the playground type, with what it prints. There is no scheduler and no kubelet here; where a
//! command needs a status, the test writes it as a kubelet or controller would.

mod playing;

mod applying;
mod changing;
mod deleting;
mod explaining;
mod reading;
mod volumes;
mod writing;

/// A pod that asks for a GPU, as users write it.
pub(crate) const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: trainer
  labels: {app: trainer}
spec:
  schedulerName: muster
  containers:
  - name: main
    image: example.org/trainer:1
    resources: {limits: {nvidia.com/gpu: 1}}
";

/// A Deployment of two.
pub(crate) const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: example.org/web:1
        env:
        - {name: FIRST, value: one}
";
