"""Credentials: from the environment, or from the configuration file of ``mp``.

Secrets are never shown: not in ``repr``, not in messages. Accounts are made and
changed with ``mp auth``; here they are read.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixpanel_data.exceptions import AccountNotFoundError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AccountInfo", "ConfigManager", "Credentials"]

REGIONS = ("us", "eu", "in")

#: The variables that say how Mixpanel is reached, as `mp help environment` explains them.
_NETWORK = (
    "MP_PROXY",
    "MP_NO_PROXY",
    "MP_CA_FILE",
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
)


@dataclass(frozen=True)
class Credentials:
    """A service account, or a project secret when ``username`` is empty.

    Example:
        >>> Credentials(username="reader", secret="hush", project_id="12345", region="eu")
        Credentials(username='reader', project_id='12345', region='eu', account=None)

    """

    username: str
    secret: str = field(repr=False)
    project_id: str
    region: str = "us"
    account: str | None = None
    timezone: str | None = field(default=None, repr=False)
    clock_mode: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Checks what can be checked without Mixpanel."""
        region = self.region.lower()
        if region not in REGIONS:
            raise ConfigError(f"unknown region {self.region!r}: us, eu or in")
        object.__setattr__(self, "region", region)
        if not self.secret:
            raise ConfigError("the secret is empty")
        if self.username and not self.project_id:
            raise ConfigError("a service account needs a project id", suggestion="set MP_PROJECT_ID")


@dataclass(frozen=True)
class AccountInfo:
    """An account of the configuration file, without its secret."""

    name: str
    username: str
    project_id: str
    region: str
    is_default: bool


