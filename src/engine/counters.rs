//! Plain numbers about what the engine did. Telemetry reads them; nothing decides by them.
//! Sums since the start of the process: they only grow, and end with it.
//! Knows no metric: names, labels, and units are telemetry's.

/// Sums since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Cycles.
    pub cycles: u64,
    /// Planning attempts that ended in a plan.
    pub planned: u64,
    /// Planning attempts that were refused because nothing fits.
    pub refused: u64,
    /// Planning attempts that were refused because of a kept place.
    pub refused_for_turn: u64,
    /// Attempts that ended at a gang's `minResources`, before any search.
    pub refused_by_floor: u64,
    /// Attempts whose search ended at its bound.
    pub searches_cut_short: u64,
    /// Bind orders given out.
    pub binds_ordered: u64,
    /// Binds that took effect.
    pub binds_done: u64,
    /// Binds that met another version (HTTP 409).
    pub binds_conflicted: u64,
    /// Binds of pods that were gone.
    pub binds_gone: u64,
    /// Binds that the API refused for good.
    pub binds_refused: u64,
    /// Binds whose outcome was unknown; each is settled by a fact, or given out again.
    pub binds_unknown: u64,
    /// Binds that were given out again, since nobody knew what had become of them.
    pub binds_repeated: u64,
    /// Pods that somebody else bound while a seat was held for them.
    pub binds_foreign: u64,
    /// Gangs that had started and lost members below their minimum.
    pub gangs_crippled: u64,
    /// Of these, gangs that were restarted whole.
    pub gangs_restarted: u64,
    /// Of these, gangs that were left as they are when time was over.
    pub gangs_held: u64,
    /// Evictions ordered, repeated ones included.
    pub evictions_ordered: u64,
    /// Times that a node was put into quarantine for turning pods away.
    pub nodes_quarantined: u64,
    /// Facts that were older than what was known.
    pub facts_stale: u64,
    /// Places that were kept for gangs refused for long.
    pub places_kept: u64,
    /// Notices composed.
    pub notices: u64,
    /// Binds of members beyond a minimum that was bound before, and of replacements.
    pub binds_late: u64,
    /// Plans of gangs that were proposed, not counting repairs.
    pub gangs_proposed: u64,
    /// Plans that were sealed: every member that lived was bound.
    pub gangs_sealed: u64,
    /// Plans that were followed by another, since members could not be bound as planned.
    pub gangs_repaired: u64,
    /// Plans that were undone.
    pub gangs_aborted: u64,
    /// Times that the undoing of a plan was put off, since a bound pod has no controller.
    pub aborts_put_off: u64,
    /// Plans that were taken up from their records.
    pub gangs_resumed: u64,
    /// Plans that were not decided, or that somebody else took over.
    pub plans_dropped: u64,
    /// Fences ordered.
    pub fences_ordered: u64,
    /// Records that somebody deleted while their plan was carried out.
    pub records_lost: u64,
    /// Records that somebody else changed while their plan was carried out; what they say by then is followed.
    pub records_changed: u64,
    /// Records in a form that cannot be read; nothing is done by them.
    pub records_malformed: u64,
    /// Writes to claims and volumes, undoing ones included.
    pub volume_writes: u64,
    /// Pods whose volumes could not be bound as promised.
    pub volumes_failed: u64,
    /// Records that were removed since nobody needed them.
    pub records_removed: u64,
}
