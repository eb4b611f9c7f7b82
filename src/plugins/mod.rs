//! Floor 4: the rules. One rule per file: what it filters, how it scores, and which change may turn its "no".
//! Rules are pure: an ask and columns in, node sets and numbers out. They never see gangs or plans.
