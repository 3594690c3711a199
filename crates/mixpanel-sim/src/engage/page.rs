//! The JSON of one page, written without building it as a value.

use std::io::Write;

use super::params::Paging;
use super::sessions::Session;
use crate::profiles::{Key, Object, Snapshot};

/// About what a profile takes, for reserving memory.
const PROFILE_BYTES: usize = 900;

/// Writes a page of a session; one beyond the end has no results. `output` limits the properties.
pub(crate) fn write(
    session: &Session,
    paging: &Paging,
    output: Option<&[String]>,
    with_total: bool,
) -> Vec<u8> {
    let selection = &session.selection;
    let start = paging.page.saturating_mul(paging.page_size).min(selection.len());
    let end = (start + paging.page_size).min(selection.len());
    let keys = &selection.keys[start.min(selection.keys.len())..end.min(selection.keys.len())];
    let bare_from = start.saturating_sub(selection.keys.len());
    let bare = &selection.bare[bare_from..bare_from + (end - start - keys.len())];

    let mut out = Vec::with_capacity(keys.len() * PROFILE_BYTES + 256);
    let Paging { page, page_size, .. } = paging;
    // Writing to memory cannot fail.
    let _ =
        write!(out, r#"{{"page":{page},"page_size":{page_size},"session_id":"{}","status":"ok""#, session.id);
    if with_total {
        let _ = write!(out, r#","total":{}"#, selection.len());
    }
    out.extend_from_slice(br#","results":["#);
    for (index, &key) in keys.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        profile(&selection.snapshot, key, output, &mut out);
    }
    for (index, id) in bare.iter().enumerate() {
        if index + keys.len() > 0 {
            out.push(b',');
        }
        let id = serde_json::Value::from(id.as_str());
        let _ = write!(out, r#"{{"$distinct_id":{id},"$properties":{{}}}}"#);
    }
    out.extend_from_slice(b"]}");
    out
}

fn profile(snapshot: &Snapshot, key: Key, output: Option<&[String]>, out: &mut Vec<u8>) {
    let _ = write!(out, r#"{{"$distinct_id":{},"$properties":"#, snapshot.id(key));
    match output {
        None => snapshot.write_properties(key, out),
        Some(names) => {
            let mut properties = snapshot.properties(key);
            let wanted = names.iter().filter_map(|name| properties.remove_entry(name));
            let wanted: Object = wanted.collect();
            let _ = write!(out, "{}", serde_json::Value::Object(wanted));
        }
    }
    out.push(b'}');
}
