//! The GPU cards that a simulated fleet knows: what GPU Feature Discovery says of each,
//! and into which MIG instances it may be cut. Facts of products; knows no node and no file.
//! Invariant: a layout that `fits` accepts has a place for each of its instances on one card.

/// What is known of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// As in the label `nvidia.com/gpu.product`.
    pub(super) product: &'static str,
    pub(super) family: &'static str,
    /// CUDA compute capability.
    pub(super) compute: (u32, u32),
    /// Memory in MiB, as the driver reports it.
    pub(super) memory_mib: u32,
    /// The processor architecture of machines with this card.
    pub(super) machine: &'static str,
    /// MIG profiles; empty where the card has none, or none whose placements are published.
    pub(super) profiles: &'static [Profile],
}

/// A MIG profile of a card. An instance occupies `size` memory slices from one of `starts` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) name: &'static str,
    /// Compute slices.
    pub(super) compute: u32,
    pub(super) size: u32,
    pub(super) starts: &'static [u32],
    pub(super) max: u32,
    /// Memory of one instance in MiB, where the driver's figure is published.
    pub(super) memory_mib: Option<u32>,
    /// Streaming multiprocessors, where published.
    pub(super) multiprocessors: Option<u32>,
}

/// The seven profiles of a card with eight memory slices, by name, memory, and multiprocessors.
macro_rules! eight_slices {
    ($([$name:literal, $memory:expr, $sm:expr]),+ $(,)?) => {
        &shape([$(($name, $memory, $sm)),+])
    };
}

/// Name, memory in MiB, and multiprocessors of a profile.
type Figures = (&'static str, Option<u32>, Option<u32>);

/// Profiles in the order 1g, 1g+me, 1g with double memory, 2g, 3g, 4g, 7g.
const fn shape(figures: [Figures; 7]) -> [Profile; 7] {
    const fn one(
        (name, memory_mib, multiprocessors): Figures,
        (compute, size, max): (u32, u32, u32),
        starts: &'static [u32],
    ) -> Profile {
        Profile { name, compute, size, starts, max, memory_mib, multiprocessors }
    }
    [
        one(figures[0], (1, 1, 7), &[0, 1, 2, 3, 4, 5, 6]),
        one(figures[1], (1, 1, 1), &[0, 1, 2, 3, 4, 5, 6]),
        one(figures[2], (1, 2, 4), &[0, 2, 4, 6]),
        one(figures[3], (2, 2, 3), &[0, 2, 4]),
        one(figures[4], (3, 4, 2), &[0, 4]),
        one(figures[5], (4, 4, 1), &[0]),
        one(figures[6], (7, 8, 1), &[0]),
    ]
}

const A100_40: &[Profile] = eight_slices![
    ["1g.5gb", Some(4864), Some(14)],
    ["1g.5gb+me", Some(4864), Some(14)],
    ["1g.10gb", Some(9856), Some(14)],
    ["2g.10gb", Some(9856), Some(28)],
    ["3g.20gb", Some(19968), Some(42)],
    ["4g.20gb", Some(19968), Some(56)],
    ["7g.40gb", Some(40192), Some(98)],
];
const A100_80: &[Profile] = eight_slices![
    ["1g.10gb", Some(9856), Some(14)],
    ["1g.10gb+me", Some(9856), Some(14)],
    ["1g.20gb", Some(19968), Some(14)],
    ["2g.20gb", Some(19968), Some(28)],
    ["3g.40gb", Some(40192), Some(42)],
    ["4g.40gb", Some(40192), Some(56)],
    ["7g.80gb", Some(80384), Some(98)],
];
const H100_80: &[Profile] = eight_slices![
    ["1g.10gb", Some(9984), Some(16)],
    ["1g.10gb+me", Some(9984), Some(16)],
    ["1g.20gb", Some(20096), Some(26)],
    ["2g.20gb", Some(20096), Some(32)],
    ["3g.40gb", Some(40448), Some(60)],
    ["4g.40gb", Some(40448), Some(64)],
    ["7g.80gb", Some(81152), Some(132)],
];
const H100_94: &[Profile] = eight_slices![
    ["1g.12gb", None, Some(16)],
    ["1g.12gb+me", None, Some(16)],
    ["1g.24gb", None, Some(26)],
    ["2g.24gb", None, Some(32)],
    ["3g.47gb", None, Some(60)],
    ["4g.47gb", Some(47493), Some(64)],
    ["7g.94gb", Some(95355), Some(132)],
];
const H200: &[Profile] = eight_slices![
    ["1g.18gb", Some(16384), Some(16)],
    ["1g.18gb+me", Some(16384), Some(16)],
    ["1g.35gb", Some(33280), Some(26)],
    ["2g.35gb", Some(33280), Some(32)],
    ["3g.71gb", Some(71424), Some(60)],
    ["4g.71gb", Some(71424), Some(64)],
    ["7g.141gb", Some(143_360), Some(132)],
];
const B200: &[Profile] = eight_slices![
    ["1g.23gb", None, Some(18)],
    ["1g.23gb+me", None, Some(18)],
    ["1g.45gb", Some(45312), Some(30)],
    ["2g.45gb", Some(45312), Some(36)],
    ["3g.90gb", None, None],
    ["4g.90gb", None, None],
    ["7g.180gb", None, None],
];
/// A30: four memory slices.
const A30: &[Profile] = &[
    four("1g.6gb", (1, 4), &[0, 1, 2, 3], (5836, 14)),
    four("2g.12gb", (2, 2), &[0, 2], (11672, 28)),
    four("4g.24gb", (4, 1), &[0], (23344, 56)),
];

/// A profile of the A30, whose memory slices are as many as its compute slices.
const fn four(
    name: &'static str,
    (slices, max): (u32, u32),
    starts: &'static [u32],
    (memory_mib, multiprocessors): (u32, u32),
) -> Profile {
    Profile {
        name,
        compute: slices,
        size: slices,
        starts,
        max,
        memory_mib: Some(memory_mib),
        multiprocessors: Some(multiprocessors),
    }
}

const fn card(
    product: &'static str,
    family: &'static str,
    compute: (u32, u32),
    memory_mib: u32,
    profiles: &'static [Profile],
) -> Card {
    Card { product, family, compute, memory_mib, machine: "amd64", profiles }
}

/// Every card known here.
pub(super) const CARDS: [Card; 17] = [
    card("Tesla-V100-SXM2-16GB", "volta", (7, 0), 16384, &[]),
    card("Tesla-V100-SXM2-32GB", "volta", (7, 0), 32768, &[]),
    card("Tesla-T4", "turing", (7, 5), 15360, &[]),
    card("NVIDIA-A10", "ampere", (8, 6), 23028, &[]),
    card("NVIDIA-A30", "ampere", (8, 0), 24576, A30),
    card("NVIDIA-A100-SXM4-40GB", "ampere", (8, 0), 40960, A100_40),
    card("NVIDIA-A100-PCIE-40GB", "ampere", (8, 0), 40960, A100_40),
    card("NVIDIA-A100-SXM4-80GB", "ampere", (8, 0), 81920, A100_80),
    card("NVIDIA-A100-80GB-PCIe", "ampere", (8, 0), 81920, A100_80),
    card("NVIDIA-L4", "ada-lovelace", (8, 9), 23034, &[]),
    card("NVIDIA-L40S", "ada-lovelace", (8, 9), 46068, &[]),
    card("NVIDIA-H100-80GB-HBM3", "hopper", (9, 0), 81559, H100_80),
    card("NVIDIA-H100-PCIe", "hopper", (9, 0), 81559, H100_80),
    card("NVIDIA-H100-NVL", "hopper", (9, 0), 95830, H100_94),
    card("NVIDIA-H200", "hopper", (9, 0), 143_771, H200),
    card("NVIDIA-B200", "blackwell", (10, 0), 183_359, B200),
    Card { machine: "arm64", ..card("NVIDIA-GB200", "blackwell", (10, 0), 189_471, &[]) },
];

impl Card {
    /// The card of a product name, in any case.
    pub(super) fn named(product: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.product.eq_ignore_ascii_case(product))
    }

    /// The profile `name`.
    pub(super) fn profile(&self, name: &str) -> Option<&'static Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }
}

