"""Keys that encrypt secrets at rest are exchanged: everything that is sealed is sealed again with the newest one."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from worker.database import Database, changed_rows
from worker.grants import Grant
from worker.vault import Vault

# All that is sealed.
SEALED: tuple[InstrumentedAttribute[bytes | None], ...] = (Grant.client_secret, Grant.access_token, Grant.refresh_token)


@dataclass(frozen=True, slots=True)
class Rotated:
    """How many secrets were sealed again, of how many; the others were renewed meanwhile, with the newest key."""

    sealed_again: int
    of: int


def rotate(database: Database, vault: Vault) -> Rotated:
    """Seal everything again with the newest key; it may be run at any time and as often as one likes. SettingsError where a key is lost."""
    with database.begin() as session:
        done = [_again(session, vault, column, grant_id) for grant_id in _ids(session) for column in SEALED]
    found = [one for one in done if one is not None]
    return Rotated(sum(found), len(found))


def _ids(session: Session) -> list[int]:
    return list(session.scalars(sa.select(Grant.id).order_by(Grant.id)))


def _again(session: Session, vault: Vault, column: InstrumentedAttribute[bytes | None], grant_id: int) -> bool | None:
    """Whether it was exchanged; None where there is nothing. A worker that renews the token meanwhile wins: what it seals is newer."""
    sealed = session.scalar(sa.select(column).where(Grant.id == grant_id))
    if sealed is None:
        return None
    mine = sa.and_(Grant.id == grant_id, column == sealed)
    return changed_rows(session.execute(sa.update(Grant).where(mine).values({column: vault.rotate(sealed)}))) == 1
