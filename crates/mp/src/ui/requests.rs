//! Requests, and waits between them, as they happen.

use mixpanel_client::RequestNotice;
use mixpanel_client::retry::RetryNotice;
use serde_json::json;

use super::{ProgressMode, Ui};
use crate::output::clean;

impl Ui {
    /// A request that was answered, or was not; for those who asked for more.
    pub(crate) fn request(&self, notice: &RequestNotice<'_>) {
        let RequestNotice { method, url, elapsed, error, .. } = notice;
        let seconds = elapsed.as_secs_f64();
        let error = error.map(|error| clean(&error.to_string()));
        self.detail(1, || {
            if self.talk.progress == ProgressMode::Json {
                let request =
                    json!({"method": method, "url": url.as_str(), "seconds": seconds, "error": error});
                return json!({"request": request}).to_string();
            }
            let outcome = error.unwrap_or_else(|| "answered".to_owned());
            format!("{method} {url}: {outcome}, {seconds:.2} s")
        });
    }

    /// Why nothing is happening: something failed and will be tried again.
    pub(crate) fn retry(&self, notice: &RetryNotice<'_>) {
        let what = clean(&notice.error.to_string());
        if self.talk.progress == ProgressMode::Json {
            let seconds = notice.wait.as_secs_f64();
            let retry = json!({"error": what, "attempts": notice.attempts, "wait_seconds": seconds});
            self.write(&json!({ "retry": retry }).to_string());
        } else {
            self.say(&format!("{what}; attempt {} in {} s", notice.attempts + 1, notice.wait.as_secs() + 1));
        }
        self.detail(2, || {
            let mut causes = Vec::new();
            let mut next = std::error::Error::source(notice.error);
            while let Some(cause) = next {
                causes.push(clean(&cause.to_string()));
                next = cause.source();
            }
            let url = notice.error.url().map(|url| format!(" of {url}")).unwrap_or_default();
            format!("  attempt {}{url}: {}", notice.attempts, causes.join(": "))
        });
    }
}
