//! How often a statistical check cries wolf, and how often it catches a wrong limit: counted over real runs, and over
//! runs that are put together from their samples.

mod load;
mod recorded;
mod resample;
mod table;

pub use self::load::{Load, burn};
pub use self::recorded::{Case, Drawn, Error, cases};
pub use self::resample::resample;
pub use self::table::{Count, Row, table};

/// What is put into a spec: nothing, or one of its sabotages.
pub const HEALTHY: &str = "healthy";
