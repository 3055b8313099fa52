//! libFuzzer's way into `record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_backup_fuzz::record::run(data));
