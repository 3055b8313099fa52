//! libFuzzer's way into `key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_backup_fuzz::key::run(data));
