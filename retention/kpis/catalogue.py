"""Every KPI in words: what it says, how it is worked out, over which window, and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass

YEAR = "The 12 months up to the day shown."
MOMENT = "The day shown; no window."


@dataclass(frozen=True)
class Kpi:
    """`unit` is share (0..1), money (company currency) or days; `good` says which way is better, up or down.
    `top` and `bottom` name what an account adds; `part` names what splits its accounts, where something does."""

    name: str
    title: str
    says: str
    formula: str
    window: str
    left_out: str
    unit: str
    good: str
    top: str
    bottom: str = ""
    part: str = ""
    version: int = 1
    terms_are_money: bool = False

    @property
    def is_share(self) -> bool:
        return self.unit == "share"


BEFORE_AFTER = (
    "Before: for repeat purchase, what was bought in the 12 months before the window; for a contract, its yearly value "
    "when the window began. After: the same at its end. Money in the company's currency at fixed rates."
)
LOCKED = (
    "Customers who brought nothing before the window (new ones never flatter the figure). Cancelled and returned orders. "
    "A contract counts until its grace period is over."
)
SCORED = (
    "Accounts that were not customers yet on the day of the score run; orders and contracts recorded later."
)

KPIS = (
    Kpi(
        "gross_revenue_retention",
        "Gross revenue retention",
        "Of the revenue our customers brought a year ago, this share stayed. Growth does not count.",
        "Sum of min(after, before) / sum of before, over the customers of a year ago. " + BEFORE_AFTER,
        YEAR,
        LOCKED,
        "share",
        "up",
        "Kept",
        "Before",
        terms_are_money=True,
    ),
    Kpi(
        "net_revenue_retention",
        "Net revenue retention",
        "The same customers' revenue now, growth included. Above 100 % the book grows without a new customer.",
        "Sum of after / sum of before, over the customers of a year ago. " + BEFORE_AFTER,
        YEAR,
        LOCKED,
        "share",
        "up",
        "After",
        "Before",
        terms_are_money=True,
    ),
    Kpi(
        "erosion_rate",
        "Erosion",
        "The share of a year ago's revenue that crumbled away, whether customers left or bought less.",
        "1 - gross revenue retention = (before - min(after, before)) / before, summed. " + BEFORE_AFTER,
        YEAR,
        LOCKED,
        "share",
        "down",
        "Lost",
        "Before",
        part="How",
        terms_are_money=True,
    ),
    Kpi(
        "full_loss_rate",
        "Erosion by full loss",
        "The part of erosion from customers who stopped altogether.",
        "Sum of before, where after is 0 / sum of before. With the partial decline it makes the erosion. "
        + BEFORE_AFTER,
        YEAR,
        LOCKED,
        "share",
        "down",
        "Lost",
        "Before",
        terms_are_money=True,
    ),
    Kpi(
        "partial_decline_rate",
        "Erosion by partial decline",
        "The part of erosion from customers who stayed and bought less.",
        "Sum of (before - after), where 0 < after < before / sum of before. " + BEFORE_AFTER,
        YEAR,
        LOCKED,
        "share",
        "down",
        "Lost",
        "Before",
        terms_are_money=True,
    ),
    Kpi(
        "logo_churn_rate",
        "Logo churn",
        "The share of customers of a year ago who stopped altogether, each counting the same.",
        "Customers whose after is 0 / customers whose before is above 0. " + BEFORE_AFTER,
        YEAR,
        LOCKED,
        "share",
        "down",
        "Stopped",
        "Customers",
    ),
    Kpi(
        "net_logo_rate",
        "Net logos",
        "Customers won or back, less customers lost, against the number a year ago.",
        "(customers active now - customers active a year ago) / customers active a year ago. Active: something "
        "bought in the 12 months up to then, or a contract in force.",
        YEAR,
        "Accounts active at neither end.",
        "share",
        "up",
        "Change",
        "Customers",
    ),
    Kpi(
        "repeat_purchase_rate",
        "Repeat purchase rate",
        "The share of customers who came back for a second order in good time.",
        "Customers whose second order day came within the window of the first / customers whose first order is at "
        "least that old. Several orders on one day are one order day.",
        "All customers up to the day shown; the days allowed for the second order are shown beside the figure.",
        "Customers whose first order is too recent to tell. Cancelled orders and returns.",
        "share",
        "up",
        "Came back",
        "Customers",
    ),
    Kpi(
        "renewal_rate",
        "Renewal rate",
        "The share of contracts that ran out and were renewed.",
        "Contracts followed by another of the same account that starts by the end of the grace period and outlasts "
        "it / contracts that ran out.",
        YEAR,
        "Contracts whose grace period is not over yet; a return after it is a win-back.",
        "share",
        "up",
        "Renewed",
        "Ran out",
    ),
    Kpi(
        "expected_loss",
        "Expected loss",
        "The money a year we must expect to lose if nobody does anything.",
        "Sum of churn probability x what the customer would buy in the next 12 months if it stayed, over all scored "
        "customers.",
        MOMENT,
        "Customers already lost. " + SCORED,
        "money",
        "down",
        "Expected loss",
        terms_are_money=True,
    ),
    Kpi(
        "revenue_at_risk",
        "Revenue at risk",
        "The part of the expected loss that sits with customers above the at-risk threshold: where a call can help.",
        "Sum of churn probability x what the customer would buy in the next 12 months if it stayed, over customers whose "
        "probability is at or above the at-risk threshold of the tiers.",
        MOMENT,
        "Customers already lost. " + SCORED,
        "money",
        "down",
        "At risk",
        terms_are_money=True,
    ),
    Kpi(
        "quiet_share",
        "Quiet customers",
        "The share of customers silent for longer than their own rhythm explains.",
        "Customers in the tier quiet / customers that are not lost.",
        MOMENT,
        "Lost customers. " + SCORED,
        "share",
        "down",
        "Quiet",
        "Customers",
    ),
    Kpi(
        "out_of_touch_share",
        "Out of touch",
        "The share of customers nobody of ours was in contact with for half a year.",
        "Customers without an interaction or pulse check in the last 180 days / customers that are not lost.",
        "The 180 days up to the day shown.",
        "Lost customers. Nothing is measured while no contacts are recorded at all.",
        "share",
        "down",
        "Out of touch",
        "Customers",
    ),
    Kpi(
        "save_rate",
        "Save rate",
        "Of the handbacks we worked on, the share whose customer was still there, at nearly full size, a horizon later.",
        "Saved / closed episodes with an attempt. Saved: at the horizon after opening the account is active and brings "
        "at least 80 % of its prior revenue (its last year, scaled to the horizon).",
        "Episodes whose horizon after opening was reached in the 12 months up to the day shown.",
        "Open episodes, and closed ones whose horizon has not been reached: both are shown apart. Episodes closed "
        "without an attempt.",
        "share",
        "up",
        "Saved",
        "Episodes",
    ),
    Kpi(
        "handback_completion_rate",
        "Handbacks completed",
        "The share of handbacks that were brought to an outcome.",
        "Handbacks closed / handbacks opened.",
        "Handbacks opened in the 12 months up to the day shown.",
        "Nothing.",
        "share",
        "up",
        "Closed",
        "Opened",
    ),
    Kpi(
        "handback_acceptance_days",
        "Time to accept a handback",
        "How many days a handback waits for its salesperson's yes, on average.",
        "Sum of days from opening to acceptance / handbacks accepted.",
        "Handbacks accepted in the 12 months up to the day shown.",
        "Handbacks not accepted; they show in the completion rate.",
        "days",
        "down",
        "Days waited",
        "Accepted",
    ),
    Kpi(
        "pulse_coverage",
        "Pulse coverage",
        "The share of customers who had a pulse check when their cadence wanted one.",
        "Accounts with a pulse check no older than their cadence / accounts due. The cadence is that of the tier "
        "(and segment) on the day of the score run.",
        "As long as each account's cadence, back from the day shown.",
        "Lost customers; customers younger than their cadence without a pulse yet.",
        "share",
        "up",
        "Covered",
        "Due",
    ),
    Kpi(
        "promise_kept_rate",
        "Promises kept",
        "The share of promises kept by the day they were due.",
        "Promises kept on time / promises due. Kept late is not kept on time.",
        YEAR,
        "Promises not due yet.",
        "share",
        "up",
        "Kept on time",
        "Due",
    ),
    Kpi(
        "on_time_delivery_rate",
        "On-time delivery",
        "The share of orders delivered by the day we had promised.",
        "Orders delivered by the promised day / orders promised for the window that were delivered or are overdue.",
        YEAR,
        "Orders without a promised day, cancelled orders, and orders marked delivered without a day.",
        "share",
        "up",
        "On time",
        "Promised",
    ),
    Kpi(
        "churn_reasons",
        "Why customers left",
        "The revenue a year of the customers who left, by reason.",
        "Customers whose handback was closed as lost or whose contract ended with a churn reason in the window, and "
        "customers of a year ago who stopped altogether. Each counts once, with the reason recorded last and what a "
        "year of it was worth.",
        YEAR,
        "Nothing: a customer who left without a recorded reason counts as unknown.",
        "money",
        "down",
        "A year's revenue",
        part="Reason",
        terms_are_money=True,
    ),
    Kpi(
        "cohort_retention",
        "Retention by cohort",
        "Of the customers who first bought in a quarter, the share that bought in each quarter since.",
        "Customers of the cohort who bought in its k-th quarter / customers of the cohort. For money: revenue of the "
        "k-th quarter / revenue of the first.",
        "Cohorts of the last 12 quarters; the latest quarter is still running.",
        "Customers whose first order is older. Cancelled orders and returns.",
        "share",
        "up",
        "Bought last quarter",
        "Customers",
        part="First quarter",
    ),
)

BY_NAME = {kpi.name: kpi for kpi in KPIS}
