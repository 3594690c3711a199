//! Where the rows of a table are: a table that was fetched has two views, anybody's own has itself.

use crate::error::{ErrorKind, Result};
use crate::storage::ident;
use crate::workspace::Workspace;

/// A table or view to look at.
pub(super) struct Place {
    /// Its name, as it was given when it was made; for a typed view that of its table.
    pub(super) name: String,
    /// What is asked for columns, quoted: the typed view of a table that was fetched.
    pub(super) columns: String,
    /// What is asked for rows and texts, quoted.
    pub(super) texts: String,
    /// Whether it was fetched, so that its properties are known.
    pub(super) is_fetched: bool,
}

impl Workspace {
    /// A table that was fetched, the typed view of one, or any table or view that SQL has made.
    ///
    /// # Errors
    /// [`TableNotFound`](ErrorKind::TableNotFound), also for the records of this library.
    pub(super) fn place(&self, table: &str) -> Result<Place> {
        let missing = match self.storage().table(table) {
            Ok(info) => {
                let (columns, texts) = (ident(&format!("{}_flat", info.name)), ident(&info.name));
                return Ok(Place { name: info.name, columns, texts, is_fetched: true });
            }
            Err(error) if matches!(error.kind(), ErrorKind::TableNotFound { .. }) => error,
            Err(error) => return Err(error),
        };
        if table.starts_with('_') {
            return Err(missing);
        }
        let Ok(schema) = self.storage().get_schema(table) else { return Err(missing) };
        let own = ident(&schema.table_name);
        let stem = table.len().checked_sub("_flat".len()).and_then(|at| table.split_at_checked(at));
        let typed = stem.filter(|(_, end)| end.eq_ignore_ascii_case("_flat"));
        if let Some(info) = typed.and_then(|(name, _)| self.storage().table(name).ok()) {
            return Ok(Place { name: info.name, columns: own.clone(), texts: own, is_fetched: true });
        }
        Ok(Place { name: schema.table_name, columns: own.clone(), texts: own, is_fetched: false })
    }
}
