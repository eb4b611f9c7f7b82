//! What an entry of the fleet file comes to: amounts, cards, labels, taints, checked.
//! Every problem is collected with its field, value, and remedy; nothing is guessed in silence.
//! Makes no object and knows no name of a node: `node` writes what stands here.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use super::cards::CARDS;
use super::cards::Card;
use super::cards::Profile;
use super::cards::fits;
use super::file::CardLayout;
use super::file::Entry;
use crate::base::quantity::Quantity;

/// CPU and memory of a node that does not say: this much for each GPU, as on machines sold with eight of them ...
const PER_GPU: (u64, u64) = (24, 256);
/// ... and this much without GPUs. Cores and GiB.
const WITHOUT_GPUS: (u64, u64) = (32, 128);
/// Most cards in one node.
const CARDS_MAX: u32 = 64;

/// How the cards of a node are offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gpus {
    pub(super) card: &'static Card,
    pub(super) count: u32,
    /// Instances of each profile on the whole node; empty where no card is cut.
    pub(super) instances: Vec<(&'static Profile, u32)>,
    /// How many cards are cut.
    pub(super) cut: u32,
    pub(super) strategy: MigStrategy,
    pub(super) sharing: Sharing,
}

/// How MIG instances are advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MigStrategy {
    /// Each profile is a resource of its own.
    Mixed,
    /// Instances, all of one profile, are `nvidia.com/gpu`.
    Single,
}

/// How pods share a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    None,
    TimeSlicing(u32),
    Mps(u32),
}

impl Sharing {
    /// How often each device is advertised.
    pub(super) const fn replicas(self) -> u32 {
        match self {
            Self::None => 1,
            Self::TimeSlicing(replicas) | Self::Mps(replicas) => replicas,
        }
    }
}

/// An entry, checked.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) capacity: BTreeMap<String, String>,
    pub(super) gpus: Option<Gpus>,
    pub(super) taints: Vec<Value>,
    /// As a node's status lists them.
    pub(super) images: Vec<Value>,
}

/// Collects what is wrong with one entry.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<String>);

impl Problems {
    /// Notes that `field` holds `value`, which cannot be.
    pub(super) fn add(&mut self, field: &str, value: &str, remedy: &str) {
        self.0.push(format!("{field}: {value:?} {remedy}"));
    }

    /// The value, or a problem with `field`.
    fn keep<T>(&mut self, field: &str, value: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|remedy| self.add(field, value, &remedy)).ok()
    }
}

impl Shape {
    /// Checks an entry; what is wrong goes to `problems`.
    pub(super) fn of(entry: &Entry, problems: &mut Problems) -> Self {
        let gpus = gpus(entry, problems);
        let cards = u64::from(gpus.as_ref().map_or(0, |gpus| gpus.count));
        let (cores, gibibytes) = match cards {
            0 => WITHOUT_GPUS,
            cards => (PER_GPU.0 * cards, PER_GPU.1 * cards),
        };
        let mut capacity = BTreeMap::new();
        let named = [
            ("cpu", "cpu", &entry.cpu, cores.to_string()),
            ("memory", "memory", &entry.memory, format!("{gibibytes}Gi")),
            ("ephemeralStorage", "ephemeral-storage", &entry.ephemeral_storage, "1Ti".to_owned()),
            ("pods", "pods", &entry.pods, "110".to_owned()),
        ];
        for (field, resource, given, default) in named {
            let amount = given.clone().unwrap_or(default);
            amount_of(field, &amount, problems);
            if field == "pods" {
                whole(field, &amount, problems);
            }
            capacity.insert(resource.to_owned(), amount);
        }
        for field in ["cpu", "memory", "pods"] {
            if Quantity::parse(&capacity[field]) == Ok(Quantity::ZERO) {
                problems.add(
                    field,
                    &capacity[field],
                    "leaves the node without capacity: write a positive amount, or cordon it with unschedulable: true",
                );
            }
        }
        for (resource, amount) in &entry.resources {
            let field = format!("resources.{resource}");
            amount_of(&field, amount, problems);
            if capacity.insert(resource.clone(), amount.clone()).is_some() {
                problems.add(&field, amount, "has a field of its own: write it there");
            }
        }
        if let Some(gpus) = &gpus {
            add_devices(&mut capacity, gpus);
        }
        let taints = entry.taints.iter().flatten();
        let taints = taints.filter_map(|text| problems.keep("taints", text, taint(text))).collect();
        let images = entry.images.iter().map(|(name, size)| image(name, size, problems)).collect();
        Self { capacity, gpus, taints, images }
    }
}

