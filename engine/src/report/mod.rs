//! One finished exchange becomes one log line and a few counters.
