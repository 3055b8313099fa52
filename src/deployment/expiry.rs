//! Which files of the state directory expire, and when.

use std::time::Duration;

use crate::chain::claim::{CHAINS_DIR, TAKEN_SUFFIX};
use crate::deployment::claim::DEPLOYMENTS_DIR;
use crate::deployment::tool_versions::TOOL_VERSIONS_DIR;
use crate::state::caller_memory::CALLERS_DIR;
use crate::state::cleanup::ExpiryRule;
use crate::state::put_off::PUT_OFF_DIR;
use crate::state::spool::SPOOL_DIR;

/// For the claims of deployments and the versions of tools.
const NOTE_LIFETIME: Duration = Duration::from_hours(14 * 24);
/// For a chain whose record an operator may have deleted from the spool.
const TAKEN_CHAIN_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// For the callers of profiles, which are written again when they are missing.
const CALLER_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// For a half-written file. No running process is that slow.
const HALF_WRITTEN_LIFETIME: Duration = Duration::from_hours(1);

pub(crate) const EXPIRY_RULES: [ExpiryRule; 6] = [
    ExpiryRule {
        dir: SPOOL_DIR,
        suffixes: &[".tmp"],
        lifetime: HALF_WRITTEN_LIFETIME,
    },
    ExpiryRule {
        dir: CHAINS_DIR,
        suffixes: &[TAKEN_SUFFIX, ".tmp"],
        lifetime: TAKEN_CHAIN_LIFETIME,
    },
    ExpiryRule {
        dir: DEPLOYMENTS_DIR,
        suffixes: &[],
        lifetime: NOTE_LIFETIME,
    },
    ExpiryRule {
        dir: TOOL_VERSIONS_DIR,
        suffixes: &[],
        lifetime: NOTE_LIFETIME,
    },
    ExpiryRule {
        dir: PUT_OFF_DIR,
        suffixes: &[],
        lifetime: NOTE_LIFETIME,
    },
    ExpiryRule {
        dir: CALLERS_DIR,
        suffixes: &[],
        lifetime: CALLER_LIFETIME,
    },
];
