//! Deployments: the answer of each step, what reaches the bucket, and what is spooled after a
//! failure.

mod causes;
mod concurrency;
mod config_changes;
mod context;
mod context_refusals;
mod encryption;
mod endless;
mod environment;
mod failure_cases;
mod hostile_texts;
mod inputs;
mod late_callers;
mod late_order;
mod local_failures;
mod network_failures;
mod proxies;
mod record;
mod region;
mod replay;
mod request_concurrency;
mod s3_answers;
mod secrets;
mod steps;
mod stuck_targets;
