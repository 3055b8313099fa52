//! The names of the other files in one place.

pub use crate::system::clock::{system_time, utc_now};
pub use crate::system::dirs::{cache_dir, fallback_state_dir, is_private, state_dir};
pub use crate::system::env::{
    empty_env_vars, env_var, has_env_credentials, https_proxy, strip_userinfo, terminal_width,
};
pub use crate::system::open_files::available_connections;
pub use crate::system::random::{parse_unique_id_time, random_key, unique_id};
