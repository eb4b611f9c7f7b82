//! Which kube-apiserver and etcd this machine has, and which release they are.

use std::path::PathBuf;
use std::process::Command;

/// The release that CI builds and that is looked for first.
const RELEASE: &str = "1.37";

/// Where the parts of a control plane are.
#[derive(Debug)]
pub(crate) enum Binaries {
    /// One program whose sub-commands they are, as `tests/envtest/build` makes it.
    Together(PathBuf),
    /// A folder with one program for each, as kubebuilder's tools lay them out.
    Folder(PathBuf),
}

/// A Kubernetes release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release {
    major: u32,
    minor: u32,
}

impl Binaries {
    /// Looks in `MUSTER_ENVTEST` (the program), then where `tests/envtest/build` puts it, then in
    /// `KUBEBUILDER_ASSETS` (the folder). A variable that names nothing is a mistake and not a reason to skip.
    pub(crate) fn find() -> Option<Self> {
        if let Some(path) = std::env::var_os("MUSTER_ENVTEST").map(PathBuf::from) {
            assert!(path.is_file(), "MUSTER_ENVTEST names no file: {}", path.display());
            return Some(Self::Together(path));
        }
        let built = cache().map(|cache| cache.join(format!("bin/envtest-{RELEASE}")));
        if let Some(path) = built.filter(|path| path.is_file()) {
            return Some(Self::Together(path));
        }
        let folder = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from)?;
        let complete = ["etcd", "kube-apiserver"].iter().all(|name| folder.join(name).is_file());
        assert!(complete, "KUBEBUILDER_ASSETS lacks etcd or kube-apiserver: {}", folder.display());
        Some(Self::Folder(folder))
    }

    /// Whether there is such a part.
    pub(crate) fn have(&self, part: &str) -> bool {
        match self {
            Self::Together(_) => true,
            Self::Folder(folder) => folder.join(part).is_file(),
        }
    }

    /// The program and first arguments that start `part`.
    pub(crate) fn command(&self, part: &str) -> Vec<String> {
        match self {
            Self::Together(program) => vec![program.display().to_string(), part.to_owned()],
            Self::Folder(folder) => vec![folder.join(part).display().to_string()],
        }
    }

    /// What the API server says that it is.
    pub(crate) fn release(&self) -> Release {
        let command = self.command("kube-apiserver");
        let output = Command::new(&command[0]).args(&command[1..]).arg("--version").output();
        let output = output.expect("the API server can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.strip_prefix("Kubernetes v").and_then(Release::read);
        version.unwrap_or_else(|| panic!("no version of Kubernetes: {text}"))
    }
}

/// Where `tests/envtest/build` keeps what it builds.
fn cache() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("MUSTER_ENVTEST_CACHE") {
        return Some(PathBuf::from(named));
    }
    let caches = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Some(caches.or_else(home)?.join("muster-envtest"))
}

impl Release {
    /// The first with native PodGroups of `v1beta1`.
    pub(crate) const V1_37: Self = Self { major: 1, minor: 37 };
    /// The first whose PodGroup is an object, `v1alpha2`.
    pub(crate) const V1_36: Self = Self { major: 1, minor: 36 };

    /// Reads `1.37` or the start of `1.37.1`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (major, rest) = text.trim().split_once('.')?;
        let minor = rest.split('.').next().unwrap_or(rest);
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// Flags of the API server that switch on native PodGroups where the release has them.
    pub(crate) fn native_groups(self) -> Vec<String> {
        let gates = "--feature-gates=GenericWorkload=true,TopologyAwareWorkloadScheduling=true";
        let versions: &[&str] = match self {
            Self::V1_36 => &["v1alpha2"],
            release if release >= Self::V1_37 => &["v1beta1", "v1alpha3"],
            _older => return Vec::new(),
        };
        let served: Vec<String> =
            versions.iter().map(|version| format!("scheduling.k8s.io/{version}=true")).collect();
        vec![gates.to_owned(), format!("--runtime-config={}", served.join(","))]
    }
}