/// An image and its size.
fn image(name: &str, size: &str, problems: &mut Problems) -> Value {
    amount_of(&format!("images.{name}"), size, problems);
    let bytes = Quantity::parse(size).map_or(0, Quantity::ceil);
    json!({"names": [name], "sizeBytes": bytes})
}

/// Checks that `text` is an amount of something.
fn amount_of(field: &str, text: &str, problems: &mut Problems) {
    match Quantity::parse(text) {
        Ok(amount) if amount.is_negative() => {
            problems.add(field, text, "is negative: write 0 or more");
        }
        Ok(_) => {}
        Err(error) => problems.add(field, text, &format!("is {error}")),
    }
}

/// Checks that `text`, if it is an amount, counts whole things.
fn whole(field: &str, text: &str, problems: &mut Problems) {
    let Ok(amount) = Quantity::parse(text) else { return };
    if Quantity::parse(&amount.ceil().to_string()) != Ok(amount) {
        problems.add(field, text, "is no whole number: write how many, such as 110");
    }
}

/// Adds what the device plugin advertises for `gpus`.
fn add_devices(capacity: &mut BTreeMap<String, String>, gpus: &Gpus) {
    let replicas = gpus.sharing.replicas();
    let whole = gpus.count - gpus.cut;
    match gpus.strategy {
        MigStrategy::Single if gpus.cut > 0 => {
            let instances: u32 = gpus.instances.iter().map(|(_, count)| count).sum();
            capacity.insert("nvidia.com/gpu".to_owned(), (instances * replicas).to_string());
        }
        MigStrategy::Single | MigStrategy::Mixed => {
            capacity.insert("nvidia.com/gpu".to_owned(), (whole * replicas).to_string());
            for (profile, count) in &gpus.instances {
                let resource = format!("nvidia.com/{}", mig_name(profile));
                capacity.insert(resource, (count * replicas).to_string());
            }
        }
    }
}

/// `mig-1g.10gb.me` for profile `1g.10gb+me`.
pub(super) fn mig_name(profile: &Profile) -> String {
    format!("mig-{}", profile.name.replace('+', "."))
}

/// The GPUs of an entry.
fn gpus(entry: &Entry, problems: &mut Problems) -> Option<Gpus> {
    let Some(text) = &entry.gpus else {
        for (field, given) in [
            ("mig", entry.mig.is_some()),
            ("timeSlicing", entry.time_slicing.is_some()),
            ("mps", entry.mps.is_some()),
        ] {
            if given {
                problems.0.push(format!("{field}: there are no cards: add gpus"));
            }
        }
        return None;
    };
    let (count, card) = problems.keep("gpus", text, count_and_card(text))?;
    let sharing = sharing(entry, problems);
    let strategy = match entry.mig_strategy.as_deref() {
        None | Some("mixed") => MigStrategy::Mixed,
        Some("single") => MigStrategy::Single,
        Some(other) => {
            problems.add("migStrategy", other, "is no strategy: write mixed or single");
            MigStrategy::Mixed
        }
    };
    let layouts = entry.mig.as_deref().unwrap_or_default();
    let (cut, instances) = cut_cards(card, count, layouts, problems);
    if strategy == MigStrategy::Single && cut > 0 && (cut < count || instances.len() != 1) {
        problems.add(
            "migStrategy",
            "single",
            "needs every card cut into instances of one profile: write mixed",
        );
    }
    if matches!(sharing, Sharing::Mps(_)) && cut > 0 {
        problems.0.push("mps: MIG instances cannot be shared this way: use timeSlicing".to_owned());
    }
    Some(Gpus { card, count, instances, cut, strategy, sharing })
}

