//! libFuzzer's way into `query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_backup_fuzz::query::run(data));
