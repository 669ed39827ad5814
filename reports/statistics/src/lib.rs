//! The arithmetic of the judge and of the regression gate.
//!
//! It does no IO, reads no clock and is random only by the [`chance::Chance`] that it is given, so that whatever was
//! decided can be decided again from what was recorded.
//!
//! The gate compares two programs by pairs of measurements whose order within the pair is thrown anew each time, because
//! figures taken one program after the other differ on a machine that does other things, too, also where the programs do
//! not. What it rests on:
//!
//! * [`pairs`]: log-ratios; [`walsh`]: their Hodges–Lehmann estimate; [`effect`]: its interval by a block bootstrap;
//! * [`wilcoxon`]: the signed-rank test, which random order makes exact however much neighbouring pairs depend on each other;
//! * [`spending`]: how often one may look; [`multiple`]: how many rows one may look at;
//! * [`sampler`]: one row, sampled until it is decided; [`gate`]: all rows, and the gate's test of itself;
//! * [`replay`]: how often a gate errs, from recorded pairs.

pub mod chance;
pub mod change;
pub mod decision;
pub mod density;
pub mod ecdf;
pub mod effect;
pub mod estimate;
pub mod gate;
pub mod mean;
pub mod multiple;
pub mod pairs;
pub mod proportion;
pub mod quantile;
pub mod replay;
pub mod sampler;
pub mod spending;
pub mod walsh;
pub mod wilcoxon;

pub use estimate::Estimate;
