//! Objects of storage as facts, and the volumes of a pod. Semantics of each field: kube-scheduler 1.37.
//! What does not parse is left out and named: a volume whose size nobody can read fits nobody.
//! Judges nothing; knows no node.

mod migration;
pub mod objects;

use serde_json::Value;

use self::objects::{DiskObject, StorageObject, VolumeObject};
use super::objects::{PodObject, RawQuantity};
use super::pod::{node_term, pairs, version};
use super::read::Read;
use super::shelves::Shelves;
use crate::base::labels::{LabelSelector, Operator, Requirement};
use crate::base::names::{Name, ObjectName};
use crate::base::quantity::Quantity;
use crate::cluster::storage::facts::{
    AccessModes, AttachmentFact, Backing, BindingMode, CapacityFact, ClaimFact, ClaimReference,
    ClaimShape, ClassFact, CsiNodeFact, DriverFact, StorageFact, StorageKind, VolumeFact,
    VolumeMode,
};
use crate::workload::constraints::NodeTerm;
use crate::workload::volumes::{
    ClaimOrigin, ClaimUse, Disk, DiskAccess, DiskSource, InTree, PodVolume, driver_of_plugin,
};

/// The resource that claims and volumes measure.
const STORAGE: &str = "storage";

/// The fact of an object of storage, and what of the object could not be used.
pub(super) fn fact(
    read: &Read<StorageObject>,
    kind: StorageKind,
    shelves: &mut Shelves,
) -> (StorageFact, Vec<String>) {
    let mut problems = read.problems.clone();
    let object = &read.object;
    let mut reader = Reader { object, shelves, problems: &mut problems };
    let fact = match kind {
        StorageKind::Claim => StorageFact::Claim(reader.claim()),
        StorageKind::Volume => StorageFact::Volume(reader.volume()),
        StorageKind::Class => StorageFact::Class(reader.class()),
        StorageKind::CsiNode => StorageFact::CsiNode(reader.csi_node()),
        StorageKind::Driver => StorageFact::Driver(reader.driver()),
        StorageKind::Capacity => StorageFact::Capacity(reader.capacity()),
        StorageKind::Attachment => StorageFact::Attachment(reader.attachment()),
    };
    (fact, problems)
}

