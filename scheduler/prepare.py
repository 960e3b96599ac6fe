"""Make a database ready for slides: schema, roles, and the model version that new slides are read with."""

from __future__ import annotations

import sys

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db import labs, migrate, models, rejudging
from db.config import DatabaseSettings
from db.errors import DatabaseError
from db.session import make_engine, transaction
from scheduler.config import SchedulerSettings
from scheduler.model_files import document_of
from worker.config import WorkerSettings
from worker.errors import BadRequestError, MarrowlineError
from worker.nets import cards
from worker.verdict import decide


def prepare(engine: Engine) -> str:
    """Migrate, make sure that a model is active, and judge anew what an older version judged; return the model's name.

    The configured model is activated at the first start, and later when `MARROWLINE_MODEL` names one; otherwise the
    active one stays. A site scale that is set holds for every lab from now on. Patients whose verdict takes no account
    of corrections, as those of versions before there were any, are judged anew.
    Raises ModelError when the model's weights are absent or altered.
    """
    migrate.upgrade(engine)
    settings = SchedulerSettings()
    with transaction(engine) as conn:
        if "site_mpp_um" in settings.model_fields_set:
            labs.set_site_mpp(conn, settings.site_mpp_um)
        active = models.active_model(conn)
    name = settings.model if active is None or "model" in settings.model_fields_set else active[1].name
    activate(engine, name)
    rejudging.judge_corrected(engine, decide)
    return name


def activate(engine: Engine, name: str) -> None:
    """Register an installed model and read slides with it from now on. Raises ModelError."""
    folder = WorkerSettings().models_dir
    version, card = cards.describe(name, folder), document_of(cards.find(name, folder).card)
    with transaction(engine) as conn:
        models.register_model(conn, version, card)
        models.activate(conn, name, decide)


def main() -> int:
    """Prepare the database of `MARROWLINE_DATABASE_URL`; the last line on stderr says what went wrong."""
    url = DatabaseSettings().database_url
    try:
        if url is None:
            raise BadRequestError("MARROWLINE_DATABASE_URL is not set")
        prepare(make_engine(url.get_secret_value(), pool_size=1))
    except (MarrowlineError, DatabaseError, DBAPIError) as error:
        sys.stderr.write(str(error).replace("\n", " ") + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
