//! What there is at Mixpanel.

use mixpanel_client::Client;
use mixpanel_client::discovery::{LexiconDefinition, LexiconSchema};
use serde::Serialize;

use super::super::Reader;
use super::super::ask::{Asker, is_whole, names, one, result};
use crate::args::inspect::{AtMixpanel, Remote};
use crate::args::{Output, Plot};
use crate::error::Error;
use crate::output;
use crate::ui::Ui;

pub(super) fn run(what: &AtMixpanel, reader: Reader<'_>) -> Result<(), Error> {
    let ui = reader.ui;
    match what {
        AtMixpanel::Events(remote) => listed(remote, reader, "event", Client::events),
        AtMixpanel::Properties(words) => {
            listed(&words.remote, reader, "property", |client| client.properties(&words.event))
        }
        AtMixpanel::Values(words) => listed(&words.remote, reader, "value", |client| {
            client.property_values(&words.property, words.event.as_deref(), words.limit)
        }),
        AtMixpanel::Funnels(remote) => show(remote, ui, &asker(remote, reader)?.client.funnels()?),
        AtMixpanel::Cohorts(remote) => show(remote, ui, &asker(remote, reader)?.client.cohorts()?),
        AtMixpanel::TopEvents(words) => {
            let client = asker(&words.remote, reader)?.client;
            show(&words.remote, ui, &client.top_events(words.count, Some(words.limit))?)
        }
        AtMixpanel::Bookmarks(words) => {
            let client = asker(&words.remote, reader)?.client;
            show(&words.remote, ui, &client.list_bookmarks(words.kind)?)
        }
        AtMixpanel::LexiconSchemas(words) => {
            let schemas = asker(&words.remote, reader)?.client.lexicon_schemas(words.kind)?;
            if is_whole(&words.remote.output, ui) {
                let listed: Vec<Listed<'_>> = schemas.iter().map(Listed::of).collect();
                return output::object(&words.remote.output, ui, &listed, &[]);
            }
            show(&words.remote, ui, &schemas)
        }
        AtMixpanel::LexiconSchema(words) => {
            let client = asker(&words.remote, reader)?.client;
            one(&words.remote.output, ui, client.lexicon_schema(words.kind, &words.name)?)
        }
        AtMixpanel::Annotations(words) => {
            let asker = asker(&words.remote, reader)?;
            let range = words.from.zip(words.to).map(|(from, to)| (asker.day(from), asker.day(to)));
            show(&words.remote, ui, &asker.client.annotations(range)?)
        }
        AtMixpanel::Project(remote) => one(&remote.output, ui, asker(remote, reader)?.client.project_info()?),
    }
}

/// A schema in the list of all, with the figures that the list of the Python original has.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    schema: &'a LexiconSchema,
    property_count: usize,
    description: Option<&'a str>,
}

impl<'a> Listed<'a> {
    fn of(schema: &'a LexiconSchema) -> Self {
        let LexiconDefinition { properties, description, .. } = &schema.schema_json;
        Listed { schema, property_count: properties.len(), description: description.as_deref() }
    }
}

fn asker(remote: &Remote, reader: Reader<'_>) -> Result<Asker, Error> {
    Asker::new(&remote.connection, reader)
}

fn show(remote: &Remote, ui: &Ui, list: &impl mixpanel_client::Tabular) -> Result<(), Error> {
    let output: &Output = &remote.output;
    result(output, &Plot::default(), ui, list)
}

fn listed(
    remote: &Remote,
    reader: Reader<'_>,
    column: &str,
    ask: impl FnOnce(&Client) -> mixpanel_client::Result<Vec<String>>,
) -> Result<(), Error> {
    let list = ask(&asker(remote, reader)?.client)?;
    names(&remote.output, reader.ui, column, &list)
}
