"""Finding accounts that may be one customer, whatever file or system they came from."""

from __future__ import annotations

from django.db import connection, transaction

from accounts.likeness import phone_end
from accounts.models import DuplicatePair

# How much each thing that is the same says: 1 = as good as certain. Alone, a shared domain or telephone proves nothing:
# sister companies have one, and so do shops in one building.
WEIGHTS = {"name": 0.6, "email": 0.6, "phone": 0.4, "domain": 0.3}
LEAST = 0.55
# What more accounts than this have in common is no trait of one customer: a bookkeeper's address, a public mail provider.
MOST_SHARING = 4
# Legal forms, which one source writes and another leaves out.
LEGAL_FORMS = (
    "ab|ag|aps|as|asa|bv|co|company|corp|corporation|eg|ek|eu|gbr|gesmbh|gmbh|inc|incorporated|kft|kg|kgaa|lda|limited|"
    "llc|llp|lp|ltd|ltda|mbh|nv|oao|ohg|oy|oyj|plc|pty|pvt|sa|sab|sarl|sas|se|sl|snc|spa|spol|sro|srl|ug|zoo"
)
PUBLIC_MAIL = (
    "aol.com", "free.fr", "gmail.com", "gmx.at", "gmx.ch", "gmx.de", "gmx.net", "googlemail.com", "hotmail.com", "icloud.com",
    "laposte.net", "libero.it", "live.com", "mail.ru", "me.com", "msn.com", "orange.fr", "outlook.com", "proton.me",
    "protonmail.com", "qq.com", "t-online.de", "web.de", "wp.pl", "yahoo.com", "yandex.ru", "163.com",
)  # fmt: skip

FIND = f"""
WITH plain AS (
    SELECT id, is_sample,
        trim(regexp_replace(lower(replace(name, '.', '')), '[^[:alnum:]]+', ' ', 'g')) AS name
    FROM accounts_account
), keys AS (
    -- Twice: of two legal forms side by side (gmbh co kg) the first run takes every other one.
    SELECT id AS account, is_sample, 'name' AS kind, trim(regexp_replace(regexp_replace(' ' || name || ' ',
        %(forms)s, ' ', 'g'), %(forms)s, ' ', 'g')) AS key
    FROM plain
    UNION SELECT c.account_id, a.is_sample, 'email', lower(c.email)
        FROM accounts_contact c JOIN accounts_account a ON a.id = c.account_id WHERE c.email <> ''
    UNION SELECT c.account_id, a.is_sample, 'domain', split_part(lower(c.email), '@', 2)
        FROM accounts_contact c JOIN accounts_account a ON a.id = c.account_id
        WHERE c.email <> '' AND NOT split_part(lower(c.email), '@', 2) = ANY(%(public)s)
    UNION SELECT c.account_id, a.is_sample, 'phone', {phone_end("c.phone")}
        FROM accounts_contact c JOIN accounts_account a ON a.id = c.account_id WHERE c.phone <> ''
), shared AS (
    SELECT kind, key, is_sample, array_agg(account ORDER BY account) AS accounts
    FROM keys WHERE key <> '' GROUP BY kind, key, is_sample HAVING count(*) BETWEEN 2 AND %(most)s
), pairs AS (
    SELECT l.account AS first, r.account AS second, kind, min(key) AS key
    FROM shared, unnest(accounts) AS l(account), unnest(accounts) AS r(account)
    WHERE l.account < r.account GROUP BY 1, 2, 3
), weighed AS (
    SELECT first, second, jsonb_agg(jsonb_build_array(kind, key) ORDER BY weight DESC, kind) AS evidence,
        round((1 - exp(sum(ln(1 - weight))))::numeric, 4)::float8 AS weight
    FROM pairs JOIN unnest(%(kinds)s::text[], %(weights)s::float8[]) AS w(kind, weight) USING (kind)
    GROUP BY first, second
), found AS (
    INSERT INTO accounts_duplicatepair (first_id, second_id, evidence, weight, state)
    SELECT first, second, evidence, weight, 'waiting' FROM weighed WHERE weight >= %(least)s
    ON CONFLICT (first_id, second_id) DO UPDATE SET evidence = excluded.evidence, weight = excluded.weight
    RETURNING first_id, second_id
)
DELETE FROM accounts_duplicatepair p
WHERE p.state = 'waiting' AND NOT EXISTS (SELECT FROM weighed w
    WHERE w.first = p.first_id AND w.second = p.second_id AND w.weight >= %(least)s)
"""  # noqa: S608 - put together from names in the schema only


@transaction.atomic
def find_duplicates() -> int:
    """Look through all accounts anew; the number of pairs that wait for a person.

    The same: the name without case, punctuation and legal form, the e-mail address of a contact, its domain where no
    public provider's, the end of a telephone number. What is the same counts together as independent hints do,
    1 - (1 - a)(1 - b)..., and a pair is proposed from `LEAST` on. Pairs said to be two customers stay decided.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            FIND,
            {
                "forms": f" ({LEGAL_FORMS})(?= )",
                "public": list(PUBLIC_MAIL),
                "most": MOST_SHARING,
                "kinds": list(WEIGHTS),
                "weights": list(WEIGHTS.values()),
                "least": LEAST,
            },
        )
    return DuplicatePair.objects.filter(state="waiting").count()
