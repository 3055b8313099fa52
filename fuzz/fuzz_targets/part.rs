//! libFuzzer's way into `part`.
#![no_main]

// A panic that the product catches is none to find; libFuzzer's hook would not wait for that.
libfuzzer_sys::fuzz_target!(init: config_backup::system::panics::silence(), |data: &[u8]| config_backup_fuzz::part::run(data));
