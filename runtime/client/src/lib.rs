//! Drives any OCI runtime executable through its command line.
