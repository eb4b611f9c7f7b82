//! What can go wrong with a node, and how it is asked for: by a call, or by the annotation
//! `muster.dev/fault` on the node object (removed: healed). Faults change what the kubelet does,
//! never what a scheduler is told about them.

use serde_json::Value;
use serde_json::json;

use super::Due;
use super::Kubelet;
use super::admission::Rejection;
use crate::base::names::Name;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::sim::object::Object;
use crate::sim::timetable::Appointment;

/// Annotation on a node that asks for a fault.
pub const FAULT: &str = "muster.dev/fault";
/// How long a device plugin takes to come back, where the fault does not say.
const DEVICES_RESTART: Span = Span::seconds(10);
/// Resources whose names begin so come from a device plugin.
pub(super) const DEVICE_PREFIX: &str = "nvidia.com/";

/// One thing that goes wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `silent`: the kubelet stops its heartbeats and reports nothing until healed.
    Silent,
    /// `device-plugin-restart` (`=10s`): no devices are allocatable for a while.
    DevicePluginRestart(Span),
    /// `device-plugin-down`: no devices are allocatable until healed.
    DevicePluginDown,
    /// `unhealthy-devices=N`: N devices of each kind are not allocatable until healed.
    UnhealthyDevices(i64),
    /// `reject-next-pod`: the next pod bound here fails at admission.
    RejectNextPod,
    /// `reject-pods`: every pod bound here fails at admission until healed.
    RejectPods,
}

impl Fault {
    /// Reads the annotation's value; an error names what may be written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let fault = match (name, argument) {
            ("silent", None) => Some(Self::Silent),
            ("device-plugin-restart", None) => Some(Self::DevicePluginRestart(DEVICES_RESTART)),
            ("device-plugin-restart", Some(span)) => {
                span.parse().ok().filter(|span| *span > Span::ZERO).map(Self::DevicePluginRestart)
            }
            ("device-plugin-down", None) => Some(Self::DevicePluginDown),
            ("unhealthy-devices", Some(count)) => {
                count.parse().ok().filter(|count| *count > 0).map(Self::UnhealthyDevices)
            }
            ("reject-next-pod", None) => Some(Self::RejectNextPod),
            ("reject-pods", None) => Some(Self::RejectPods),
            _ => None,
        };
        fault.ok_or_else(|| {
            format!(
                "{FAULT}: {text:?} is no fault: write silent, device-plugin-restart[=10s], \
                 device-plugin-down, unhealthy-devices=N, reject-next-pod, or reject-pods"
            )
        })
    }
}

/// What a node's device plugin offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Devices {
    /// Whatever the object says; no fault has touched it.
    #[default]
    Untouched,
    /// All devices are healthy (again).
    Healthy,
    /// This many of each kind are not.
    Unhealthy(i64),
    /// The plugin is not there.
    Gone,
}

impl Devices {
    /// How much of `resource` is allocatable; `None` for what no device plugin serves.
    pub(super) fn offered(self, resource: &str, capacity: &Value) -> Option<Value> {
        if !resource.starts_with(DEVICE_PREFIX) {
            return None;
        }
        let whole: i64 = capacity.as_str()?.parse().ok()?;
        let count = match self {
            Self::Untouched => return None,
            Self::Healthy => whole,
            Self::Unhealthy(lost) => (whole - lost).max(0),
            Self::Gone => 0,
        };
        Some(json!(count.to_string()))
    }
}

/// Which pods a node turns away without looking at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rejects {
    /// None.
    #[default]
    None,
    /// The next one.
    Next,
    /// Every one.
    All,
}

/// The faults of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) devices: Devices,
    pub(super) rejects: Rejects,
    /// The annotation as last seen, so that it acts once.
    annotation: Option<String>,
    /// When a device plugin that restarts is back.
    devices_return: Option<Appointment>,
}

impl Faults {
    /// Turns the next pod away, or every one, where that is asked for.
    pub(super) fn admit(&mut self) -> Result<(), Rejection> {
        match self.rejects {
            Rejects::None => return Ok(()),
            Rejects::Next => self.rejects = Rejects::None,
            Rejects::All => {}
        }
        let message = "Allocate failed due to a fault of this simulated node, which is unexpected";
        Err(Rejection::unexpected(message.to_owned()))
    }
}

impl Kubelet {
    /// Makes `fault` happen on node `name`, from now on. Unknown nodes have no faults.
    pub fn inject(&mut self, now: Time, name: &str, fault: Fault) {
        let Some((name, node)) = self.nodes.get_key_value(name) else { return };
        let (name, mut faults) = (name.clone(), node.faults.clone());
        if !matches!(fault, Fault::Silent | Fault::RejectNextPod | Fault::RejectPods)
            && let Some(planned) = faults.devices_return.take()
        {
            self.timetable.cancel(planned);
        }
        match fault {
            Fault::Silent => self.fall_silent(now, &name),
            Fault::DevicePluginRestart(span) => {
                faults.devices = Devices::Gone;
                let back = self.timetable.plan(now + span, Due::DevicesReturn(name.clone()));
                faults.devices_return = Some(back);
            }
            Fault::DevicePluginDown => faults.devices = Devices::Gone,
            Fault::UnhealthyDevices(count) => faults.devices = Devices::Unhealthy(count),
            Fault::RejectNextPod => faults.rejects = Rejects::Next,
            Fault::RejectPods => faults.rejects = Rejects::All,
        }
        self.set_faults(now, &name, faults);
    }

    /// Ends every fault of node `name`.
    pub fn heal(&mut self, now: Time, name: &str) {
        let Some((name, node)) = self.nodes.get_key_value(name) else { return };
        let (name, mut faults) = (name.clone(), node.faults.clone());
        faults.rejects = Rejects::None;
        if faults.devices != Devices::Untouched {
            faults.devices = Devices::Healthy;
        }
        self.set_faults(now, &name, faults);
        self.speak_again(now, &name);
    }

    /// A device plugin that restarted offers its devices again.
    pub(super) fn devices_return(&mut self, now: Time, name: &Name) {
        let Some(node) = self.nodes.get(name) else { return };
        let mut faults = node.faults.clone();
        if faults.devices == Devices::Gone {
            faults.devices = Devices::Healthy;
            self.set_faults(now, name, faults);
        }
    }

    /// Acts once on each new value of the fault annotation.
    pub(super) fn see_fault_annotation(&mut self, now: Time, name: &Name, object: Object<'_>) {
        let annotation = object.annotation(FAULT);
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.faults.annotation.as_deref() == annotation {
            return;
        }
        node.faults.annotation = annotation.map(str::to_owned);
        self.heal(now, name);
        match annotation.map(Fault::parse) {
            Some(Ok(fault)) => self.inject(now, name, fault),
            Some(Err(problem)) => {
                self.complaints.push(format!("node {name}: annotation {problem}"))
            }
            None => {}
        }
    }

    fn set_faults(&mut self, now: Time, name: &Name, faults: Faults) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.faults = faults;
            self.keep_node(now, name);
        }
    }
}
