//! Compares the module `otlp` of sdk/rust with the full model of protobuf: see tests.
