//! The judge: plan, drive, observe and judge; it never links what it judges.