class ConfigManager:
    """Finds credentials.

    The configuration file is ``config_path``, or ``MP_CONFIG_PATH``, or
    ``$XDG_CONFIG_HOME/mp/config.toml`` (``~/.config``), or ``~/.mp/config.toml``.

    Args:
        config_path: Another configuration file.
        environ: Another environment than the process's, for tests.

    """

    def __init__(self, config_path: str | Path | None = None, *, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._path = None if config_path is None else Path(config_path)

    @property
    def config_path(self) -> Path:
        """The file that is read; it need not exist."""
        if self._path is not None:
            return self._path
        if named := self._environ.get("MP_CONFIG_PATH"):
            return Path(named)
        home = Path(self._environ.get("HOME") or Path.home())
        base = self._environ.get("XDG_CONFIG_HOME", "")
        path = (Path(base) if base.startswith("/") else home / ".config") / "mp" / "config.toml"
        old = home / ".mp" / "config.toml"
        return old if old.exists() and not path.exists() else path

    def resolve_credentials(self, account: str | None = None) -> Credentials:
        """The credentials to use.

        A named account comes first; without one, ``MP_USERNAME`` and ``MP_SECRET``
        with ``MP_PROJECT_ID`` (or ``MP_PROJECT_SECRET``), then the file's default
        account, then its only one.

        Raises:
            AccountNotFoundError: No account of that name.
            ConfigError: No credentials, or broken ones.

        """
        if account is None and (found := self._from_environment()) is not None:
            return found
        accounts, default = self._read()
        name = account if account is not None else self._chosen(accounts, default)
        if name is None:
            raise ConfigError(
                "there are no credentials",
                suggestion="set MP_USERNAME, MP_SECRET and MP_PROJECT_ID, or run `mp auth add`",
            )
        if name not in accounts:
            raise AccountNotFoundError(name, sorted(accounts))
        return self._account(name, accounts[name])

    def list_accounts(self) -> list[AccountInfo]:
        """The accounts of the file, sorted by name."""
        accounts, default = self._read()
        chosen = default if default is not None or len(accounts) != 1 else next(iter(accounts))
        return [self._info(name, accounts[name], chosen) for name in sorted(accounts)]

    def get_account(self, name: str) -> AccountInfo:
        """One account of the file.

        Raises:
            AccountNotFoundError: No account of that name.

        """
        for account in self.list_accounts():
            if account.name == name:
                return account
        raise AccountNotFoundError(name, [account.name for account in self.list_accounts()])

    def data_folder(self) -> Path:
        """Where databases are kept that nobody has named."""
        return self._base("XDG_DATA_HOME", ".local/share") / "mixpanel_data"

    def state_folder(self) -> Path:
        """Where requests are counted, for all processes of this user."""
        return self._base("XDG_STATE_HOME", ".local/state") / "mixpanel_data"

    def network(self) -> dict[str, str]:
        """What is said about proxies and certificates.

        Variables of the environment, with a dollar before their names, and ``proxy``,
        ``no_proxy`` and ``ca_file`` of the file's ``[settings]``.
        """
        variables = {f"${name}": value for name in _NETWORK if (value := self._environ.get(name))}
        settings = self._content().get("settings", {})
        named = settings if isinstance(settings, dict) else {}
        return variables | {
            key: value for key in ("proxy", "no_proxy", "ca_file") if isinstance(value := named.get(key), str)
        }

    def setting(self, name: str) -> str | None:
        """``MP_REGION``, ``MP_TIMEZONE``, ``MP_CLOCK_MODE``, ``MP_BASE_URL``, ``MP_DB``."""
        return self._variable(name) or None

    def _base(self, variable: str, below_home: str) -> Path:
        named = self._environ.get(variable, "")
        if named.startswith("/"):
            return Path(named)
        return Path(self._environ.get("HOME") or Path.home()) / below_home

    def _variable(self, name: str) -> str | None:
        """A variable of the environment, without the line end that a file of variables left behind it."""
        value = self._environ.get(name)
        return None if value is None else value.rstrip("\r\n")

    def _from_environment(self) -> Credentials | None:
        get = self._variable
        username, secret = get("MP_USERNAME"), get("MP_SECRET")
        project_id, region = get("MP_PROJECT_ID") or get("MIXPANEL_PROJECT_ID") or "", get("MP_REGION") or "us"
        project_secret = get("MP_PROJECT_SECRET")
        if not username and not secret and project_secret:
            return Credentials("", project_secret, project_id, region)
        if not username and not secret:
            return None
        missing = [
            name
            for name, value in (("MP_USERNAME", username), ("MP_SECRET", secret), ("MP_PROJECT_ID", project_id))
            if not value
        ]
        if missing:
            raise ConfigError(f"credentials are incomplete: {', '.join(missing)} not set")
        return Credentials(username or "", secret or "", project_id, region)

    def _content(self) -> dict[str, Any]:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        path = self.config_path
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {path}: {error}") from None
        try:
            found: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            # Its message has a line number, and no text of the line, which may be a secret.
            raise ConfigError(f"{path}: {error}") from None
        return found

    def _read(self) -> tuple[dict[str, dict[str, Any]], str | None]:
        content, path = self._content(), self.config_path
        accounts = content.get("accounts", {})
        default = content.get("default")
        if not isinstance(accounts, dict) or not all(isinstance(item, dict) for item in accounts.values()):
            raise ConfigError(f"{path}: accounts are tables such as [accounts.work]")
        return accounts, default if isinstance(default, str) else None

    def _chosen(self, accounts: dict[str, dict[str, Any]], default: str | None) -> str | None:
        if default is not None or not accounts:
            return default
        if len(accounts) > 1:
            raise ConfigError(
                f"there are several accounts: {', '.join(sorted(accounts))}",
                suggestion="name one with account=, or set `default` in the configuration file",
            )
        return next(iter(accounts))

    def _account(self, name: str, table: dict[str, Any]) -> Credentials:
        def text(key: str) -> str | None:
            value = table.get(key)
            return None if value is None else str(value)

        return Credentials(
            username=text("username") or "",
            secret=self._secret(name, table),
            project_id=text("project_id") or self._variable("MP_PROJECT_ID") or "",
            region=text("region") or self._variable("MP_REGION") or "us",
            account=name,
            timezone=text("timezone"),
            clock_mode=text("clock_mode"),
            base_url=text("base_url"),
        )

    def _secret(self, name: str, table: dict[str, Any]) -> str:
        if isinstance(secret := table.get("secret"), str) and secret:
            return secret
        if isinstance(path := table.get("secret_file"), str):
            try:
                return Path(path).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"cannot read the secret of account {name!r}: {error}") from None
        words = table.get("secret_command")
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            return self._secret_of_command(name, words)
        if table.get("keyring"):
            raise ConfigError(
                f"the secret of account {name!r} is in the system's keyring, which only `mp` reads",
                suggestion="use secret_file or secret_command for that account, or MP_SECRET",
            )
        raise ConfigError(f"account {name!r} has no secret")

    def _secret_of_command(self, name: str, words: list[str]) -> str:
        import subprocess

        try:
            done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            kind = type(error).__name__
            raise ConfigError(f"the command for the secret of account {name!r} failed: {kind}") from None
        return done.stdout.decode("utf-8", "replace").strip()

    def _info(self, name: str, table: dict[str, Any], chosen: str | None) -> AccountInfo:
        return AccountInfo(
            name=name,
            username=str(table.get("username") or ""),
            project_id=str(table.get("project_id") or ""),
            region=str(table.get("region") or "us"),
            is_default=name == chosen,
        )
