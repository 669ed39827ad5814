//! Reports from one record: terminal table, JSON, JUnit XML, TAP.
