//! `mp auth status`: what is in effect, and where each value comes from.

use mixpanel_data::Value;

use super::super::Reader;
use crate::args;
use crate::config::settings::{Key, Settings};
use crate::error::Error;
use crate::output::{self, Column, List};

pub(super) fn run(args: &args::AuthStatus, reader: Reader<'_>) -> Result<(), Error> {
    let settings = Settings::of(reader.env)?;
    let mut list = List::new([Column::text("setting"), Column::text("value"), Column::text("source")]);
    let mut push = |name: &str, value: Option<String>, source: String| {
        list.push([
            Value::Text(name.to_owned()),
            value.map_or(Value::Null, Value::Text),
            Value::Text(source),
        ]);
    };
    let file = reader.env.config_file()?;
    let there = if file.exists() { "read" } else { "not there" };
    push("config", Some(file.display().to_string()), there.to_owned());
    let account = settings.account_in_use();
    push("account", account.map(str::to_owned), settings.account_origin());
    let username = settings.username();
    push("username", username.value, username.origin.to_string());
    let secret = settings.secret_source();
    let mask = secret.as_ref().map(|_| "***".to_owned());
    push("secret", mask, secret.map_or_else(|| "not set".to_owned(), |source| source.to_string()));
    let flags = &args.connection;
    for key in Key::ALL {
        let flag = match key {
            Key::ProjectId => &flags.project_id,
            Key::Region => &flags.region,
            Key::Timezone => &flags.timezone,
            Key::ClockMode => &flags.clock_mode,
            Key::BaseUrl => &flags.base_url,
            Key::Db => &None,
        };
        let found = settings.find(key, flag.as_deref());
        let value = found.value.or_else(|| key.default().map(str::to_owned));
        push(key.name(), value, found.origin.to_string());
    }
    output::list(&args.output, reader.ui, &list)
}
