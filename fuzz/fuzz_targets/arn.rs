//! libFuzzer's way into `arn`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_backup_fuzz::arn::run(data));
