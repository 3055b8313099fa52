//! libFuzzer's way into `cell`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_backup_fuzz::cell::run(data));