/// True if one card can hold all of `instances` at once (each profile as often as listed).
pub(super) fn fits(instances: &[(&'static Profile, u32)]) -> bool {
    if instances.iter().any(|(profile, count)| *count > profile.max) {
        return false;
    }
    let mut wanted: Vec<&Profile> = instances
        .iter()
        .flat_map(|(profile, count)| std::iter::repeat_n(*profile, *count as usize))
        .collect();
    // Large instances have the fewest places: try them first.
    wanted.sort_by_key(|profile| std::cmp::Reverse(profile.size));
    placeable(&wanted, 0)
}

/// True if `wanted` can be placed beside what `occupied` (one bit per memory slice) holds.
fn placeable(wanted: &[&Profile], occupied: u32) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    first.starts.iter().any(|start| {
        let mask = ((1 << first.size) - 1) << start;
        occupied & mask == 0 && placeable(rest, occupied | mask)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(product: &str, instances: &[(&str, u32)]) -> bool {
        let card = Card::named(product).expect("a known product");
        let instances: Vec<_> = instances
            .iter()
            .map(|(name, count)| (card.profile(name).expect("a known profile"), *count))
            .collect();
        fits(&instances)
    }

    #[test]
    fn layouts_follow_the_placements_of_the_card() {
        let h100 = "NVIDIA-H100-80GB-HBM3";
        assert!(holds(h100, &[("1g.10gb", 7)]));
        assert!(holds(h100, &[("4g.40gb", 1), ("3g.40gb", 1)]));
        assert!(holds(h100, &[("3g.40gb", 1), ("2g.20gb", 1), ("1g.10gb", 2)]));
        assert!(holds(h100, &[("3g.40gb", 2)]));
        assert!(!holds(h100, &[("3g.40gb", 2), ("1g.10gb", 1)]), "two 3g use all memory");
        assert!(!holds(h100, &[("4g.40gb", 2)]));
        assert!(!holds(h100, &[("2g.20gb", 3), ("1g.10gb", 2)]), "2g never starts at slice 6");
        assert!(holds("NVIDIA-A30", &[("2g.12gb", 1), ("1g.6gb", 2)]));
        assert!(!holds("NVIDIA-A30", &[("4g.24gb", 1), ("1g.6gb", 1)]));
    }

    #[test]
    fn the_eight_slice_cards_have_77_layouts_without_media_engines() {
        let card = Card::named("nvidia-h100-80gb-hbm3").expect("case does not matter");
        let profiles: Vec<_> =
            card.profiles.iter().filter(|profile| !profile.name.ends_with("+me")).collect();
        let mut layouts = 0;
        let mut counts = vec![0; profiles.len()];
        loop {
            let mut place = 0;
            while place < counts.len() && counts[place] == profiles[place].max {
                counts[place] = 0;
                place += 1;
            }
            if place == counts.len() {
                break;
            }
            counts[place] += 1;
            let instances: Vec<_> = profiles.iter().copied().zip(counts.iter().copied()).collect();
            layouts += u32::from(fits(&instances));
        }
        assert_eq!(layouts, 77);
    }
}
