"""A generated year of looking after a book: contacts, pulse checks, handbacks, promises, issues and whatever else people
write down, by statements of SQL over the accounts that are there. Days count back from today, as pages read them.

In a small book what is rare is less so: `one_in(400)` is 400 in a large one and 20 in one of a thousand accounts, so that a
list is a full page in both, and what a page takes in one and the other can be compared."""

from __future__ import annotations

from django.db import connection

from accounts.selectors import company_today
from pulsecheck.services.messages import recount_messages
from pulsecheck.services.products import study_products
from retention.benchmarks.book import RECORD_SOURCE

REGIONS = ("North", "South", "East", "West")
SEGMENTS = ("Hotels", "Cafés", "Offices")
LARGE = 10_000  # accounts from which lists are full by themselves
OFTEN = 20  # how much more often something happens in a smaller book
ONE_IN = "CREATE FUNCTION pg_temp.one_in(many int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT GREATEST(many / {often}, 1)'"


STATEMENTS = (
    # A contact is planned for everybody; one in ten is late.
    """
    INSERT INTO pulsecheck_touchpoint (account_id, assignee_id, due_on, reason, wanted_on, state, note)
    SELECT a.id, a.account_manager_id, current_date - 20 + (a.id * 37 % GREATEST(pg_temp.one_in(200), 50))::int, 'Steady: every 90 days, nobody has asked yet',
        current_date - 20 + (a.id * 37 % GREATEST(pg_temp.one_in(200), 50))::int, 'planned', '' FROM accounts_account a WHERE a.record_source = 'benchmark'
    """,
    """
    INSERT INTO pulsecheck_touchpoint (account_id, assignee_id, due_on, reason, state, note, finished_on)
    SELECT a.id, a.account_manager_id, current_date - 30 - (a.id % 300)::int, 'Steady: every 90 days, nobody has asked yet',
        (ARRAY['done', 'done', 'skipped'])[1 + a.id % 3], '', current_date - 30 - (a.id % 300)::int FROM accounts_account a WHERE a.record_source = 'benchmark'
    """,
    # Two pulse checks a year for most, one theme each.
    """
    INSERT INTO pulsecheck_pulsecheck (account_id, taken_by_id, taken_at, score, note, insight_shared, opportunity, next_step,
        next_step_owner_id, next_step_due_on, next_step_done_at)
    SELECT a.id, a.account_manager_id, now() - (5 + a.id * 7919 % 350 + k * 180) * interval '1 day',
        1 + (a.id * 31 + k * 7) % 6, 'They told us how it goes.', '', '', 'Call again', a.account_manager_id, current_date - 10 + (a.id % 40)::int,
        CASE WHEN a.id % 10 > 0 THEN now() END
    FROM generate_series(0, 2) k, accounts_account a WHERE a.record_source = 'benchmark' AND (a.id + k) % 4 < 3
    """,
    """
    INSERT INTO pulsecheck_pulsecheck_themes (pulsecheck_id, pulsetheme_id)
    SELECT p.id, t.id FROM pulsecheck_pulsecheck p JOIN pulsecheck_pulsetheme t ON t.id % 7 = p.id % 7
    """,
    # One handback in two hundred accounts (of a large book) waits or is worked on; one in twenty was closed.
    """
    INSERT INTO pulsecheck_handback (account_id, salesperson_id, assigned_because, trigger, state, risk, revenue_at_risk, currency,
        opened_at, due_on, due_at, accepted_at, closed_at, outcome, closing_note)
    SELECT a.id, a.original_salesperson_id, 'Won this account.', (ARRAY['at_risk', 'quiet', 'pulse', 'promise'])[1 + a.id % 4],
        CASE a.id % pg_temp.one_in(400) WHEN 0 THEN 'open' WHEN pg_temp.one_in(200) THEN 'accepted' ELSE 'closed' END,
        '{"reasons": [], "tier": "at_risk", "churn_probability": 0.6}', 100 + a.id % 9000, 'EUR',
        now() - (1 + a.id % 330) * interval '1 day', current_date - 2 + (a.id % 7)::int, now() + (a.id % 100 - 20) * interval '1 hour',
        CASE WHEN a.id % pg_temp.one_in(400) > 0 THEN now() - (a.id % 330) * interval '1 day' END,
        CASE WHEN a.id % pg_temp.one_in(200) > 0 THEN now() - (a.id % 330) * interval '1 day' END,
        CASE WHEN a.id % pg_temp.one_in(200) > 0 THEN (ARRAY['saved', 'saved', 'false_alarm'])[1 + a.id / 20 % 3] ELSE '' END, ''
    FROM accounts_account a WHERE a.record_source = 'benchmark' AND (a.id % pg_temp.one_in(200) = 0 OR a.id % 20 = 7)
    """,
    """
    INSERT INTO pulsecheck_handbackreason (handback_id, trigger, sentence, noted_at)
    SELECT h.id, CASE WHEN k = 0 THEN h.trigger ELSE 'renewal' END, 'Said so.', h.opened_at
    FROM pulsecheck_handback h, generate_series(0, 1) k WHERE k = 0 OR h.id % 3 = 0
    """,
    """
    INSERT INTO pulsecheck_handbackattempt (handback_id, user_id, happened_at, kind, has_reached, note)
    SELECT id, salesperson_id, opened_at, 'call', id % 2 = 0, '' FROM pulsecheck_handback WHERE state <> 'open'
    """,
    """
    INSERT INTO accounts_interaction (record_source, external_id, account_id, happened_at, kind, user_id, subject)
    SELECT 'benchmark', 'I' || a.id || '-' || k, a.id, now() - (a.id * 13 % 300 + k * 90) * interval '1 day', 'call',
        CASE WHEN k = 0 THEN a.account_manager_id ELSE a.original_salesperson_id END, 'A call'
    FROM generate_series(0, 1) k, accounts_account a WHERE a.record_source = 'benchmark' AND a.id % 5 > k
    """,
    """
    INSERT INTO accounts_promise (record_source, external_id, account_id, text, made_by_id, made_on, due_on, kept_on, status)
    SELECT 'benchmark', 'P' || a.id, a.id, 'We send the new list', a.account_manager_id, d.on - 10, d.on,
        CASE WHEN s.n BETWEEN 1 AND 11 THEN d.on - (a.id % 5)::int WHEN s.n IN (12, 13) THEN d.on + 3 END,
        CASE WHEN s.n = 0 THEN 'open' WHEN s.n < 12 THEN 'kept' WHEN s.n < 14 THEN 'late' ELSE 'broken' END
    FROM accounts_account a,
        LATERAL (SELECT CASE WHEN a.id % GREATEST(pg_temp.one_in(16), 4) > 0 THEN a.id % 16 ELSE 0 END AS n) s,
        LATERAL (SELECT current_date + 10 - (CASE WHEN s.n = 0 THEN a.id % 20 ELSE 20 + a.id % 500 END)::int AS on) d
    WHERE a.record_source = 'benchmark' AND a.id / 16 % pg_temp.one_in(2) = 0
    """,
    """
    INSERT INTO accounts_issue (record_source, external_id, account_id, opened_at, severity, theme, description, owner_id, due_on,
        resolved_at, told_at)
    SELECT 'benchmark', 'G' || a.id, a.id, d.at, (ARRAY['low', 'medium', 'high'])[1 + a.id % 3],
        (ARRAY['delivery', 'price', 'quality'])[1 + a.id % 3], 'It came too late', a.account_manager_id, current_date + (a.id % 20 - 8)::int,
        CASE WHEN d.n > 0 THEN d.at + interval '3 days' END,
        CASE WHEN d.n > 0 AND a.id / 4 % 10 > 1 THEN d.at + interval '4 days' END
    FROM accounts_account a, LATERAL (
        SELECT now() - (4 + a.id % 500) * interval '1 day' AS at, a.id / 4 % GREATEST(pg_temp.one_in(10), 2) AS n
    ) d
    WHERE a.record_source = 'benchmark' AND a.id % 4 = 1
    """,
    """
    INSERT INTO accounts_enquiry (record_source, external_id, account_id, received_at, subject, owner_id, responded_at, responded_by_id)
    SELECT 'benchmark', 'E' || a.id, a.id, d.at, 'When does it come?', a.account_manager_id,
        CASE WHEN a.id / 4 % 25 > 0 THEN d.at + (a.id % 30) * interval '1 hour' END,
        CASE WHEN a.id / 4 % 25 > 0 THEN a.account_manager_id END
    FROM accounts_account a,
        LATERAL (SELECT now() - (CASE WHEN a.id / 4 % 25 > 0 THEN 2 + a.id % 500 ELSE a.id % 4 END) * interval '1 day' AS at) d
    WHERE a.record_source = 'benchmark' AND a.id % 4 = 2
    """,
    """
    INSERT INTO accounts_contract (record_source, external_id, account_id, starts_on, ends_on, annual_value, currency, notice_days,
        terms_disclosed_on, terms_disclosed_by_id, terms_acknowledged_on)
    SELECT 'benchmark', 'K' || a.id, a.id, current_date - 300, current_date + 10 + (a.id % 400)::int, 1000, 'EUR', a.id % 3 * 30,
        CASE WHEN a.id % 8 > 0 THEN current_date - 290 END, CASE WHEN a.id % 8 > 0 THEN a.account_manager_id END,
        CASE WHEN a.id % 8 > 2 THEN current_date - 280 END
    FROM accounts_account a WHERE a.record_source = 'benchmark' AND a.id % 4 < 2
    """,
    """
    INSERT INTO accounts_disclosure (contract_id, term_id, explained_on, explained_by_id, acknowledged_how)
    SELECT c.id, t.id, c.terms_disclosed_on, c.terms_disclosed_by_id, ''
    FROM accounts_contract c, accounts_term t WHERE c.terms_disclosed_on IS NOT NULL
    """,
    """
    INSERT INTO accounts_accountmember (account_id, user_id, role)
    SELECT a.id, a.account_manager_id, 'operations' FROM accounts_account a WHERE a.record_source = 'benchmark' AND a.id % 3 = 0
    """,
    """
    INSERT INTO accounts_handoff (account_id, won_on, handed_by_id, handed_to_id, bought, why_us, expects, people, watch_out, question,
        received_at)
    SELECT a.id, current_date - (a.id / pg_temp.one_in(50) % 120)::int, a.original_salesperson_id, a.account_manager_id, 'The large one', 'Service',
        'Delivery by spring', '', '', '', CASE WHEN a.id / pg_temp.one_in(50) % 4 > 0 THEN now() END
    FROM accounts_account a WHERE a.record_source = 'benchmark' AND a.id % pg_temp.one_in(50) = 0
    """,
    """
    INSERT INTO accounts_onboardingstep (handoff_id, title, role, owner_id, due_on, done_at)
    SELECT h.id, 'Step ' || k, 'operations', h.handed_to_id, h.won_on + k * 20, CASE WHEN h.won_on + k * 20 < current_date THEN now() END
    FROM accounts_handoff h, generate_series(1, 4) k
    """,
    """
    INSERT INTO pulsecheck_retentionmeeting (account_id, chair_id, held_on, covers_from, repeats, state, agenda, closed_at)
    SELECT a.id, a.account_manager_id, current_date - 15 + (a.id / pg_temp.one_in(100) % 40)::int - CASE WHEN k = 0 THEN 0 ELSE 60 END,
        current_date - 120, 'monthly', CASE WHEN k = 0 THEN 'planned' ELSE 'held' END, '{}',
        CASE WHEN k = 0 THEN NULL ELSE now() - interval '60 days' END
    FROM generate_series(0, 1) k, accounts_account a WHERE a.record_source = 'benchmark' AND a.id % pg_temp.one_in(100) = 0
    """,
    """
    INSERT INTO pulsecheck_retentionmeeting (team_id, chair_id, held_on, covers_from, repeats, state, agenda)
    SELECT t.id, min(u.id), current_date + 3, current_date - 30, 'monthly', 'planned', '{}'
    FROM accounts_team t JOIN accounts_user u ON u.team_id = t.id GROUP BY t.id ORDER BY t.id
    """,
    """
    INSERT INTO pulsecheck_action (text, owner_id, due_on, meeting_id, account_id, done_at, finding)
    SELECT 'Look into it', m.chair_id, m.held_on + 14, m.id, m.account_id, CASE WHEN m.id % 3 > 0 AND m.state = 'held' THEN now() END, '{}'
    FROM pulsecheck_retentionmeeting m, generate_series(1, 2) k
    """,
    """
    INSERT INTO pulsecheck_survey (account_id, sent_by_id, sent_at, expires_at, about, asks_nps, asks_csat, asks_ces, key)
    SELECT a.id, a.account_manager_id, now() - (1 + a.id % 360) * interval '1 day', now() + (20 - a.id % 360) * interval '1 day',
        'Your order', true, true, false, md5('s' || a.id)
    FROM accounts_account a WHERE a.record_source = 'benchmark' AND a.id % 3 = 1
    """,
    """
    INSERT INTO pulsecheck_surveyanswer (survey_id, account_id, answered_at, nps, csat, comment, is_bad, loop_note)
    SELECT s.id, s.account_id, s.sent_at + interval '8 hours', s.id * 7 % 11, 1 + s.id % 5, 'As always', s.id * 7 % 11 < 7 OR s.id % 5 < 2, ''
    FROM pulsecheck_survey s WHERE s.id % 5 < 2
    """,
    """
    INSERT INTO pulsecheck_reference (account_id, agreed_by, agreed_on, until, shows_name, shows_since, shows_on_time, takes_calls, noted_by_id)
    SELECT a.id, 'Their head', current_date - 100, current_date + 30 + (a.id % 300)::int, true, true, true, false, a.account_manager_id
    FROM accounts_account a WHERE a.record_source = 'benchmark' AND a.id % pg_temp.one_in(500) = 0
    """,
    """
    INSERT INTO pulsecheck_auditweek (week_of, as_of, healthy, drawn, seed)
    SELECT date_trunc('week', current_date)::date - 7 * k, current_date - 7 * k, 1000, 10, 'seed' FROM generate_series(0, 25) k;
    INSERT INTO pulsecheck_auditpick (week_id, account_id, assignee_id, due_on, closes_on, tier, churn_probability, pulse_id)
    SELECT w.id, a.id, a.account_manager_id, w.week_of + 4, w.week_of + 14, 'steady', 0.1,
        CASE WHEN w.week_of < current_date - 14 THEN (SELECT max(id) FROM pulsecheck_pulsecheck p WHERE p.account_id = a.id) END
    FROM pulsecheck_auditweek w JOIN accounts_account a ON a.id % 97 = w.id % 97 AND a.record_source = 'benchmark' AND a.id < 970
    """,
    """
    INSERT INTO pulsecheck_insight (title, text, source, link, industries, valid_from, valid_until)
    SELECT 'Figure ' || k, 'Prices rise by ' || k || ' per cent.', '', '', '{}', current_date - k, current_date + 100
    FROM generate_series(1, 40) k
    """,
    """
    INSERT INTO accounts_product (record_source, sku, name, series)
    SELECT 'benchmark', 'S' || k, 'Product ' || k, 'Series ' || k % 6 FROM generate_series(1, 60) k
    """,
    """
    INSERT INTO accounts_orderline (order_id, product_id, quantity, unit_price)
    SELECT o.id, p.first + (o.account_id * 31 + o.id * o.id) % 60, 1, o.amount
    FROM accounts_order o, (SELECT min(id) AS first FROM accounts_product) p
    """,
)


def care_for_the_book(accounts: int) -> None:
    """Fill every table of the care loop for the `accounts` of the book, whose people are there already."""
    with connection.cursor() as cursor:
        cursor.execute(ONE_IN.format(often=OFTEN if accounts < LARGE else 1))
        cursor.execute(
            "UPDATE accounts_account SET region = (%s::text[])[1 + id %% %s], segment = (%s::text[])[1 + id %% %s],"
            " became_customer_on = current_date - 30 - (id * 17 %% 1500)::int WHERE record_source = %s",
            [list(REGIONS), len(REGIONS), list(SEGMENTS), len(SEGMENTS), RECORD_SOURCE],
        )
        for statement in STATEMENTS:
            cursor.execute(statement)
    study_products(company_today())
    recount_messages()
