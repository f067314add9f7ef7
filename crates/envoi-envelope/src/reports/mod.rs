//! Client reports.
