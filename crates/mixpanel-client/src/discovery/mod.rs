//! What there is in a project: events, properties, values, saved reports, cohorts, the Lexicon,
//! annotations; and who and where we are.
//!
//! Each is a method of [`Client`](crate::Client). Answers that change rarely are kept by the client
//! and its clones until [`clear_discovery_cache`](crate::Client::clear_discovery_cache): events,
//! properties, values, funnels, cohorts, schemas, and what `/me` says. Top events, bookmarks and
//! annotations are asked for each time. Nothing is stored on disk.

mod account;
mod annotations;
mod cache;
mod lexicon;
mod names;
mod saved;
mod suggest;
mod unknown;

pub use account::{Me, Organization, ProjectInfo, RegionFound, probe_region};
pub use annotations::{Annotation, AnnotationTag, AnnotationUser};
pub use lexicon::{EntityType, LexiconDefinition, LexiconMetadata, LexiconProperty, LexiconSchema};
pub use names::TopEvent;
pub use saved::{BookmarkInfo, BookmarkType, FunnelInfo, SavedCohort};
pub use suggest::similar;
pub use unknown::{NameKind, NameSource, UnknownName};

pub(crate) use cache::Cache;
