"""Random months of a portal's life: after each run with a sweep every table equals the portal, whatever happened before."""

from __future__ import annotations

import pytest
from fixtures.month_tables import differences
from fixtures.portal_life import PortalLife

pytestmark = pytest.mark.slow

DAYS = 20


@pytest.mark.parametrize("seed", range(1, 13))
def test_random_days(tmp_path, seed):
    """Items, fields, types, rights, settings, clocks, backups, targets and tables change; the tables follow."""
    live(PortalLife(seed, tmp_path / "life"), seed, DAYS)


def live(life: PortalLife, seed: int, days: int) -> None:
    """Day after day, with a comparison at the end of each."""
    try:
        for day in range(days):
            life.story.append(f"--- day {day}")
            if day:
                life.live_a_day()
            life.clock.advance(8 * 3600)
            if life.user_changed:
                life.run(sweep=True)  # marks nothing as deleted, since the credential's user changed
                life.user_changed = False
            life.run(sweep=True)
            wrong = differences(life)
            assert not wrong, "\n".join([f"seed {seed}", *life.story, *wrong[:20], *life.job.issues()[-3:]])
            life.clock.advance(6 * 3600)
    finally:
        life.close()
