//! Where objects are kept: shelves of versioned objects with one version counter for all of them,
//! and for each shelf a bounded history from which watches and consistent paging read.
//! Knows no rules of any kind; whoever writes has already judged.
//! Invariants: versions only grow; an object's `metadata.resourceVersion` is the version of its last
//! change; undoing the history from the end gives the shelf as it was.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::Weak;

use serde_json::Value;

use crate::apiserver::store::resource::ShelfId;
use crate::base::names::Name;
use crate::base::names::ObjectName;

/// One version of one object. What it says never changes once stored.
///
/// A tree of JSON values takes many times the room of its text, so only young versions keep theirs: once
/// [`Stored::cool`] was called, the text alone is kept, and who looks parses it anew.
#[derive(Debug)]
pub struct Stored {
    /// Its resourceVersion.
    pub version: u64,
    name: ObjectName,
    uid: Name,
    terminating: bool,
    /// `spec.nodeName`, where it is set.
    node: Option<Name>,
    /// The uids of the owners that it names.
    owners: Vec<Name>,
    /// The whole object in its kept form.
    tree: Mutex<Tree>,
    /// The object as JSON text, made when first asked for: many watchers send the same bytes.
    text: OnceLock<Arc<[u8]>>,
}

/// Who keeps the tree of an object's values.
#[derive(Debug)]
enum Tree {
    /// The object itself, which is young.
    Kept(Arc<Value>),
    /// Whoever looked last, for as long as he looks.
    Lent(Weak<Value>),
}

/// A shared version of an object.
pub type Object = Arc<Stored>;

impl Stored {
    fn new(value: Value, version: u64) -> Object {
        Arc::new(Self {
            version,
            name: ObjectName::new(meta(&value, "namespace"), meta(&value, "name")),
            uid: meta(&value, "uid").into(),
            terminating: !meta(&value, "deletionTimestamp").is_empty(),
            node: node_of(&value),
            owners: owners(&value).into_iter().map(Name::from).collect(),
            tree: Mutex::new(Tree::Kept(Arc::new(value))),
            text: OnceLock::new(),
        })
    }

    /// An object that is shown but was not stored, such as the answer of a dry run.
    pub fn unstored(value: Value) -> Object {
        let version = version_of(&value).unwrap_or_default();
        Self::new(value, version)
    }

    /// The whole object in its kept form. Once it is not young any more, it is parsed anew unless somebody still
    /// holds what an earlier call gave: who looks twice holds on to it meanwhile.
    pub fn value(&self) -> Arc<Value> {
        let mut tree = self.tree();
        let lent = match &*tree {
            Tree::Kept(value) => return Arc::clone(value),
            Tree::Lent(value) => value.upgrade(),
        };
        lent.unwrap_or_else(|| {
            let text = self.text.get().expect("only an object with a text is cooled");
            let parsed = serde_json::from_slice(text).expect("it was written from a value");
            let parsed = Arc::new(parsed);
            *tree = Tree::Lent(Arc::downgrade(&parsed));
            parsed
        })
    }

    /// The object as JSON text.
    pub fn text(&self) -> &Arc<[u8]> {
        let write = || serde_json::to_vec(&*self.value()).expect("a value can always be written");
        self.text.get_or_init(|| write().into())
    }

    /// Keeps the text alone from now on; returns how many bytes that is.
    pub fn cool(&self) -> usize {
        let bytes = self.text().len();
        let mut tree = self.tree();
        if let Tree::Kept(value) = &*tree {
            let lent = Arc::downgrade(value);
            *tree = Tree::Lent(lent);
        }
        bytes
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        // What it guards is whole at any time, also after a panic.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Namespace and name.
    pub fn name(&self) -> ObjectName {
        self.name.clone()
    }

    /// `metadata.name`.
    pub fn own_name(&self) -> &str {
        &self.name.name
    }

    /// `metadata.namespace`; empty for what belongs to none.
    pub fn namespace(&self) -> &str {
        &self.name.namespace
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The uids of the owners that it names.
    pub fn owners(&self) -> &[Name] {
        &self.owners
    }

    /// True once deletion was asked for.
    pub fn is_terminating(&self) -> bool {
        self.terminating
    }
}

/// The text of a field of an object's `metadata`; empty if absent.
pub fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get(field))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The `metadata.resourceVersion` of an object, if it is a number.
pub fn version_of(object: &Value) -> Option<u64> {
    meta(object, "resourceVersion").parse().ok()
}

/// How many changes of each shelf keep whole trees of values. Where the history reaches no further back,
/// nothing is ever cooled.
pub const YOUNG_MAX: usize = 2048;

/// How far back a shelf's history reaches at most: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimit {
    /// Changes; at least 1 is kept.
    pub changes: usize,
    /// Bytes of JSON text, not counting the youngest 2,048 changes.
    pub bytes: usize,
}