struct Reader<'a> {
    object: &'a StorageObject,
    shelves: &'a mut Shelves,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn name(&self) -> Name {
        self.object.metadata.name.as_str().into()
    }

    fn object_name(&mut self) -> ObjectName {
        let namespace = self.shelves.name(&self.object.metadata.namespace);
        ObjectName { namespace, name: self.name() }
    }

    fn uid(&self) -> Name {
        self.object.metadata.uid.as_str().into()
    }

    /// A name that may be absent; empty where it is.
    fn optional(&mut self, text: Option<&str>) -> Name {
        self.shelves.name(text.unwrap_or_default())
    }

    /// A name, where it is there and not empty.
    fn some(&mut self, text: Option<&str>) -> Option<Name> {
        text.filter(|text| !text.is_empty()).map(|text| self.shelves.name(text))
    }

    /// Whole bytes, rounded up.
    fn bytes(&mut self, field: &str, quantity: &RawQuantity) -> Option<i64> {
        match Quantity::parse(&quantity.0) {
            Ok(quantity) => Some(quantity.ceil()),
            Err(why) => {
                self.problems.push(format!("{field}: \"{}\" is {why}", quantity.0));
                None
            }
        }
    }

    /// The class of a claim or a volume: the old annotation goes before the field, as upstream reads it.
    fn class_name(&mut self) -> Name {
        let object = self.object;
        let old = object.metadata.annotations.storage_class.as_deref();
        self.optional(old.or(object.spec.storage_class_name.as_deref()))
    }

    fn modes(&self) -> AccessModes {
        AccessModes::of(self.object.spec.access_modes.iter().map(String::as_str))
    }

    fn mode(&self) -> VolumeMode {
        match self.object.spec.volume_mode.as_deref() {
            Some("Block") => VolumeMode::Block,
            Some(_) | None => VolumeMode::Filesystem,
        }
    }

    fn selector(&mut self, field: &str, value: &Value) -> LabelSelector {
        LabelSelector::from_json(value).unwrap_or_else(|why| {
            self.problems.push(format!("{field}: {why}; it selects nothing"));
            // Nothing has one of no values.
            LabelSelector { requirements: vec![Requirement::new("", Operator::In, Vec::new())] }
        })
    }

    fn claim(&mut self) -> ClaimFact {
        let object = self.object;
        let (metadata, spec) = (&object.metadata, &object.spec);
        let requested = spec.resources.as_ref().and_then(|list| list.requests.get(STORAGE));
        // A size that nobody can read fits nowhere.
        let request = requested
            .map(|text| self.bytes("spec.resources.requests.storage", text).unwrap_or(i64::MAX));
        let shape = ClaimShape {
            class: self.class_name(),
            request,
            modes: self.modes(),
            mode: self.mode(),
            attributes_class: self.optional(spec.volume_attributes_class_name.as_deref()),
            selector: spec.selector.as_ref().map(|value| self.selector("spec.selector", value)),
        };
        let controller = metadata.owner_references.iter().find(|owner| owner.controller);
        ClaimFact {
            name: self.object_name(),
            uid: self.uid(),
            resource_version: version(metadata),
            deleting: metadata.deletion_timestamp.is_some(),
            lost: object.status.phase.as_deref() == Some("Lost"),
            volume: self.some(spec.volume_name.as_deref()),
            bind_completed: metadata.annotations.bind_completed.is_some(),
            selected_node: metadata
                .annotations
                .selected_node
                .as_deref()
                .map(|node| self.shelves.name(node)),
            controller: controller.map(|owner| owner.uid.as_str().into()),
            shape,
        }
    }

    fn volume(&mut self) -> VolumeFact {
        let object = self.object;
        let (metadata, spec) = (&object.metadata, &object.spec);
        let capacity = spec.capacity.get(STORAGE);
        // A volume whose size nobody can read holds nothing.
        let capacity =
            capacity.and_then(|text| self.bytes("spec.capacity.storage", text)).unwrap_or(0);
        let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
        let claim = spec.claim_ref.as_ref().map(|reference| ClaimReference {
            claim: ObjectName::new(&reference.namespace, &reference.name),
            uid: reference.uid.as_str().into(),
        });
        let labels = pairs(&metadata.labels, self.shelves);
        let node_terms: Option<Vec<NodeTerm>> = required.map(|selector| {
            let terms = selector.node_selector_terms.iter();
            terms.map(|term| node_term(term, self.shelves)).collect()
        });
        VolumeFact {
            name: self.name(),
            uid: self.uid(),
            resource_version: version(metadata),
            deleting: metadata.deletion_timestamp.is_some(),
            available: object.status.phase.as_deref() == Some("Available"),
            claim,
            bound_by_controller: metadata.annotations.bound_by_controller.is_some(),
            class: self.class_name(),
            capacity,
            modes: self.modes(),
            mode: self.mode(),
            attributes_class: self.optional(spec.volume_attributes_class_name.as_deref()),
            backing: self.backing(&labels, node_terms.as_deref()),
            labels,
            node_terms,
        }
    }

    fn backing(&mut self, labels: &[(Name, Name)], terms: Option<&[NodeTerm]>) -> Backing {
        let spec = &self.object.spec;
        if let Some(csi) = &spec.csi {
            let driver = self.shelves.name(&csi.driver);
            return Backing::Csi { driver, handle: csi.volume_handle.as_str().into() };
        }
        let disk = disk(&spec.in_tree, self.shelves);
        disk.and_then(|disk| disk.in_tree()).map_or(Backing::Uncounted, |volume| {
            let node_terms = migration::migrated(&volume.plugin, labels, terms);
            Backing::InTree { volume, node_terms }
        })
    }

    fn class(&mut self) -> ClassFact {
        let object = self.object;
        let terms = object.allowed_topologies.iter().map(|term| {
            let wanted = term.match_label_expressions.iter().map(|wanted| {
                let values = wanted.values.iter().map(|value| self.shelves.name(value));
                (wanted.key.as_str().into(), values.collect())
            });
            wanted.collect()
        });
        let topologies = terms.collect();
        ClassFact {
            name: self.name(),
            uid: self.uid(),
            provisioner: self.optional(object.provisioner.as_deref()),
            binding: match object.volume_binding_mode.as_deref() {
                Some("WaitForFirstConsumer") => BindingMode::WaitForFirstConsumer,
                Some(_) | None => BindingMode::Immediate,
            },
            topologies,
        }
    }

    fn csi_node(&mut self) -> CsiNodeFact {
        let object = self.object;
        let migrated = object.metadata.annotations.migrated_plugins.as_deref().unwrap_or_default();
        let migrated = migrated.split(',').filter(|plugin| !plugin.is_empty());
        CsiNodeFact {
            node: self.shelves.name(&object.metadata.name),
            uid: self.uid(),
            migrated: migrated.map(|plugin| self.shelves.name(plugin)).collect(),
            drivers: object
                .spec
                .drivers
                .iter()
                .map(|driver| (self.shelves.name(&driver.name), driver.allocatable.count))
                .collect(),
        }
    }

    fn driver(&self) -> DriverFact {
        let spec = &self.object.spec;
        DriverFact {
            name: self.name(),
            uid: self.uid(),
            publishes_capacity: spec.storage_capacity == Some(true),
            required_on_node: spec.prevent_pod_scheduling_if_missing == Some(true),
        }
    }

    fn capacity(&mut self) -> CapacityFact {
        let object = self.object;
        let (field, limit) = match (&object.maximum_volume_size, &object.capacity) {
            (Some(limit), _) => ("maximumVolumeSize", Some(limit)),
            (None, limit) => ("capacity", limit.as_ref()),
        };
        let topology = object.node_topology.as_ref();
        CapacityFact {
            name: self.object_name(),
            uid: self.uid(),
            class: self.optional(object.storage_class_name.as_deref()),
            topology: topology.map(|value| self.selector("nodeTopology", value)),
            limit: limit.and_then(|text| self.bytes(field, text)),
            free: object
                .capacity
                .as_ref()
                .and_then(|text| self.bytes("capacity", text))
                .unwrap_or(0),
        }
    }

    fn attachment(&mut self) -> AttachmentFact {
        let spec = &self.object.spec;
        let volume = spec.source.as_ref().and_then(|from| from.persistent_volume_name.as_deref());
        AttachmentFact {
            name: self.name(),
            uid: self.uid(),
            attacher: self.optional(spec.attacher.as_deref()),
            node: self.optional(spec.node_name.as_deref()),
            volume: self.some(volume),
        }
    }
}

