//! Floor 10: the commands. Start-up and printing only.