/// Reads `8 x NVIDIA-H100-80GB-HBM3`.
fn count_and_card(text: &str) -> Result<(u32, &'static Card), String> {
    let form = "is not COUNT x PRODUCT: write, say, 8 x NVIDIA-H100-80GB-HBM3";
    let (count, product) = text.split_once(" x ").ok_or(form)?;
    let count: u32 = count.trim().parse().map_err(|_| form)?;
    if count == 0 || count > CARDS_MAX {
        return Err(format!("has a wrong count: write 1 to {CARDS_MAX} cards, or leave gpus out"));
    }
    let card = Card::named(product.trim()).ok_or_else(|| {
        let known: Vec<_> = CARDS.iter().map(|card| card.product).collect();
        format!(
            "names no card known here: write one of {}; or leave gpus out and give resources and labels",
            known.join(", ")
        )
    })?;
    Ok((count, card))
}

/// How the cards are shared.
fn sharing(entry: &Entry, problems: &mut Problems) -> Sharing {
    let mut replicas = |field: &str, text: &str| {
        let read = text.parse().ok().filter(|replicas| (2..=1024).contains(replicas));
        problems.keep(field, text, read.ok_or_else(|| "is no count of 2 to 1024".to_owned()))
    };
    match (&entry.time_slicing, &entry.mps) {
        (None, None) => Sharing::None,
        (Some(text), None) => {
            replicas("timeSlicing", text).map_or(Sharing::None, Sharing::TimeSlicing)
        }
        (None, Some(text)) => replicas("mps", text).map_or(Sharing::None, Sharing::Mps),
        (Some(_), Some(text)) => {
            problems.add("mps", text, "excludes timeSlicing: leave one of them out");
            Sharing::None
        }
    }
}

/// How many cards are cut, and the instances that this gives on the whole node.
fn cut_cards(
    card: &'static Card,
    count: u32,
    layouts: &[CardLayout],
    problems: &mut Problems,
) -> (u32, Vec<(&'static Profile, u32)>) {
    let mut left = count;
    let mut instances: BTreeMap<&str, (&'static Profile, u32)> = BTreeMap::new();
    for (index, layout) in layouts.iter().enumerate() {
        let field = format!("mig[{index}]");
        let cards = layout.cards.unwrap_or(left);
        if cards > left || cards == 0 {
            let shown =
                layout.cards.map_or_else(|| "all others".to_owned(), |cards| cards.to_string());
            let remedy = format!("is not possible: {left} of the node's {count} cards are left");
            problems.add(&format!("{field}.cards"), &shown, &remedy);
            continue;
        }
        left -= cards;
        let profiles: Vec<_> = layout
            .profiles
            .iter()
            .filter_map(|(name, count)| {
                let read = card.profile(name).ok_or_else(|| unknown_profile(card));
                Some((problems.keep(&format!("{field}.profiles"), name, read)?, *count))
            })
            .collect();
        if !fits(&profiles) {
            let shown: Vec<_> = profiles
                .iter()
                .map(|(profile, count)| format!("{count} x {}", profile.name))
                .collect();
            let remedy = format!("do not fit on one {} together", card.product);
            problems.add(&format!("{field}.profiles"), &shown.join(", "), &remedy);
        }
        for (profile, count) in profiles {
            let sum = &mut instances.entry(profile.name).or_insert((profile, 0)).1;
            // An absurd count was complained of above and must not end the reading of the rest.
            *sum = sum.saturating_add(count.saturating_mul(cards));
        }
    }
    instances.retain(|_, (_, count)| *count > 0);
    (count - left, instances.into_values().collect())
}

/// What to write in place of a profile that `card` does not have.
fn unknown_profile(card: &Card) -> String {
    if card.profiles.is_empty() {
        return format!("is no profile: {} is not cut here; leave mig out", card.product);
    }
    let known: Vec<_> = card.profiles.iter().map(|profile| profile.name).collect();
    format!("is no profile of {}: write one of {}", card.product, known.join(", "))
}

/// Reads a taint as `kubectl taint` does.
fn taint(text: &str) -> Result<Value, String> {
    let form = "is no taint: write key=value:effect with effect NoSchedule, PreferNoSchedule, or NoExecute";
    let (key_value, effect) = text.rsplit_once(':').ok_or(form)?;
    let (key, value) = match key_value.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (key_value, None),
    };
    if key.is_empty() || !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(form.to_owned());
    }
    let mut taint = json!({"key": key, "effect": effect});
    if let Some(value) = value {
        taint["value"] = json!(value);
    }
    Ok(taint)
}