/// The volumes of a pod that bind it to nodes or to other pods.
pub(super) fn volumes_of(pod: &PodObject, shelves: &mut Shelves) -> Vec<PodVolume> {
    let metadata = &pod.metadata;
    let mut found = Vec::new();
    for volume in &pod.spec.volumes {
        let (name, origin) = if let Some(claim) = &volume.persistent_volume_claim {
            (claim.claim_name.clone(), ClaimOrigin::Named)
        } else if volume.ephemeral.is_some() {
            let (pod, uid) = (metadata.name.as_str().into(), metadata.uid.as_str().into());
            // So the ephemeral volume controller names what it makes.
            let name = format!("{}-{}", metadata.name, volume.name);
            (name, ClaimOrigin::Ephemeral { pod, uid })
        } else {
            found.extend(disk(volume, shelves).map(PodVolume::Disk));
            continue;
        };
        let claim = ObjectName { namespace: shelves.name(&metadata.namespace), name: name.into() };
        found.push(PodVolume::Claim(ClaimUse { claim, origin }));
    }
    found
}

/// The disk of an in-tree plugin, where it is one that some rule knows.
fn disk(source: &VolumeObject, shelves: &mut Shelves) -> Option<Disk> {
    let counted = |plugin: &str, handle: &str| {
        DiskSource::Counted(InTree {
            plugin: plugin.into(),
            driver: driver_of_plugin(plugin).unwrap_or_default().into(),
            handle: handle.into(),
        })
    };
    let (source, object): (DiskSource, &DiskObject) = match source {
        VolumeObject { gce_persistent_disk: Some(disk), .. } => {
            (DiskSource::Gce(disk.pd_name.as_str().into()), disk)
        }
        VolumeObject { aws_elastic_block_store: Some(disk), .. } => {
            (DiskSource::Ebs(disk.volume_id.as_str().into()), disk)
        }
        VolumeObject { iscsi: Some(disk), .. } => {
            (DiskSource::Iscsi(disk.iqn.as_str().into()), disk)
        }
        VolumeObject { rbd: Some(disk), .. } => {
            let mut monitors: Vec<Name> =
                disk.monitors.iter().map(|monitor| shelves.name(monitor)).collect();
            monitors.sort_unstable();
            let pool = disk.pool.as_deref().unwrap_or("rbd").into();
            (DiskSource::Rbd(monitors, pool, disk.image.as_str().into()), disk)
        }
        VolumeObject { azure_disk: Some(disk), .. } => {
            (counted("kubernetes.io/azure-disk", &disk.disk_uri), disk)
        }
        VolumeObject { cinder: Some(disk), .. } => {
            (counted("kubernetes.io/cinder", &disk.volume_id), disk)
        }
        VolumeObject { portworx_volume: Some(disk), .. } => {
            (counted("kubernetes.io/portworx-volume", &disk.volume_id), disk)
        }
        VolumeObject { .. } => return None,
    };
    let access = if object.read_only { DiskAccess::ReadOnly } else { DiskAccess::ReadWrite };
    Some(Disk { source, access })
}
