//! Pages of `mp help TOPIC`.

/// Names and texts.
pub(crate) const TOPICS: [(&str, &str); 5] = [
    ("config", CONFIG),
    ("environment", ENVIRONMENT),
    ("exit-codes", crate::error::EXIT_CODES),
    ("errors", ERRORS),
    ("formats", FORMATS),
];

const CONFIG: &str = "\
The configuration file is $XDG_CONFIG_HOME/mp/config.toml (usually ~/.config/mp/config.toml), or that
of --config or MP_CONFIG_PATH. It must be readable by its owner only; `mp auth login` makes it so. If
there is no other, ~/.mp/config.toml of the Python original is read, with a warning while others can
read it, too; `mp auth import` takes its accounts over.

  default = \"work\"                  # the account to use; `mp auth switch`

  [accounts.work]
  username = \"reader.mp-service-account\"
  secret = \"…\"                      # or one of the three lines below
  # secret_file = \"/run/secrets/mixpanel\"
  # secret_command = [\"op\", \"read\", \"op://team/mixpanel/secret\"]
  # keyring = true
  project_id = 12345
  region = \"eu\"                     # us, eu, in
  timezone = \"Europe/Berlin\"        # of the project
  clock_mode = \"utc\"                # or local, for projects made before 2023
  # base_url = \"http://127.0.0.1:8080\"

  [settings]                        # for all accounts
  db = \"/data/mixpanel.duckdb\"
  region = \"eu\"
  timezone = \"UTC\"
  clock_mode = \"utc\"
  # proxy = \"http://proxy.example:3128\"     # or \"none\"
  # no_proxy = \"intranet.example, 10.0.0.0/8\"
  # ca_file = \"/etc/ssl/company.pem\"        # certificates to trust besides the system's

  [[sync]]                          # what `mp sync --all` brings up to date; one for each table
  account = \"work\"                  # default: the account in use
  table = \"events\"                  # the default
  from = \"2024-01-01\"               # the first day of a new table
  # events = [\"Purchase\"]           # only these; `where` filters by an expression
  # profiles = \"profiles\"           # fetch all profiles into this table, too
  # db = \"/data/work.duckdb\"        # default: as for every other command

A file mp.toml in the current folder or above it, up to the root of a repository, may hold account,
project_id, region, timezone, clock_mode, and db below its folder. It may hold no secret, no
base_url and no proxy, as it may come with a cloned repository.

Flags come before the environment, the environment before mp.toml, mp.toml before the configuration
file. `mp auth status` says which of them won, value by value.";

const ENVIRONMENT: &str = "\
MP_USERNAME, MP_SECRET      a service account (MIXPANEL_USERNAME, MIXPANEL_SECRET work too)
MP_SECRET_FILE              a file with the secret, instead of MP_SECRET
MP_SECRET_COMMAND           a program that prints the secret, run without a shell
MP_PROJECT_SECRET           a project secret, instead of user, secret and project
MP_PROJECT_ID               the project (MIXPANEL_PROJECT_ID works too)
MP_REGION                   us, eu or in
MP_TIMEZONE, MP_CLOCK_MODE  the project's time zone; utc, or local for projects made before 2023
MP_BASE_URL                 another server, for instance that of `mp sim`
MP_PROXY, MP_NO_PROXY       a proxy (or none), and hosts without it; before HTTPS_PROXY, HTTP_PROXY,
                            ALL_PROXY and NO_PROXY, which are not for addresses on this machine
MP_CA_FILE                  certificates to trust besides the system's, as a company's own
SSL_CERT_FILE, SSL_CERT_DIR certificates to trust in place of the system's (macOS: the file, beside)
MP_ACCOUNT                  an account of the configuration file
MP_CONFIG_PATH              the configuration file
MP_ALLOW_INSECURE_CONFIG    1 accepts a configuration file that others can read
MP_DB                       the database file
MP_MAX_COPY                 the largest copy of a database that is being written, in GB
MP_ERROR_FORMAT             json tells errors as JSON
MP_TIMESTAMPS               1 begins each line on standard error with the time, for logs
NO_COLOR, CLICOLOR_FORCE    no colours; colours also without a terminal
XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, TMPDIR   folders

Empty variables count as absent.";

const FORMATS: &str = "\
table     aligned columns; on a terminal no wider than it, long cells cut with …
vertical  one line per cell
plain     bare values: no header, tabs between columns, control characters escaped
json      one array of objects, one object a line
jsonl     one object per line
csv, tsv  a header, then rows; NULL is an empty field, the empty text a pair of quotes
markdown  a table for a document
parquet   a Parquet file; needs --output FILE or a pipe
arrow     an Arrow IPC stream; needs --output FILE or a pipe

On a terminal the default is table, elsewhere json; --output FILE.csv chooses by the ending, and an
ending that names no format needs --format. In JSON,
JSON columns are nested, NaN and infinities are null, integers are exact. An empty result keeps its
header. On a terminal, 1000 rows are printed unless --limit or --all says otherwise, and a line on
standard error says so; elsewhere all rows are.

--jq FILTER runs a jq filter over the JSON before it is printed; with jsonl over each line; with
plain, text is printed without its quotes.";

const ERRORS: &str = "\
An error is told on standard error in up to three lines: what happened, why, what to try. With
--error-format json (or MP_ERROR_FORMAT=json) it is one JSON object in the last line:

  {\"error\": {\"code\": \"TABLE_NOT_FOUND\", \"exit_code\": 4, \"message\": \"…\", \"cause\": null,
             \"hint\": \"…\", \"retryable\": false, \"retry_after_seconds\": null}}

Codes do not change. retryable says whether the same command may succeed later. A result that was cut
is told the same way: {\"notice\": {\"code\": \"TRUNCATED\", …}}. `mp schema --cli` lists all codes.";
