//! Nothing: the library that the dependency downloads is what counts.