/// One change of a shelf.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version it made.
    pub version: u64,
    /// The object before; `None` if it was created.
    pub before: Option<Object>,
    /// The object after; for a deletion its last state under the deletion's version.
    pub after: Object,
    /// True for a deletion.
    pub deleted: bool,
}

/// All objects of one kind.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    objects: BTreeMap<Name, BTreeMap<Name, Object>>,
    count: usize,
    /// Objects by `spec.nodeName`, where that is set. 1,000 kubelets list their own pods by it.
    by_node: BTreeMap<Name, BTreeSet<ObjectName>>,
    history: VecDeque<Change>,
    /// How many of the oldest changes have been cooled, and the bytes of the texts that they made.
    cooled: usize,
    cooled_bytes: usize,
    /// How many changes have left the history.
    dropped: u64,
    /// The version of the last change that left the history.
    forgotten: u64,
}

impl Shelf {
    /// The object `namespace/name`.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Object> {
        self.objects.get(namespace)?.get(name)
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there are no objects.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All objects of `namespace`, or of all namespaces, in the order of namespace and name.
    pub fn iter(&self, namespace: Option<&str>) -> impl Iterator<Item = &Object> {
        let one = namespace.map(|namespace| self.objects.get(namespace).into_iter());
        let all = namespace.is_none().then(|| self.objects.values());
        one.into_iter().flatten().chain(all.into_iter().flatten()).flat_map(BTreeMap::values)
    }

    /// The objects whose `spec.nodeName` is `node`.
    pub fn on_node(&self, node: &str) -> impl Iterator<Item = &Object> {
        let names = self.by_node.get(node).into_iter().flatten();
        names.filter_map(|name| self.get(&name.namespace, &name.name))
    }

    /// The sequence number that the next change will have.
    pub fn next_sequence(&self) -> u64 {
        self.dropped + self.history.len() as u64
    }

    /// The sequence number of the first change after `version`, or the oldest version that can be
    /// asked for.
    ///
    /// # Errors
    /// When a change after `version` has left the history.
    pub fn sequence_after(&self, version: u64) -> Result<u64, u64> {
        if version < self.forgotten {
            return Err(self.forgotten);
        }
        let index = self.history.partition_point(|change| change.version <= version);
        Ok(self.dropped + index as u64)
    }

    /// The change with a sequence number.
    ///
    /// # Errors
    /// The oldest version that can be asked for, when the change has left the history.
    pub fn change(&self, sequence: u64) -> Result<Option<&Change>, u64> {
        match sequence.checked_sub(self.dropped) {
            None => Err(self.forgotten),
            Some(index) => {
                Ok(usize::try_from(index).ok().and_then(|index| self.history.get(index)))
            }
        }
    }

    /// What must be put over today's objects to see them as they were at `version`:
    /// `None` means that the object did not exist.
    ///
    /// # Errors
    /// When the history does not reach back that far.
    pub fn undo_to(&self, version: u64) -> Result<BTreeMap<ObjectName, Option<Object>>, u64> {
        let from = self.sequence_after(version)? - self.dropped;
        let mut overlay = BTreeMap::new();
        for change in self.history.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)).rev() {
            overlay.insert(change.after.name(), change.before.clone());
        }
        Ok(overlay)
    }

    fn insert(&mut self, name: &ObjectName, object: &Object) -> Option<Object> {
        let names = self.objects.entry(Arc::clone(&name.namespace)).or_default();
        let before = names.insert(Arc::clone(&name.name), Arc::clone(object));
        if before.is_none() {
            self.count += 1;
        }
        self.index(name, before.as_ref(), Some(object));
        before
    }

    fn take(&mut self, name: &ObjectName) -> Option<Object> {
        let names = self.objects.get_mut(&name.namespace)?;
        let before = names.remove(&name.name)?;
        if names.is_empty() {
            self.objects.remove(&name.namespace);
        }
        self.count -= 1;
        self.index(name, Some(&before), None);
        Some(before)
    }

    fn index(&mut self, name: &ObjectName, before: Option<&Object>, after: Option<&Object>) {
        let node = |object: Option<&Object>| object.and_then(|object| object.node.clone());
        let (old, new) = (node(before), node(after));
        if old == new {
            return;
        }
        if let Some(node) = old
            && let Some(names) = self.by_node.get_mut(&node)
        {
            names.remove(name);
            if names.is_empty() {
                self.by_node.remove(&node);
            }
        }
        if let Some(node) = new {
            self.by_node.entry(node).or_default().insert(name.clone());
        }
    }

    /// Adds a change, cools what is not young any more, and forgets the oldest beyond the limits.
    fn remember(&mut self, change: Change, limit: HistoryLimit) {
        self.history.push_back(change);
        while self.history.len() > limit.changes {
            self.forget_oldest();
        }
        while self.cooled + YOUNG_MAX < self.history.len() {
            let change = &self.history[self.cooled];
            if let Some(before) = &change.before {
                before.cool();
            }
            self.cooled_bytes += change.after.cool();
            self.cooled += 1;
        }
        while self.cooled_bytes > limit.bytes {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.history.pop_front() else { return };
        self.forgotten = oldest.version;
        self.dropped += 1;
        if self.cooled > 0 {
            self.cooled -= 1;
            self.cooled_bytes -= oldest.after.text().len();
        }
    }
}

