mod combining;
mod grammar;
mod properties;
mod writing;
