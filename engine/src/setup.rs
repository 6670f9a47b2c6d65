//! A file becomes one generation: plan and TLS settings, or every problem at once.