/// The owners that an object names, by uid.
fn owners(object: &Value) -> Vec<&str> {
    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    references
        .into_iter()
        .flatten()
        .filter_map(|reference| reference.get("uid")?.as_str())
        .collect()
}

/// `spec.nodeName`, where it is set.
fn node_of(object: &Value) -> Option<Name> {
    let node = object.get("spec")?.get("nodeName")?.as_str();
    node.filter(|node| !node.is_empty()).map(Name::from)
}

/// All shelves and their version counter.
#[derive(Clone, Debug)]
pub struct Shelves {
    shelves: Vec<Shelf>,
    version: u64,
    history_limit: HistoryLimit,
    /// Every uid that exists.
    uids: BTreeSet<Name>,
    /// Objects by the uids of the owners they name.
    owned: BTreeMap<Name, BTreeSet<(ShelfId, ObjectName)>>,
}

impl Shelves {
    /// No shelves. Each will remember changes up to `history_limit`.
    pub fn new(history_limit: HistoryLimit) -> Self {
        Self {
            shelves: Vec::new(),
            version: 0,
            history_limit: HistoryLimit { changes: history_limit.changes.max(1), ..history_limit },
            uids: BTreeSet::new(),
            owned: BTreeMap::new(),
        }
    }

    /// Adds an empty shelf.
    pub fn add(&mut self) -> ShelfId {
        self.shelves.push(Shelf::default());
        ShelfId(self.shelves.len() - 1)
    }

    /// The version of the last write; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A shelf.
    pub fn shelf(&self, id: ShelfId) -> &Shelf {
        &self.shelves[id.0]
    }

    /// All shelves' ids, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = ShelfId> + use<> {
        (0..self.shelves.len()).map(ShelfId)
    }

    /// Stores `value` under the next version, whether or not it changes anything.
    pub fn put(&mut self, id: ShelfId, value: Value) -> Object {
        let object = self.stamp(value);
        let name = object.name();
        let shelf = &mut self.shelves[id.0];
        let before = shelf.insert(&name, &object);
        self.index(id, &name, before.as_ref(), Some(&object));
        let shelf = &mut self.shelves[id.0];
        let change =
            Change { version: object.version, before, after: Arc::clone(&object), deleted: false };
        shelf.remember(change, self.history_limit);
        object
    }

    /// Removes an object; its last state carries the version of the removal. `None` if it is not there.
    pub fn remove(&mut self, id: ShelfId, name: &ObjectName) -> Option<Object> {
        let before = self.shelves[id.0].take(name)?;
        self.index(id, name, Some(&before), None);
        let after = self.stamp(Value::clone(&before.value()));
        let change = Change {
            version: after.version,
            before: Some(before),
            after: Arc::clone(&after),
            deleted: true,
        };
        self.shelves[id.0].remember(change, self.history_limit);
        Some(after)
    }

    /// True if an object with this uid exists.
    pub fn has_uid(&self, uid: &str) -> bool {
        self.uids.contains(uid)
    }

    /// The objects that name `uid` as an owner.
    pub fn dependents(&self, uid: &str) -> Vec<(ShelfId, ObjectName)> {
        self.owned.get(uid).into_iter().flatten().cloned().collect()
    }

    fn index(
        &mut self,
        id: ShelfId,
        name: &ObjectName,
        before: Option<&Object>,
        after: Option<&Object>,
    ) {
        let uid = |object: Option<&Object>| object.map(|object| Name::clone(&object.uid));
        let (old, new) = (uid(before), uid(after));
        if old != new {
            if let Some(old) = old {
                self.uids.remove(&old);
            }
            self.uids.extend(new.filter(|uid| !uid.is_empty()));
        }
        let owners = |object: Option<&Object>| {
            object.map(|object| object.owners.clone()).unwrap_or_default()
        };
        let (old, new) = (owners(before), owners(after));
        if old == new {
            return;
        }
        for owner in old {
            if let Some(dependents) = self.owned.get_mut(&owner) {
                dependents.remove(&(id, name.clone()));
                if dependents.is_empty() {
                    self.owned.remove(&owner);
                }
            }
        }
        for owner in new {
            self.owned.entry(owner).or_default().insert((id, name.clone()));
        }
    }

    fn stamp(&mut self, mut value: Value) -> Object {
        self.version += 1;
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), self.version.to_string().into());
        }
        Stored::new(value, self.version)
    }

    /// Forgets all history: every watch from an older version finds it expired.
    pub fn forget_history(&mut self) {
        for shelf in &mut self.shelves {
            while !shelf.history.is_empty() {
                shelf.forget_oldest();
            }
        }
    }
}
