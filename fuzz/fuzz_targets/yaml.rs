//! libFuzzer's way into `yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_backup_fuzz::yaml::run(data, config_backup_fuzz::yaml::LARGE));
