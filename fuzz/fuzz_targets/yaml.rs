//! libFuzzer's way into `yaml`; at this size a quadratic cost would take half a minute.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_backup_fuzz::yaml::run(data, 1 << 18));
