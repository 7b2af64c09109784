"""Other people's clients, unchanged, at the sandbox's door; all that they are told is where it is and who they are."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.sandbox.xero_office import Office

Token = dict[str, Any]


@dataclass
class Sdk:
    """Xero's own: its two APIs, the organisation, and the token that it was told to keep."""

    accounting: Any
    identity: Any
    tenant: str
    token: Token


@pytest.fixture
def sdk(xero: Office) -> Iterator[Sdk]:
    """xero-python with a custom connection's token, which it asked for itself."""
    clients = pytest.importorskip("xero_python.api_client", reason="xero-python is not installed: make setup")
    from xero_python.accounting import AccountingApi  # noqa: PLC0415  # not before it is known to be there
    from xero_python.api_client.oauth2 import OAuth2Token, TokenApi  # noqa: PLC0415
    from xero_python.identity import IdentityApi  # noqa: PLC0415

    app = {"client_id": xero.ready["xero_client_id"], "client_secret": xero.ready["xero_client_secret"]}
    token: Token = {}
    client = clients.ApiClient(
        clients.Configuration(oauth2_token=OAuth2Token(**app)),
        oauth2_token_getter=lambda: token,
        oauth2_token_saver=token.update,
    )
    asking = TokenApi(client, **app)
    asking.client_credentials_token_url = f"{xero.url}/connect/token"
    given = asking.get_client_credentials_token(app_store_billing=False)
    token.update(given, expires_at=time.time() + given["expires_in"])
    yield Sdk(
        accounting=AccountingApi(client, base_url=f"{xero.url}/api.xro/2.0"),
        identity=IdentityApi(client, base_url=xero.url),
        tenant=xero.ready["xero_tenant_id"],
        token=token,
    )
    client.rest_client.pool_manager.clear()
